"""A session with one broker, over as many connections as it takes.

The session, the subscriptions and the flows under way live in `Link`; each connection
is a `Connection`. `Reconnecting` replaces a lost one; when that gives up, `run` raises
and everybody who waits is told.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

import anyio.lowlevel
from anyio.abc import ByteStream

from structiot._kit.environment import Environment
from structiot._kit.native_loop import clock
from structiot._kit.text import counted
from structiot.errors import LinkLost, StructiotError
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.errors import ConnectException, MqttGoodbye
from structiot.mqtt.events import Connected, ConnectionEvents, Disconnected
from structiot.mqtt.link.broker_address import Address
from structiot.mqtt.link.connect_handshake import ConnectHandshake
from structiot.mqtt.link.connection import Connection
from structiot.mqtt.link.enhanced_auth import AuthExchanges
from structiot.mqtt.link.leaving import Leaving
from structiot.mqtt.link.ledger import Ledger
from structiot.mqtt.link.loss_log import LossLog
from structiot.mqtt.link.outbox import Outbox
from structiot.mqtt.link.pings import Pings
from structiot.mqtt.link.poison_messages import PoisonMessages
from structiot.mqtt.link.refusals import (
    backoff_of,
    connect_error,
    is_final,
    is_refusal,
    refusal,
    server_goodbye,
)
from structiot.mqtt.link.routing import Router
from structiot.mqtt.link.stored_session import StoredSession, stored_session_of
from structiot.mqtt.link.subscribing import Subscribing
from structiot.mqtt.link.writing import is_much
from structiot.mqtt.wire.flows.inbound import Ack
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Disconnect,
    Pingresp,
    Suback,
    Unsuback,
)
from structiot.mqtt.wire.protocol import OPEN, ClientProtocol, Event
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["Link"]

_log = logging.getLogger(__name__)


class Link(Leaving):
    """One client's session; all methods are for tasks of one event loop.

    Attributes:
        router: Subscriptions and the way of each message.
        protocol: The machine without I/O.
        events: What happens to the connection.
        connections: Connections that the broker has accepted.
        ledger: All that the link holds.
        token: What tells this client from others with its name, earlier ones too.
    """

    def __init__(
        self,
        address: Address,
        handshake: ConnectHandshake,
        config: MqttConfig,
        *,
        open_stream: Callable[[], Awaitable[ByteStream]],
        environment: Environment,
    ) -> None:
        super().__init__(backoff_of(config), environment.random)
        self.address = address
        self.config = config
        self.handshake = handshake
        self.events: ConnectionEvents = ConnectionEvents(f"events of {address.uri}")
        self.connections: int = 0
        self.router: Router = Router(self.settle)
        self.protocol: ClientProtocol = ClientProtocol(
            max_packet_bytes=config.max_packet_bytes,
            send_window=config.max_inflight,
            uses_aliases=config.outgoing_aliases,
            is_written_down=config.store is not None,
            ping_delay_s=config.ping_delay,
            ping_reply_s=config.connect_s,
        )
        self.subscribing: Subscribing = Subscribing(
            self.router,
            self.protocol,
            str(address.uri),
            wants_ids=config.subscription_ids,
        )
        self.stored_session: StoredSession | None = stored_session_of(
            config.store, handshake.client_id, self.protocol, environment
        )
        self._save = None if self.stored_session is None else self.stored_session.save
        self.outbox: Outbox = Outbox(
            self.protocol,
            config,
            check=self.check,
            answer=self.answer,
            save=self._save,
        )
        self._open_stream = open_stream
        self.token: bytes = environment.random.randbytes(6).hex().encode()
        self._connection: Connection | None = None
        self._pings = Pings(self.protocol, str(address.uri))
        self._auth_exchanges = AuthExchanges(config, self.protocol, str(address.uri))
        self._now = clock()
        self._is_falling_back = False
        self._is_awaited = False
        self._poison = PoisonMessages(self.protocol, str(address.uri))
        self._loss_log = LossLog(str(address.uri))
        self.ledger: Ledger = Ledger(
            config.max_held_bytes,
            self.router,
            self.protocol,
            peer=str(address.uri),
            events=self.events,
            on_pause=self.subscribing.enter_early,
        )

    # -- the life of the link ------------------------------------------------------

    @property
    def uri(self) -> BrokerUri:
        """Where the present attempt or connection goes."""
        return self.address.uri

    @property
    def is_open(self) -> bool:
        """Whether the broker has accepted us and nothing has ended it since."""
        return self.protocol.state is OPEN

    async def accepted(self) -> None:
        """Wait for the first CONNACK, or for what stands in its way."""
        self._is_awaited = True
        await self.until(lambda: self.was_connected)

    async def run_connection(self) -> None:
        """Connect to the broker and serve the connection until it ends."""
        connect_s = self.config.connect_s
        deadline = anyio.current_time() + connect_s
        self._connection = connection = Connection(
            await self._connect(connect_s),
            self.protocol,
            peer=str(self.uri),
            on_events=self._take,
            on_others=self._take_others,
            drop=self.drop,
            ledger=self.ledger,
            save=self._save,
        )
        try:
            await connection.run(connack_by=deadline, connect_s=connect_s)
        finally:
            self._connection = None
            error, now = connection.error, anyio.current_time()
            is_alone = not self.protocol.outgoing.on_wire
            self._poison.lost(error, now)
            self.protocol.connection_lost()
            self.subscribing.connection_lost(error, now, is_alone=is_alone)
            self._pings.connection_lost()
            self._auth_exchanges.connection_lost(connection.error)

    async def _connect(self, connect_s: float) -> ByteStream:
        username = None
        try:
            with anyio.fail_after(connect_s):
                packet = await self.handshake.packet(await self.address.next())
                # Before the network: what cannot be encoded leaves no stream behind.
                self.protocol.connect(packet, anyio.current_time())
                return await self._open_stream()
        except TimeoutError:
            message = f"cannot connect to {self.uri} within {connect_s:g} s"
            error = StructiotError(f"{message}: waiting for {self.address.step}")
        except StructiotError as exc:
            error, username = exc, self.handshake.username
        self.protocol.connection_lost()
        raise connect_error(error, self.uri, username=username, attempts=self.attempts)

    def is_final(self, error: StructiotError) -> bool:
        """Whether another attempt could not help, or is not wanted."""
        if self.config.retry_refused and is_refusal(error):
            return not self.config.auto_reconnect
        # Whoever opens a client wants to hear of a certificate that has run out; one
        # that runs waits until it is renewed.
        is_first = self._is_awaited and not self.was_connected
        return is_final(error, is_first=is_first) or not self.config.auto_reconnect

    def delay_after(self, error: StructiotError) -> float | None:
        """Try another version or another broker at once, else wait as all links do."""
        self._is_falling_back = self.handshake.fall_back(error)
        if self._is_falling_back or self.address.follow(error):
            return 0.0
        delay_s = super().delay_after(error)
        return delay_s and self._poison.delay_s(delay_s)

    def final_error(self, error: StructiotError) -> StructiotError:
        """Make of the last failure what the block ends with."""
        if self.was_connected:
            return error if is_final(error) else super().final_error(error)
        if isinstance(error, ConnectException):
            return error
        return connect_error(error, self.uri, attempts=self.attempts)

    def lost(self, error: StructiotError, retry_in_s: float | None) -> None:
        """Tell everybody what has happened to the connection."""
        if self._is_falling_back:
            _log.info("%s; trying MQTT 3.1.1", error)
            return
        event = Disconnected(
            reason=str(error),
            error=error,
            attempt=self.attempts,
            retry_in_s=retry_in_s,
        )
        self.events.tell(event)
        if retry_in_s is not None:
            is_known = self._poison.is_busy or self.subscribing.poison.is_careful
            self._loss_log.lost(
                error,
                retry_in_s,
                is_news=self.is_news(error, is_said=isinstance(error, MqttGoodbye)),
                lived_s=self.lived_s,
                client_id=None if is_known else self.handshake.client_id,
            )

    def end(self, error: StructiotError) -> None:
        """Tell everybody who waits for anything that it will not come."""
        is_first = self.error is None
        self._drop_connection(error)
        super().end(error)
        if not is_first:
            return
        if self.stored_session is not None:
            self.stored_session.close()
        elif unheard := sum(
            flow.waiter is None for flow in self.protocol.outgoing.flows()
        ):
            what = counted(unheard, "message")
            _log.warning("%s with %s not acknowledged", error, what)
        self.protocol.outgoing.fail_all(error)
        self.subscribing.fail_all(error)
        self.outbox.release(everybody=True)
        self.events.end()
        for messages in self.router.subscribers():
            messages.close(None if self.is_leaving else error)

    def reconnect(self) -> None:
        """End the present connection, if there is one, and open a new one at once."""
        self.check()
        self.retry_now()
        if self._connection is not None:
            self._connection.end(LinkLost(f"{self.uri}: reconnecting on request"))

    # -- what comes from the broker ------------------------------------------------

    def _take(self, events: list[Event], size_bytes: int) -> list[Event]:
        """Hand out messages; give what needs a task, for `_take_others`."""
        others = self.router.dispatch(events) if events else events
        if not others:
            self._go_on()
        self.ledger.took(size_bytes)
        return others

    def _take_others(self, events: list[Event]) -> None:
        for event in events:
            if self._connection is not None:
                self._take_one(event, self._connection)
        self._go_on()

    def _go_on(self) -> None:
        """Send what has waited for what came."""
        self.subscribing.send_postponed()
        self.outbox.release()
        if self._poison.is_busy and self._poison.go_on(self._now()):
            self.wake()

    def _take_one(self, event: Event, connection: Connection) -> None:
        match event:
            case Connack():
                self._take_connack(event, connection)
            case Suback():
                self.subscribing.take_suback(event)
            case Unsuback():
                self.subscribing.take_unsuback(event)
            case Pingresp():
                self._pings.answered()
            case Auth():
                self._auth_exchanges.take(event, connection)
            case Disconnect():
                connection.end(server_goodbye(event, str(self.uri)))

    def _take_connack(self, connack: Connack, connection: Connection) -> None:
        if connack.reason.is_failure:
            connection.end(refusal(connack, self.uri, self.handshake.username))
            return
        if self.protocol.state is not OPEN:
            return
        try:
            self.handshake.accepted(connack)
        except StructiotError as exc:
            connection.end(exc)
            return
        if self.router.is_holding:
            is_old = connack.session_present
            connection.start(self._release_held, is_old * self.config.unclaimed_s)
        attempts = self.connected()
        filters, now = self.subscribing.poison, anyio.current_time()
        self._poison.opened(now)
        filters.opened(now)
        if self.config.reconnect_retries is None:
            self.max_retries: int | None = None
        if self._poison.trial_after_s is not None:
            connection.start(self._poison.run_trial, self.wake)
        if filters.suspects:
            connection.start(filters.run_trial, self._poison, self._try_filter)
        self.connections += 1
        connection.opened()
        self.subscribing.restore(session_present=connack.session_present)
        connection.writer.wake()
        _log.info("connected to %s", self.uri)
        self.events.tell(
            Connected(
                session_present=connack.session_present,
                limits=connack.properties,
                version=self.protocol.version,
                attempts=attempts,
            )
        )

    def _try_filter(self, name: str) -> None:
        self.subscribing.try_again(name)
        self.wake()

    async def _release_held(self, patience_s: float) -> None:
        # A timer of its own: a broker that waits for our acknowledgement may be silent.
        await anyio.sleep(patience_s)
        while self.router.release_some():  # noqa: ASYNC110 - it works, and waits for nothing
            await anyio.lowlevel.checkpoint()

    # -- what goes to the broker ---------------------------------------------------

    async def ready(self) -> None:
        """Wait until there is a connection."""
        await self.until(lambda: self.is_open)

    def wake(self) -> None:
        """There is something to write."""
        if self._connection is not None:
            self._connection.writer.wake()

    def answer(self) -> None:
        """There is something to write that may be the answer to what came."""
        if self._connection is not None:
            self._connection.writer.answer()

    async def drain(self) -> None:
        """Wait while a lot is to be written."""
        while self._connection is not None and is_much(self.protocol.out):
            await self._connection.writer.drain()

    def settle(self, receipt: Ack) -> None:
        """A subscriber has taken a delivery; the last one acknowledges it."""
        takers = receipt.takers = receipt.takers - 1
        if takers <= 0:
            if self.protocol.settle(receipt) and self._connection is not None:
                self._connection.writer.settled()
            if self.ledger.is_paused:
                self.ledger.freed()

    def abandon(self, receipt: Ack) -> None:
        """A subscriber has left without acknowledging a delivery."""
        self.protocol.abandon(receipt)
        self.wake()
        self.ledger.freed()

    async def authenticate_again(self) -> None:
        """Do another exchange on the present connection."""
        await self.ready()
        if self._connection is not None:
            await self._auth_exchanges.again(self._connection)

    async def ping(self) -> None:
        """Ask the broker for a sign of life and wait for it."""
        await self.ready()
        if self._connection is not None:
            await self._pings.ask(self._connection)
