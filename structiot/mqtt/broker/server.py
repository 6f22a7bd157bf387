"""`open_broker`: listeners, authentication, the clock."""

from __future__ import annotations

import ipaddress
import logging
import secrets
import ssl
import string
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from importlib.metadata import version as version_of

import anyio
from anyio.abc import ByteStream, SocketAttribute, TaskGroup
from anyio.streams.tls import TLSStream

from structiot._kit.network import LOST, REAL_NETWORK, Network, TcpListener
from structiot._kit.tasks import service_group
from structiot._kit.websocket import accept_websocket
from structiot.errors import ConfigError, StructiotError
from structiot.mqtt.broker.auth import Passwords, Permission, Permissions
from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.connection import ClientConnection
from structiot.mqtt.broker.core import Broker
from structiot.mqtt.broker.handle import Handle
from structiot.mqtt.wire.messages import Connect, Message
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.uri import BrokerUri, parse_uri

__all__ = ["BrokerServer", "open_broker"]

TICK_S = 1.0
_ID_CHARACTERS = string.ascii_letters + string.digits

_log = logging.getLogger(__name__)


class BrokerServer:
    """A running broker; made by `open_broker`.

    Attributes:
        uris: Where it listens, with the real ports.
        core: Its logic, for programs that look inside.
    """

    def __init__(
        self,
        core: Broker,
        tasks: TaskGroup,
        passwords: Passwords | None,
        *,
        allows_anonymous: bool,
    ) -> None:
        self.uris: list[str] = []
        self.core = core
        self._tasks = tasks
        self._passwords = passwords
        self._allows_anonymous = allows_anonymous
        self._connections = 0
        self._started_at = anyio.current_time()

    @property
    def uri(self) -> str:
        """The first address it listens at."""
        return self.uris[0]

    @property
    def clients(self) -> list[str]:
        """The ids of the clients that are connected."""
        return [
            name for name, one in self.core.sessions.items() if one.handle is not None
        ]

    def publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False
    ) -> int:
        """Publish from inside; give the number of subscribers it goes to."""
        message = Message(topic, payload, qos=qos, retain=retain)
        return self.core.publish(message, anyio.current_time())

    async def serve(
        self, listener: TcpListener, uri: BrokerUri, context: ssl.SSLContext | None
    ) -> None:
        """Serve one listener until cancelled."""

        async def handle(stream: ByteStream) -> None:
            await self._serve_client(stream, uri, context)

        await listener.serve(handle)

    async def _serve_client(
        self, stream: ByteStream, uri: BrokerUri, context: ssl.SSLContext | None
    ) -> None:
        limits = self.core.limits
        host = str(stream.extra(SocketAttribute.remote_address, ("?", 0))[0])
        if self._connections >= limits.connections:
            _log.warning(
                "%d clients are connected, %s is turned away", self._connections, host
            )
            await anyio.aclose_forcefully(stream)
            return
        self._connections += 1
        try:
            ready = await self._prepared(stream, uri, context)
            connection = ClientConnection(
                ready,
                self.core,
                peer=host,
                is_local=_is_loopback(host),
                tasks=self._tasks,
                admit=self._admit,
            )
            await connection.run()
        except (StructiotError, TimeoutError, ssl.SSLError, *LOST) as exc:
            # One client's trouble; everybody else goes on.
            _log.info("client %s: %s", host, exc)
            await anyio.aclose_forcefully(stream)
        finally:
            self._connections -= 1

    async def _prepared(
        self, stream: ByteStream, uri: BrokerUri, context: ssl.SSLContext | None
    ) -> ByteStream:
        with anyio.fail_after(self.core.limits.connect_s):
            if uri.is_tls:
                stream = await TLSStream.wrap(
                    stream,
                    server_side=True,
                    ssl_context=context,
                    standard_compatible=False,
                )
            if uri.is_websocket:
                websocket = await accept_websocket(
                    stream,
                    subprotocols=["mqtt"],
                    max_message_bytes=self.core.limits.packet_bytes,
                )
                stream = websocket.as_byte_stream()
        return stream

    async def _admit(self, handle: Handle, connect: Connect) -> None:
        """Authenticate a client and let it in, or turn it away."""
        reason = await self._refusal(handle, connect)
        if reason is not None:
            _log.info(
                "client %r at %s refused: %s",
                connect.client_id,
                handle.peer,
                reason.text,
            )
            self.core.refuse(handle, reason)
            return
        made_up = "auto" + "".join(secrets.choice(_ID_CHARACTERS) for _ in range(18))
        self.core.accept(handle, connect, anyio.current_time(), made_up_id=made_up)

    async def _refusal(self, handle: Handle, connect: Connect) -> ReasonCode | None:
        if connect.properties.authentication_method is not None:
            return ReasonCode.BAD_AUTHENTICATION_METHOD
        if connect.username is None:
            is_welcome = self._allows_anonymous and handle.is_local
            return None if is_welcome else ReasonCode.NOT_AUTHORIZED
        if self._passwords is None:
            return None if handle.is_local else ReasonCode.NOT_AUTHORIZED
        is_right = await anyio.to_thread.run_sync(
            self._passwords.check, connect.username, connect.password or b""
        )
        return None if is_right else ReasonCode.BAD_USER_NAME_OR_PASSWORD

    async def keep_time(self, sys_interval_s: float | None) -> None:
        """Call the core every second, and publish $SYS at its interval."""
        next_report = anyio.current_time()
        while True:
            now = anyio.current_time()
            self.core.tick(now)
            if sys_interval_s is not None and now >= next_report:
                next_report = now + sys_interval_s
                self._report(now)
            await anyio.sleep(TICK_S)

    def _report(self, now: float) -> None:
        core = self.core
        figures = {
            "version": f"structiot {version_of('structiot')}",
            "uptime": f"{now - self._started_at:.0f} seconds",
            "clients/connected": len(self.clients),
            "clients/total": len(core.sessions),
            "messages/received": core.received,
            "messages/sent": core.sent,
            "publish/messages/dropped": core.dropped,
            "retained messages/count": len(core.retained),
            "subscriptions/count": len(core.tree),
        }
        for name, value in figures.items():
            self.publish(f"$SYS/broker/{name}", str(value).encode(), retain=True)


