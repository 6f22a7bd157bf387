"""The MQTT client as its users hold it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot.errors import UsageError
from structiot.mqtt.client.arguments import checked_filter, checked_qos
from structiot.mqtt.client.inbox import Inbox
from structiot.mqtt.client.publishing import Publishing
from structiot.mqtt.codecs import CodecChoice
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.events import ConnectionEvent
from structiot.mqtt.link import Link, Receipt
from structiot.mqtt.subscription import AckMode, Messages
from structiot.mqtt.wire.messages import Message, SubscriptionRequest
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = ["Counters", "MqttClient"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Counters:
    """What a client has counted since it was opened.

    Attributes:
        connections: Connections that the broker accepted.
        received_bytes: Bytes taken from the broker.
        waiting: Own messages of QoS 1 and 2 that wait to be sent.
        in_flight: Own messages of QoS 1 and 2 that wait to be acknowledged.
        held_bytes: Bytes that the waiting and the in flight hold.
        unread_bytes: Bytes that messages hold which wait to be taken or acknowledged.
        pauses: How many times nothing was read because these were too many.
        packet_ids: Packet ids in use, by messages and by requests.
        unsettled: Deliveries of QoS 1 and 2 that nobody has taken yet.
        dropped: QoS 0 messages lost in slow subscriptions that are still open.
        undecodable: Payloads that a codec of these could not decode.
        unclaimed: Messages for which there was no subscription.
        repeated: Deliveries recognised as repetitions and not handed out again.
        unknown_acks: Acknowledgements that belonged to no message.
        unknown_replies: Replies to requests that nobody waited for any more.
        store_failures: Times that the `store` could not be written.
    """

    connections: int
    received_bytes: int
    waiting: int
    in_flight: int
    held_bytes: int
    unread_bytes: int
    pauses: int
    packet_ids: int
    unsettled: int
    dropped: int
    undecodable: int
    unclaimed: int
    repeated: int
    unknown_acks: int
    unknown_replies: int
    store_failures: int


class MqttClient(Publishing):
    """A session with an MQTT broker; made by `open_mqttclient`.

    All methods may be called from several tasks at once.
    """

    def __init__(self, link: Link, config: MqttConfig, codec: CodecChoice) -> None:
        super().__init__(link, config, codec)
        self._inbox: Inbox | None = None

    @property
    def client_id(self) -> str:
        """The client identifier, as given or as the broker assigned it."""
        return self._link.handshake.client_id

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted us and nothing has ended it since."""
        return self._link.is_open

    @property
    def config(self) -> MqttConfig:
        """The settings in force."""
        return self._config

    def events(self) -> AbstractAsyncContextManager[Mailbox[ConnectionEvent]]:
        """Iterate over what happens to the connection, whether there is one first.

        `Connected` and `Disconnected`; and `ReadingPaused` and `ReadingResumed`, when
        `max_held_bytes` are waiting to be taken.
        """
        return self._link.events.listen()

    # -- subscribing ---------------------------------------------------------------

    @asynccontextmanager
    async def subscription(
        self,
        topic: str | Sequence[str],
        qos: int = 0,
        codec: CodecChoice = None,
        *,
        ack: AckMode = "on_take",
        max_items: int | None = None,
        no_local: bool = False,
        retain_as_published: bool = False,
        retain_handling: int = 0,
    ) -> AsyncGenerator[Messages]:
        """Subscribe to a topic filter for the length of the block.

        Yields:
            The messages, as an async iterable; see `Messages` for what happens to
            them when the reader is slow. The subscription survives reconnects.

        Args:
            topic: Topic filter, or its levels; `$share/group/filter` shares it.
            qos: Highest QoS wanted: 0, 1 or 2.
            codec: What makes `message.data` of `message.payload`.
            ack: When QoS 1 and 2 are acknowledged to the broker: when the iteration
                hands a message out, when `messages.ack(message)` is called, or when
                it arrives.
            max_items: QoS 0 messages buffered before the oldest is dropped.
            no_local: Leave out what this client publishes itself (5.0).
            retain_as_published: Show the retain flag as it was published (5.0).
            retain_handling: 0 sends retained messages, 1 only if the broker did not
                know the subscription, 2 never (5.0).

        Raises:
            UsageError: The filter is not valid, or the options need MQTT 5.0.
            SubscribeRefused: The broker said no.
            LinkLost: The client has given up.
        """
        is_lenient = self._config.allows_control_characters
        name, qos = checked_filter(topic, is_lenient=is_lenient), checked_qos(qos)
        limit = self._config.subscription_items if max_items is None else max_items
        link = self._link
        link.check()
        messages = Messages(
            name,
            qos=qos,
            codec=self._codec_of(codec),
            max_items=limit,
            ack=ack,
            settle=link.settle,
            abandon=link.abandon,
            publish=self.publish,
            version=lambda: link.protocol.version,
        )
        request = SubscriptionRequest(
            topic_filter=name,
            qos=qos,
            no_local=no_local,
            retain_as_published=retain_as_published,
            retain_handling=retain_handling,
        )
        entry = link.router.add(request, messages)
        try:
            link.subscribing.subscribe(entry)
            link.wake()
            await link.subscribing.subscribed(entry)
            yield messages
        finally:
            # Nothing of the goodbye below may be left out; only this may be cut short.
            await messages.aclose()  # noqa: ASYNC102
            if link.router.remove(entry, messages) and link.error is None:
                done = link.subscribing.unsubscribe(entry)
                link.wake()
                await link.subscribing.unsubscribed(  # noqa: ASYNC102 - bounds itself
                    done, self._config.goodbye_s
                )

    # -- the connection ------------------------------------------------------------

    async def ping(self) -> None:
        """Ask the broker for a sign of life and wait for it.

        Raises:
            LinkLost: The connection ended meanwhile, or the client has given up.
        """
        await self._link.ping()

    async def reauthenticate(self) -> None:
        """Show again who we are, by the `auth` that the client was opened with (5.0).

        Raises:
            UsageError: The client was opened without `auth`.
            ReplyTimeout: The broker did not answer in time; the connection is ended.
            AuthRefused: The broker is not the one it should be.
            LinkLost: The broker refused, or the connection ended by itself.
        """
        await self._link.authenticate_again()

    async def disconnect(
        self,
        reason: ReasonCode = ReasonCode.NORMAL_DISCONNECTION,
        *,
        session_expiry_s: int | None = None,
    ) -> None:
        """Leave the broker for good, before the block ends.

        What is under way is finished within `goodbye_s` seconds. Iterators end
        quietly; publishing and subscribing raise `LinkLost` from then on.

        Args:
            reason: `DISCONNECT_WITH_WILL` has the broker publish the will (5.0).
            session_expiry_s: How long the broker shall keep the session from now on,
                other than was configured (5.0).

        Raises:
            UsageError: An expiry that MQTT does not allow here.
        """
        link = self._link
        properties = None
        if session_expiry_s is not None:
            properties = link.handshake.goodbye_with(session_expiry_s)
        await link.leave(self._config.goodbye_s, reason, properties)
        if self._inbox is not None:
            self._inbox.close()

    async def reconnect(self) -> None:
        """Open a new connection now, also if there is one; the session goes on.

        Raises:
            LinkLost: The client has given up, or disconnected.
        """
        self._link.reconnect()
        await anyio.lowlevel.checkpoint()
        await self._link.ready()

    @property
    def restored(self) -> list[Receipt]:
        """Messages that an earlier process accepted and did not finish (`store`)."""
        stored = self._link.stored_session
        return [] if stored is None else [Receipt(flow) for flow in stored.restored]

    @property
    def counters(self) -> Counters:
        """What was counted so far."""
        link = self._link
        protocol = link.protocol
        stored = link.stored_session
        subscribers = link.router.subscribers()
        return Counters(
            connections=link.connections,
            received_bytes=link.ledger.received_bytes,
            waiting=len(protocol.outgoing.waiting),
            in_flight=len(protocol.outgoing.inflight),
            held_bytes=protocol.outgoing.held_bytes,
            unread_bytes=link.ledger.unread_bytes,
            pauses=link.ledger.pauses,
            packet_ids=len(protocol.ids.used),
            unsettled=len(protocol.incoming),
            dropped=sum(messages.dropped for messages in subscribers),
            undecodable=sum(messages.undecodable for messages in subscribers),
            unclaimed=link.router.unclaimed,
            repeated=protocol.incoming.repeated,
            unknown_acks=protocol.outgoing.unknown,
            unknown_replies=self._requests.unknown_replies,
            store_failures=0 if stored is None else stored.failures,
        )

    # -- distmqtt's way of subscribing ---------------------------------------------

    async def subscribe(self, topics: Iterable[tuple[str, int]]) -> list[int]:
        """Subscribe to filters for `deliver_message`; give the code of each.

        A code is the granted QoS, or 0x80 and above for a refusal.

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
        """Unsubscribe from filters, in a list, that were given to `subscribe`.

        Raises:
            UsageError: What is no list of filters.
        """
        if self._inbox is not None:
            await self._inbox.unsubscribe(topics)

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
