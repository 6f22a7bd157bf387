"""`open_broker`: who may connect where, and the broker's clock."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Generator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from importlib.metadata import version as version_of
from pathlib import Path

import anyio
import anyio.lowlevel
from anyio.abc import ByteStream

from structiot._kit.arguments import check_argument, check_context, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import is_loopback
from structiot._kit.net.serving import Endpoint, ServingLimits, serve_clients
from structiot._kit.websocket import Origins, accept_websocket
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.broker.access import Access, checked_methods
from structiot.mqtt.broker.admission import Admission
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.connection import BrokerContext, ClientConnection
from structiot.mqtt.broker.core import Broker
from structiot.mqtt.broker.enhanced_auth import Authenticator
from structiot.mqtt.broker.passwords import Passwords
from structiot.mqtt.broker.permission_entries import Permission
from structiot.mqtt.broker.store_writer import open_store
from structiot.mqtt.client.arguments import checked_qos, name_of
from structiot.mqtt.codecs import NoopCodec
from structiot.mqtt.wire.messages import Message
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import name_fault
from structiot.mqtt.wire.uri import BrokerUri, parse_uri

__all__ = ["BrokerServer", "open_broker"]

# Read once at import: it looks into files, which no event loop should wait for.
_VERSION = f"structiot {version_of('structiot')}"

# A PUBLISH ends at 268,435,455 bytes, its topic and properties included.
LARGEST_PAYLOAD_BYTES = 268_369_000
_CODEC = NoopCodec()

# One of so many connections is kept for addresses that have few.
SPARE = 32
# What is still done at the end, of what had been left to do.
LAST_PORTION = 500_000

_log = logging.getLogger(__name__)


class BrokerServer:
    """A running broker; made by `open_broker`.

    Attributes:
        uris: Where it listens, with the real ports.
        core: Its logic, for programs that look inside.
    """

    def __init__(self, core: Broker, context: BrokerContext, access: Access) -> None:
        self.uris: list[str] = []
        self.core = core
        self._access = access
        self._context = context
        self._alarm = anyio.Event()
        self._wanted = anyio.Event()
        core.deadlines.on_earlier = self._ring
        core.work.on_added = self._want
        # What `$SYS` told last, where late subscribers get that.
        self._told: dict[str, bytes] = {}
        self._started_at = anyio.current_time()

    def _ring(self) -> None:
        self._alarm.set()

    def _want(self) -> None:
        self._wanted.set()

    @property
    def uri(self) -> str:
        """The first address it listens at."""
        return self.uris[0]

    @property
    def clients(self) -> list[str]:
        """The ids of the clients that are connected."""
        return [
            name for name, one in self.core.sessions.items() if one.client is not None
        ]

    def publish(
        self,
        topic: str | Sequence[str],
        payload: bytes | str,
        *,
        qos: int = 0,
        retain: bool = False,
    ) -> int:
        """Publish from inside; a plain function: nothing waits, there is no `await`.

        Args:
            topic: Topic name, or its levels.
            payload: Bytes, or a text, which goes as UTF-8; 268,369,000 bytes at most.
            qos: 0, 1 or 2.
            retain: Whether the broker keeps it for later subscribers.

        Returns:
            The number of subscribers it goes to.

        Raises:
            UsageError: A topic, payload, QoS or `retain` that cannot be published.
        """
        name = name_of(topic)
        fault = name_fault(name) or self.core.character_fault(name)
        if fault is not None:
            raise UsageError(f"topic name {name[:64]!r} {fault}")
        check_argument("retain", retain, bool)
        if retain and not self.core.limits.retain_available:
            raise UsageError("this broker retains nothing: retain_available=False")
        try:
            content = _CODEC.encode(payload)
        except (TypeError, ValueError) as exc:
            raise UsageError(f"cannot encode the payload: {exc}") from exc
        if len(content) > LARGEST_PAYLOAD_BYTES:
            raise UsageError(f"a payload of {len(content)} bytes is more than MQTT has")
        message = Message(name, content, qos=checked_qos(qos), retain=retain)
        number = self.core.publish(message, anyio.current_time())
        self._context.flush()
        return number

    def disconnect(self, client_id: str) -> bool:
        """End a client's connection, its session as if it had broken; False if none.

        A client of 5.0 is told that it is an administrative action.
        """
        session = self.core.sessions.get(client_id)
        if session is None or session.client is None:
            return False
        reason = ReasonCode.ADMINISTRATIVE_ACTION
        self.core.cut(session.client, reason, anyio.current_time())
        self._context.flush()
        return True

    async def reload(self) -> None:
        """Read the files of passwords and permissions again, and go by them.

        Whoever connects from now on is asked for the new password. Who is connected by a
        name that is gone, or that has another hash, is cut off (5.0: with 0x87). What the
        others may do is seen at their next packet, and at the next message for them; what
        waits for them and may not be received any more is given up.

        Cancelled while the files are read, nothing has changed; after that it goes on.

        Raises:
            ConfigError: A file cannot be read, has something else in it, or no users
                any more: nothing has changed.
        """
        await self._access.reload(self._context)

    def goodbyes(self) -> Generator[None]:
        """Tell one client at each step that the broker ends."""
        core, now = self.core, anyio.current_time()
        try:
            for _ in core.shut_down(now):
                self._context.flush()
                yield
        finally:
            core.work_off(now, most=LAST_PORTION)
            self._context.flush()

    # -- time ----------------------------------------------------------------------

    async def keep_time(self, sys_interval_s: float | None) -> None:
        """Call the core when something is due, and publish $SYS at its interval."""
        report_at = anyio.current_time()
        while True:
            now = anyio.current_time()
            self.core.tick(now)
            if sys_interval_s is not None and now >= report_at:
                report_at = now + sys_interval_s
                self._report(now)
            self._context.flush()
            self._alarm = anyio.Event()
            next_at = self.core.deadlines.next_at
            wake_at = float("inf") if next_at is None else next_at
            if sys_interval_s is not None:
                wake_at = min(wake_at, report_at)
            with anyio.CancelScope(deadline=wake_at):
                await self._alarm.wait()

    async def work_off(self) -> None:
        """Do what takes long a portion at a time, and let the others do something."""
        core = self.core
        while True:
            await self._wanted.wait()
            self._wanted = anyio.Event()
            core.work_off(anyio.current_time())
            self._context.flush()
            if core.work:
                self._wanted.set()
            await anyio.lowlevel.checkpoint()

    def _report(self, now: float) -> None:
        core, is_kept = self.core, self.core.limits.retain_available
        figures = {
            "version": _VERSION,
            "uptime": f"{now - self._started_at:.0f} seconds",
            "clients/connected": len(core.sessions) - len(core.away),
            "clients/disconnected": len(core.away),
            "clients/total": len(core.sessions),
            "messages/received": core.received,
            "messages/sent": core.sent,
            "publish/messages/dropped": core.lost,
            "retained messages/count": len(core.retained),
            "subscriptions/count": core.subscriptions,
        }
        if self._context.store_writer is not None:
            figures["store/failures"] = self._context.store_writer.failures
        for name, value in figures.items():
            text = str(value).encode()
            if self._told.get(name) == text:
                continue
            if is_kept:
                self._told[name] = text
            message = Message(f"$SYS/broker/{name}", text, retain=is_kept)
            core.publish(message, now)


@asynccontextmanager
async def open_broker(
    *listen: str,
    passwords: Passwords | str | Path | None = None,
    authenticators: Mapping[str, Authenticator] | None = None,
    permissions: Sequence[Permission] | str | Path = (),
    allows_anonymous: bool | None = None,
    limits: BrokerLimits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    allowed_origins: Sequence[str] = (),
    store: str | Path | None = None,
    store_patience_s: float | None = None,
    sys_interval_s: float | None = 10.0,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[BrokerServer]:
    """Run an MQTT broker (3.1.1 and 5.0) for the length of the block.

    Leaving the block disconnects all clients. A client's trouble costs that client.

    Args:
        listen: Addresses such as `mqtt://127.0.0.1:1883`, `mqtts://`, `ws://` or
            `wss://`; port 0 takes a free one. By default `mqtt://127.0.0.1:1883`.
        passwords: Who may connect, or the path of a password file; without, only
            clients on this machine may.
        authenticators: Callbacks by method, for clients of 5.0 with enhanced
            authentication. The one called `""` is asked instead of `passwords` about
            clients without a method, of 3.1.1 as well; these cannot be challenged.
        permissions: What users may publish, subscribe and receive, or the path of a
            file with `[[permission]]` tables or of Mosquitto's `acl_file`; everything
            without.
        allows_anonymous: Whether clients on this machine need no name; by default
            only when there are neither passwords nor authenticators.
        limits: What clients may have.
        ssl_context: Certificate and key for `mqtts` and `wss`.
        allowed_origins: Web pages that may connect by websocket, such as
            `https://house.example`, besides those that the broker's own address shows;
            `*` is all. Who names no origin is no browser, and may.
        store: An SQLite file that keeps lasting sessions and retained messages beyond
            the end of the process, however it comes.
        store_patience_s: How long that is waited for which depends on a store that cannot be
            written, as on a full disk. Then it goes on without: what is acknowledged is
            safe only once the store is written again. None waits for ever.
        sys_interval_s: How often what has changed of `$SYS` is published; None for never.
        environment: Network, host network, clock and chance; the system's by default.

    Yields:
        The broker; `broker.uri` is where to connect.

    Raises:
        ConfigError: An address that cannot be, `mqtts` without a certificate, an
            address beyond this machine without passwords or authenticators, an
            origin that is none, or a file or a store that cannot be used.
        ConnectFailed: An address cannot be bound.
        UsageError: An argument of another class.
    """
    check_argument("allows_anonymous", allows_anonymous, bool, None)
    check_argument("limits", limits, BrokerLimits, None, write="BrokerLimits(queued=9)")
    check_argument("store", store, str, Path, None)
    check_argument("store_patience_s", store_patience_s, float, None)
    check_argument("environment", environment, Environment)
    methods = checked_methods(authenticators)
    interval_s = _interval_s(sys_interval_s)
    access = Access(passwords, permissions)
    known, rules = await access.read()
    is_open_to_all = known is None and not methods
    uris = _addresses(listen, is_open_to_all=is_open_to_all, context=ssl_context)
    origins = Origins(allowed_origins)
    core = Broker(limits or BrokerLimits(), rules)
    if allows_anonymous is None:
        allows_anonymous = is_open_to_all
    admission = Admission(
        core,
        passwords=known,
        authenticators=methods,
        allows_anonymous=allows_anonymous,
    )
    async with AsyncExitStack() as stack:
        store_writer = None
        if store is not None:
            store_writer = await stack.enter_async_context(
                open_store(
                    core, store, environment.now_utc, patience_s=store_patience_s
                )
            )
        context = BrokerContext(core, admission, store_writer)
        server = BrokerServer(core, context, access)
        tg = await stack.enter_async_context(service_group())
        if store_writer is not None:
            tg.start_soon(store_writer.run)
        clients = await stack.enter_async_context(
            serve_clients(
                environment.network,
                [_endpoint(uri, core.limits, ssl_context, origins) for uri in uris],
                lambda stream: ClientConnection(stream, context).run(),
                limits=_serving(core.limits),
                goodbyes=server.goodbyes,
                log=_log,
            )
        )
        for uri, (host, port) in zip(uris, clients.addresses, strict=True):
            server.uris.append(str(replace(uri, host=host, port=port)))
        tg.start_soon(server.keep_time, interval_s)
        tg.start_soon(server.work_off)
        yield server


def _serving(limits: BrokerLimits) -> ServingLimits:
    return ServingLimits(
        clients=limits.connections,
        spare=limits.connections // SPARE,
        unidentified=limits.connections,
        first_words_s=limits.connect_s,
        stall_s=limits.stall_s,
    )


def _interval_s(given: float | None) -> float | None:
    check_argument("sys_interval_s", given, float, None)
    if given is not None and not given > 0:
        raise UsageError(f"sys_interval_s is above 0, or None for never, not {given}")
    return given


def _endpoint(
    uri: BrokerUri,
    limits: BrokerLimits,
    context: ssl.SSLContext | None,
    origins: Origins,
) -> Endpoint:
    async def upgrade(stream: ByteStream) -> ByteStream:
        websocket = await accept_websocket(
            stream,
            subprotocols=["mqtt"],
            origins=origins,
            max_message_bytes=limits.packet_bytes,
        )
        return websocket.as_byte_stream()

    return Endpoint(
        host=uri.host,
        port=uri.port or 0,
        ssl_context=context if uri.is_tls else None,
        upgrade=upgrade if uri.is_websocket else None,
    )


def _addresses(
    listen: Sequence[str], *, is_open_to_all: bool, context: ssl.SSLContext | None
) -> list[BrokerUri]:
    check_items("listen", listen, str, write="'mqtt://127.0.0.1:1883'")
    check_context("ssl_context", context, is_server=True)
    uris = [
        parse_uri(text, may_be_any_port=True)
        for text in listen or ("mqtt://127.0.0.1:1883",)
    ]
    for uri in uris:
        if uri.scheme == "unix":
            raise ConfigError(f"{uri}: a broker listens on TCP")
        if uri.is_tls and context is None:
            raise ConfigError(f"{uri} needs ssl_context= with a certificate")
        if is_open_to_all and not is_loopback(uri.host):
            raise ConfigError(f"{uri} can be reached from outside: give passwords=")
    return uris