@asynccontextmanager
async def open_broker(
    *listen: str,
    passwords: Passwords | None = None,
    permissions: Sequence[Permission] = (),
    allows_anonymous: bool | None = None,
    limits: BrokerLimits | None = None,
    ssl_context: ssl.SSLContext | None = None,
    sys_interval_s: float | None = 10.0,
    network: Network = REAL_NETWORK,
) -> AsyncGenerator[BrokerServer]:
    """Run an MQTT broker (3.1.1 and 5.0) for the length of the block.

    Leaving the block disconnects all clients. A client's trouble costs that client.

    Args:
        listen: Addresses such as `mqtt://127.0.0.1:1883`, `mqtts://`, `ws://` or
            `wss://`; port 0 takes a free one. By default `mqtt://127.0.0.1:1883`.
        passwords: Who may connect; without, only clients on this machine may.
        permissions: What users may publish and subscribe; everything without.
        allows_anonymous: Whether clients on this machine need no name; by default
            only when there are no passwords.
        limits: What clients may have.
        ssl_context: Certificate and key for `mqtts` and `wss`.
        sys_interval_s: How often `$SYS` is published; None for never.
        network: Where to listen.

    Yields:
        The broker; `broker.uri` is where to connect.

    Raises:
        ConfigError: An address that cannot be, `mqtts` without a certificate, or an
            address beyond this machine without passwords.
        ConnectFailed: An address cannot be bound.
    """
    uris = [
        parse_uri(text, may_be_any_port=True)
        for text in listen or ("mqtt://127.0.0.1:1883",)
    ]
    for uri in uris:
        if uri.is_tls and ssl_context is None:
            raise ConfigError(f"{uri} needs ssl_context= with a certificate")
        if passwords is None and not _is_loopback(uri.host):
            raise ConfigError(f"{uri} can be reached from outside: give passwords=")
    core = Broker(limits or BrokerLimits(), Permissions(permissions))
    async with AsyncExitStack() as stack:
        listeners = [
            await stack.enter_async_context(network.listen_tcp(uri.host, uri.port or 0))
            for uri in uris
        ]
        tg = await stack.enter_async_context(service_group())
        server = BrokerServer(
            core,
            tg,
            passwords,
            allows_anonymous=passwords is None
            if allows_anonymous is None
            else allows_anonymous,
        )
        for listener, uri in zip(listeners, uris, strict=True):
            host, port = listener.address
            shown = f"[{host}]" if ":" in host else host
            server.uris.append(f"{uri.scheme}://{shown}:{port}")
            tg.start_soon(server.serve, listener, uri, ssl_context)
        tg.start_soon(server.keep_time, sys_interval_s)
        yield server


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
