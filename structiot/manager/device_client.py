"""The device's side: `open_manager_client`, and the connection that it gives."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager

from structiot._kit.arguments import check_argument, check_context, check_port_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.redact import Secret
from structiot.errors import ConfigError, UsageError
from structiot.manager.dialling import DiallingIn
from structiot.manager.errors import ConnectionEnd
from structiot.manager.limits import check_seconds
from structiot.manager.payloads import payload_of
from structiot.manager.secrets import DeviceSecret, bytes_of
from structiot.manager.unacknowledged import new_message_id
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import Info, canonical_uuid
from structiot.manager.wire.native import NativeDevice

__all__ = ["ManagedDevice", "open_manager_client"]


class ManagedDevice:
    """A device as it is connected to its manager; made by `open_manager_client`.

    Iterate over it for what the manager sends; that ends with the block.
    """

    def __init__(self, dialling: DiallingIn, environment: Environment) -> None:
        self._dialling = dialling
        self._environment = environment

    def __repr__(self) -> str:
        return f"<ManagedDevice {self.info.uuid} of type {self.info.type!r}>"

    @property
    def info(self) -> Info:
        """Who it says that it is."""
        return self._dialling.info

    @property
    def dialect(self) -> Dialect | None:
        """What is spoken; None before the first connection where that is detected."""
        return self._dialling.dialect

    @property
    def is_connected(self) -> bool:
        """Whether the manager knows who it is, and is there."""
        return self._dialling.is_connected

    async def wait_connected(self) -> None:
        """Wait for a connection.

        Raises:
            StructiotError: There will be none any more.
        """
        await self._dialling.until(lambda: self.is_connected)

    async def send(self, data: bytes | str) -> None:
        """Send a message; text as UTF-8. Waits for a connection if there is none.

        In our own dialect it returns when the manager has acknowledged it, and what was
        not acknowledged is sent again on the next connection, as long as somebody waits
        here; in others it returns when the system's network has taken it. Cancelled, it
        may have arrived.

        Raises:
            UsageError: It is too long, or a manager would take it for something else.
            ConnectionEnd: The connection has ended meanwhile; it may have arrived.
            StructiotError: There will be no connection any more.
        """
        payload = payload_of(data)
        dialling, waiting = self._dialling, self._dialling.unacknowledged
        await self.wait_connected()
        side = dialling.side
        if side is None:
            raise ConnectionEnd("there is no connection")
        if not isinstance(side, NativeDevice):
            await dialling.write(side.write(payload))
            return
        await waiting.wait_for_room()
        message_id = new_message_id(self._environment.random)
        frame = side.write(payload, message_id)
        with waiting.under_way(message_id, payload) as reply:
            if self.is_connected:
                await dialling.write_if_connected(frame)
            await reply.wait()

    def describe(self, data: Mapping[str, object]) -> None:
        """Say other data when the manager asks the next time who it is.

        Raises:
            UsageError: They cannot be written as JSON, or are too long.
        """
        info = Info(uuid=self.info.uuid, type=self.info.type, data=data)
        info.encode()
        self._dialling.info = info

    def __aiter__(self) -> Mailbox[bytes]:
        """Iterate over what the manager sends."""
        return aiter(self._dialling.inbox)


@asynccontextmanager
async def open_manager_client(
    host: str,
    port: int = 8595,
    *,
    uuid: str,
    type: str,  # noqa: A002 - the field's word
    data: Mapping[str, object] | None = None,
    dialect: Dialect | str | None = None,
    secret: DeviceSecret | None = None,
    ssl_context: ssl.SSLContext | None = None,
    heartbeat_s: float = 60.0,
    max_items: int = 256,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[ManagedDevice]:
    """Dial in to a manager, as a device does, and stay connected for the block.

    It says who it is whenever it is asked, answers heartbeats, and connects anew when
    the connection is lost or the manager falls silent; after a goodbye not before half a
    minute, for another device may have its UUID.

    Args:
        host: The manager's address or name.
        port: Its TCP port.
        uuid: Which device it is.
        type: What it is.
        data: What else it says of itself.
        dialect: What is spoken; by default what the manager begins with, D1 where that
            may be D2.
        secret: What it shares with the manager. With it only our own dialect is spoken,
            and nothing is believed of a manager that has not proven that it knows it, too.
        ssl_context: Whom to trust; None is no TLS.
        heartbeat_s: How often the manager asks, where it does not say so itself; after
            twice that and 15 s of silence the connection is given up.
        max_items: Messages that wait for a slow consumer; the oldest are dropped.
        environment: Network, clock and chance; the system's by default.

    Yields:
        The device, not connected yet: see `wait_connected`.

    Raises:
        ConfigError: No such dialect, one that has no secrets, an empty secret, or a time
            that cannot be.
        UsageError: No UUID, a type or data that cannot be, an argument of another class.
        AuthRefused: The manager, or its TLS, refuses the device for good: it wants a
            secret and none or another was given, or does not take the type; or it has not
            proven that it knows the secret itself. It ends the block at any time; in D0 to
            D4 a manager cannot say so, and the device asks again, ever more rarely.
        CertificateRefused: The manager's certificate is not one that we accept.
    """
    check_argument("host", host, str)
    check_port_argument("port", port)
    check_context("ssl_context", ssl_context, is_server=False)
    check_argument("secret", secret, str, bytes, Secret, None)
    check_argument("data", data, Mapping, None)
    check_seconds("heartbeat_s", heartbeat_s)
    try:
        spoken = None if dialect is None else Dialect(dialect)
    except ValueError:
        message = f"no dialect {dialect!r}; there are {', '.join(Dialect)}"
        raise ConfigError(message) from None
    if secret is not None and spoken not in {None, Dialect.STRUCTIOT}:
        raise ConfigError(f"a secret is of our own dialect; {spoken} knows of none")
    info = Info(uuid=canonical_uuid(uuid), type=type, data=data or {})
    info.encode()
    dialling = DiallingIn(
        host,
        port,
        info,
        dialect=spoken,
        secret=None if secret is None else bytes_of(secret),
        ssl_context=ssl_context,
        heartbeat_s=heartbeat_s,
        max_items=max_items,
        environment=environment,
    )
    async with service_group() as tg:
        tg.start_soon(dialling.run, name="structiot.manager client")
        try:
            yield ManagedDevice(dialling, environment)
        finally:
            dialling.end(UsageError("the block of open_manager_client has ended"))
            dialling.inbox.close()
