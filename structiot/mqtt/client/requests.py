"""Request and response over MQTT 5.0: one reply topic, one correlation per request."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

import anyio

from structiot._kit.flow.replies import Reply, ReplyTable
from structiot.errors import LinkLost, StructiotError, UsageError
from structiot.mqtt.client.arguments import checked_properties
from structiot.mqtt.codecs import NoopCodec
from structiot.mqtt.link import Link
from structiot.mqtt.subscription import Messages
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.messages import Message, SubscriptionRequest
from structiot.mqtt.wire.properties import PublishProperties
from structiot.mqtt.wire.topics import name_fault

__all__ = ["Requests"]

# Below no gateway's base topic: one answers nowhere below its own.
PREFIX = "structiot-reply"
LONGEST_TOPIC = 1000


class _ReplyBox(Messages):
    """A subscription that hands each message to whoever asked for it."""

    def __init__(self, topic_filter: str, link: Link) -> None:
        super().__init__(
            [topic_filter],
            qos=1,
            codec=NoopCodec(),
            max_items=1,
            ack="on_receive",
            settle=link.settle,
        )
        self.replies: ReplyTable[bytes, Message] = ReplyTable("MQTT replies")

    def put(self, message: Message) -> None:
        """Resolve the request that the message answers; unknown ones are counted."""
        receipt: Ack | None = message.receipt
        if receipt is not None:
            message.receipt = None
            self._settle(receipt)
        properties = message.properties
        correlation = properties.correlation_data if properties is not None else None
        self.replies.resolve(correlation or b"", message)

    def close(self, error: StructiotError | None = None) -> None:
        """Fail who waits: after a quiet end there is no reply either."""
        super().close(error)
        self.replies.fail_all(error or LinkLost("the client was closed"))


class Requests:
    """Asks and hears answers; subscribes to the reply topic at the first request."""

    def __init__(self, link: Link) -> None:
        self._link = link
        self._box: _ReplyBox | None = None
        self._count = 0
        self._one_at_a_time = anyio.Lock()

    @property
    def unknown_replies(self) -> int:
        """Replies that nobody waited for (any more)."""
        return 0 if self._box is None else self._box.replies.unknown

    async def prepare(
        self, properties: PublishProperties | Mapping[str, Any] | None
    ) -> PublishProperties:
        """Give the properties of the next request; subscribes at the first one.

        Raises:
            UsageError: The connection speaks MQTT 3.1.1, which has no requests.
            SubscribeRefused: The broker refused the reply topic.
            LinkLost: The client has given up.
        """
        if self._link.protocol.version < 5:
            raise UsageError("request() needs MQTT 5.0; this connection speaks 3.1.1")
        if properties is not None:
            properties = checked_properties(properties)
        box = await self._opened()
        self._count += 1
        return replace(
            properties or PublishProperties(),
            response_topic=box.topic,
            # Unlike that of an earlier process, whose replies may still come.
            correlation_data=b"%s-%d" % (self._link.token, self._count),
        )

    def expect(
        self, properties: PublishProperties
    ) -> AbstractContextManager[Reply[Message]]:
        """Wait for the reply to a request that was prepared."""
        if self._box is None or properties.correlation_data is None:
            raise UsageError("a request is prepared before its reply is expected")
        return self._box.replies.expect(properties.correlation_data)

    def _topic(self) -> str:
        """Give the reply topic; what the broker says of it, or of our id, may be none."""
        link = self._link
        stem = link.protocol.limits.response_information or PREFIX
        name = link.handshake.client_id or link.token.decode()
        topic = f"{stem.rstrip('/')}/{name}"
        if len(topic) > LONGEST_TOPIC or name_fault(topic) is not None:
            topic = f"{PREFIX}/{link.token.decode()}"
        return topic

    async def _opened(self) -> _ReplyBox:
        async with self._one_at_a_time:
            if self._box is None or self._box.is_closed:
                link = self._link
                box = _ReplyBox(self._topic(), link)
                request = SubscriptionRequest(topic_filter=box.topic, qos=1)
                entries = link.router.add([request], box)
                try:
                    link.subscribing.subscribe(entries)
                    link.wake()
                    # The broker must know the reply topic before the request goes out.
                    await link.subscribing.subscribed(entries)
                except BaseException:
                    link.subscribing.unsubscribe(link.router.remove(entries, box))
                    link.wake()
                    raise
                self._box = box
            return self._box
