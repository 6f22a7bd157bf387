"""The receiving half of the MQTT client."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from structiot.errors import UsageError
from structiot.mqtt.client.arguments import (
    checked_ack,
    checked_count,
    checked_filter,
    checked_filters,
    listed,
)
from structiot.mqtt.client.inbox import Inbox
from structiot.mqtt.client.publishing import Publishing
from structiot.mqtt.codecs import CodecChoice
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link import Link
from structiot.mqtt.link.routing import Filter
from structiot.mqtt.subscription import AckMode, Messages
from structiot.mqtt.wire.messages import Message, SubscriptionRequest

__all__ = ["Receiving"]

UNCLAIMED = "(messages without a subscription)"


class Receiving(Publishing):
    """What a client can receive; a base of `MqttClient`."""

    def __init__(self, link: Link, config: MqttConfig, codec: CodecChoice) -> None:
        super().__init__(link, config, codec)
        self._inbox: Inbox | None = None

    @asynccontextmanager
    async def subscription(
        self,
        topic: str | Sequence[str] | Mapping[str, int],
        qos: int = 0,
        codec: CodecChoice = None,
        *,
        ack: AckMode = "on_take",
        max_items: int | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
        unsubscribe: bool = True,
    ) -> AsyncGenerator[Messages]:
        """Subscribe to a topic filter, or to several, for the length of the block.

        Several filters are asked for in one SUBSCRIBE (one for each hundred), and what they
        bring comes in one stream. All are granted, or none: when the broker refuses some,
        the others are unsubscribed before the error is raised.

        Yields:
            The messages, as an async iterable; see `Messages` for what happens to
            them when the reader is slow. The subscription survives reconnects.

        Args:
            topic: Topic filter, or its levels; `$share/group/filter` shares it. Several
                as a mapping that gives each its QoS: `{"kitchen/#": 1, "garden/#": 0}`.
            qos: Highest QoS wanted: 0, 1 or 2; not with a mapping.
            codec: What makes `message.data` of `message.payload`.
            ack: When QoS 1 and 2 are acknowledged to the broker: when the iteration
                hands a message out, when `messages.ack(message)` is called, or when
                it arrives.
            max_items: QoS 0 messages buffered before the oldest is dropped.
            no_local: Leave out what this client publishes itself (5.0).
            retain_as_published: Show the retain flag as it was published (5.0).
            retain_handling: 0 sends retained messages, 1 only if the broker did not
                know the subscription, 2 never (5.0).
            unsubscribe: False leaves the subscription to the session at the broker, for a
                client that comes back to it. What the block has not handed out, and
                what comes until the client is left, stays unacknowledged: the broker
                sends it again on the next connection.

        Raises:
            UsageError: A filter is not valid, or the options need MQTT 5.0.
            SubscribeRefused: The broker said no; its `topic_filter` is the first that was
                refused, and its words name the others.
            LinkLost: The client has given up.
        """
        is_lenient = self._config.allows_control_characters
        wanted = checked_filters(topic, qos, is_lenient=is_lenient)
        requests = [
            SubscriptionRequest(
                topic_filter=name,
                qos=most,
                no_local=no_local,
                retain_as_published=retain_as_published,
                retain_handling=retain_handling,
            )
            for name, most in wanted.items()
        ]
        link = self._link
        link.check()
        messages = self._messages(
            [request.topic_filter for request in requests],
            max(request.qos for request in requests),
            codec,
            ack,
            max_items,
            publish=self.publish,
        )
        entries = link.router.add(requests, messages)
        is_left = False
        try:
            link.subscribing.subscribe(entries)
            link.wake()
            await link.subscribing.subscribed(entries)
            is_left = not unsubscribe
            yield messages
        finally:
            # Nothing of the goodbye below may be left out; only this may be cut short.
            await messages.aclose(is_left=is_left)  # noqa: ASYNC102
            await self._leave(entries, messages)  # noqa: ASYNC102 - bounds itself

    async def _leave(self, entries: Sequence[Filter], messages: Messages) -> None:
        """Leave filters; the broker keeps those that nobody else here has, if it shall."""
        if messages.is_left:
            entries = [entry for entry in entries if entry.subscribers != [messages]]
        link = self._link
        names = link.router.remove(entries, messages)
        if names and link.error is None:
            answers = link.subscribing.unsubscribe(names)
            link.wake()
            await link.subscribing.unsubscribed(answers, self._config.goodbye_s)

    @asynccontextmanager
    async def unclaimed(
        self,
        codec: CodecChoice = None,
        *,
        ack: AckMode = "on_take",
        max_items: int | None = None,
    ) -> AsyncGenerator[Messages]:
        """Read the messages for which there is no subscription.

        These are what a session that the broker has kept brings for filters of an earlier
        process, and what still comes of a subscription that was left. Without such a block
        they are acknowledged and counted, those of a kept session after `unclaimed_s`.
        While it lasts they come at once: subscribe first to what is to go elsewhere. What
        it has not handed out at its end stays unacknowledged, and the broker sends it again
        on the next connection. Of several blocks each gets all of them.

        Yields:
            The messages, as `subscription` does.

        Args:
            codec: What makes `message.data` of `message.payload`.
            ack: When QoS 1 and 2 are acknowledged, as in `subscription`.
            max_items: QoS 0 messages buffered before the oldest is dropped.

        Raises:
            UsageError: An argument that cannot be.
            LinkLost: The client has given up.
        """
        link = self._link
        link.check()
        messages = self._messages([UNCLAIMED], 2, codec, ack, max_items, publish=None)
        link.router.take_unclaimed(messages)
        try:
            yield messages
        finally:
            link.router.unclaiming.remove(messages)
            await messages.aclose(is_left=True)  # noqa: ASYNC102 - may be cut short

    def _messages(
        self,
        filters: Sequence[str],
        qos: int,
        codec: CodecChoice,
        ack: AckMode,
        max_items: int | None,
        *,
        publish: Any,  # noqa: ANN401 - the method of that name, or nothing
    ) -> Messages:
        link = self._link
        limit = self._config.subscription_items if max_items is None else max_items
        return Messages(
            filters,
            qos=qos,
            codec=self._codec_of(codec),
            max_items=checked_count("max_items", limit),
            ack=checked_ack(ack),
            settle=link.settle,
            abandon=link.abandon,
            publish=publish,
            version=lambda: link.protocol.version,
        )

    async def incoming_complete(self) -> None:
        """Wait for the end of every exchange of QoS 2 for a message that was taken.

        The broker has then released what it was told had arrived (PUBREL), and will not
        send it again whoever forgets what. Leaving the client waits for that as well,
        within `goodbye_s`. Cancelling the wait changes nothing.

        Raises:
            LinkLost: The client has given up before.
        """
        await self._link.outbox.released()
        self._link.check()

    # -- distmqtt's way of subscribing ---------------------------------------------

    async def subscribe(self, topics: Iterable[tuple[str, int]]) -> list[int]:
        """Subscribe to filters for `deliver_message`; give the code of each.

        A code is the granted QoS, or 0x80 and above for a refusal. They are asked for in
        one SUBSCRIBE (one for each hundred), and stay until the session ends.

        Args:
            topics: Pairs of a filter and its QoS, in a list.

        Raises:
            UsageError: A filter that is not valid, or what is no list of pairs.
            LinkLost: The client has given up.
        """
        if self._inbox is None:
            self._inbox = Inbox(self._link, self._config)
        return await self._inbox.subscribe(topics)

    async def unsubscribe(self, topics: Iterable[str]) -> None:
        """Unsubscribe from filters, in a list: whatever the session at the broker has.

        Those of `subscribe`, those of a `subscription` that was left without
        unsubscribing, and those of an earlier process. A refusal is said in the log.

        Raises:
            UsageError: What is no list of filters; or a filter of a `subscription` whose
                block is open: it unsubscribes at its end.
            LinkLost: The client has given up.
        """
        link, names = self._link, []
        is_lenient = self._config.allows_control_characters
        router = link.router
        link.check()
        own = None if self._inbox is None else self._inbox.messages
        given = [
            checked_filter(name, is_lenient=is_lenient)
            for name in listed(topics, "filters are in a list")
        ]
        for name in dict.fromkeys(given):
            entry = router.filters.get(name)
            users = [] if entry is None else entry.subscribers
            if users and not any(one is own or one.is_left for one in users):
                raise UsageError(f"the block of the subscription {name!r} is open")
            names.append(name)
        wanted: list[str] = []
        for name in names:
            entry = router.filters.get(name)
            if entry is None:
                wanted.append(name)
                continue
            for one in [one for one in entry.subscribers if one is own or one.is_left]:
                wanted += router.remove([entry], one)
        answers = link.subscribing.unsubscribe(wanted)
        link.wake()
        for done in answers:
            await done.wait()

    async def deliver_message(self, codec: CodecChoice = None) -> Message | None:
        """Wait for the next message of all that was given to `subscribe`.

        Returns:
            The message; None after `disconnect`.

        Raises:
            UsageError: `subscribe` was not called.
            PeerError: The payload does not decode; the message is consumed.
            LinkLost: The client has given up.
        """
        if self._inbox is None:
            raise UsageError("deliver_message needs subscribe(...) first")
        return await self._inbox.deliver(codec, self._codec)
