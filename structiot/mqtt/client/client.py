"""The MQTT client as its users hold it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot.mqtt.client.receiving import Receiving
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.events import ConnectionEvent
from structiot.mqtt.link import Receipt
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
        unclaimed: Messages for which there was no subscription, nor a block of
            `MqttClient.unclaimed`.
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


class MqttClient(Receiving):
    """A session with an MQTT broker; made by `open_mqttclient`.

    All methods may be called from several tasks at once.
    """

    @property
    def client_id(self) -> str:
        """The client identifier, as given or as the broker assigned it.

        Empty if the broker was asked for one and has not said which: before the first
        connection, and in MQTT 3.1.1, which has no words for it.
        """
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
