"""One queue for the whole client, as distmqtt's `subscribe` and `deliver_message`."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from structiot._kit.text import error_text, printable
from structiot.errors import PeerError, StructiotError
from structiot.mqtt.client.arguments import (
    checked_filter,
    checked_qos,
    pairs_of,
)
from structiot.mqtt.codecs import CodecChoice, get_codec
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.errors import SubscribeRefused
from structiot.mqtt.link import Link
from structiot.mqtt.subscription import Messages
from structiot.mqtt.wire.messages import Message, SubscriptionRequest

__all__ = ["Inbox"]

REFUSED = 0x80

_log = logging.getLogger(__name__)


class _Queue(Messages):
    """What the other filters bring goes on when one is refused."""

    def refused(self, error: StructiotError) -> None:
        """Say so in the log; there is no other place for it here."""
        _log.warning("%s", error)


class Inbox:
    """Filters that share one queue, for programs written that way.

    New programs use `MqttClient.subscription`, which ends with its block.
    """

    def __init__(self, link: Link, config: MqttConfig) -> None:
        self._link = link
        self._config = config
        self.messages: Messages = _Queue(
            ["(all subscriptions of the client)"],
            qos=2,
            codec=get_codec("noop"),
            max_items=config.subscription_items,
            ack="on_take",
            settle=link.settle,
        )
        # Whoever waits is told of the end, with or without a filter at that time.
        link.router.readers.append(self.messages)

    async def subscribe(self, topics: Iterable[tuple[str, int]]) -> list[int]:
        """Subscribe; give the code of each filter: the granted QoS, or 0x80 and above.

        Raises:
            UsageError: A filter that is not valid.
            LinkLost: The client has given up.
        """
        link, router = self._link, self._link.router
        link.check()
        is_lenient = self._config.allows_control_characters
        wanted = [
            (checked_filter(name, is_lenient=is_lenient), checked_qos(qos))
            for name, qos in pairs_of(topics, "filters and their QoS")
        ]
        for name, _ in wanted:
            known = router.filters.get(name)
            if known is not None and self.messages in known.subscribers:
                router.remove([known], self.messages)
        requests = [
            SubscriptionRequest(topic_filter=name, qos=qos)
            for name, qos in dict(wanted).items()
        ]
        entries = router.add(requests, self.messages)
        link.subscribing.subscribe(entries)
        link.wake()
        codes: dict[str, int] = {}
        for entry in entries:
            name = entry.request.topic_filter
            try:
                await link.subscribing.subscribed([entry])
                codes[name] = entry.granted or 0
            except SubscribeRefused as exc:
                router.remove([entry], self.messages)
                codes[name] = exc.code or REFUSED
        return [codes[name] for name, _ in wanted]

    async def deliver(self, codec: CodecChoice, default: CodecChoice) -> Message | None:
        """Wait for the next message; None after the client has disconnected.

        Raises:
            UsageError: The payload does not decode; the message is consumed.
            LinkLost: The client has given up.
        """
        try:
            message = await anext(self.messages)
        except StopAsyncIteration:
            return None
        chosen = get_codec(codec, default, self._config.codec_params)
        try:
            message.data = chosen.decode(message.payload)
        except (ValueError, TypeError, LookupError, ArithmeticError) as exc:
            where, why = printable(message.topic), error_text(exc)
            raise PeerError(f"cannot decode the payload on {where}: {why}") from exc
        return message

    def close(self, error: StructiotError | None = None) -> None:
        """End a waiting `deliver`."""
        self.messages.close(error)
