"""The package's connections, one after the other, and what each has ended with."""

from __future__ import annotations

import ssl

import anyio
from anyio.abc import ByteStream, TaskGroup, TaskStatus

from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import place, reason_of
from structiot.errors import CertificateRefused, ConnectFailed, StructiotError
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link.distmqtt.package import Package, Parts
from structiot.mqtt.link.distmqtt.settings import package_config, websocket_headers
from structiot.mqtt.link.distmqtt.stream import PackageStream
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.messages import Connect
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["Connections"]

# More are left to the package until our session has acknowledged some.
MAX_WINDOW = 1000
LOCAL_FAILURE = 0x7F


class Connections:
    """Makes connections; whatever the package raises ends one of them."""

    def __init__(self, config: MqttConfig, parts: Parts) -> None:
        self._config = config
        self._parts = parts
        self._next_id = 0

    async def serve(
        self,
        uri: BrokerUri,
        protocol: ClientProtocol,
        *,
        task_status: TaskStatus[ByteStream],
    ) -> None:
        """Connect, give the stream, and serve it until either side is done.

        Raises:
            ConfigError: Credentials that the package cannot take.
            ConnectFailed: There is nobody, or nobody whom we trust.
        """
        one = _Connection(uri, self._config, self._parts, protocol)
        try:
            with anyio.CancelScope() as scope:
                async with service_group() as tg:
                    stream = await one.open(tg, skip_ids=self._next_id)
                    task_status.started(stream)
                    # Our session says goodbye also when it is cancelled, and always
                    # closes the stream.
                    scope.shield = True
                    await stream.serve()
        except Exception as exc:  # the package raises anything
            if one.stream is not None:
                await one.stream.end(exc)  # noqa: ASYNC120 - cancelled, it is over anyway
            elif isinstance(exc, StructiotError):
                raise
            else:
                raise one.failed(exc) from exc
        else:
            if one.stream is not None:
                await one.stream.end(None)
        finally:
            # It shields itself and is bounded.
            self._next_id = await one.close()  # noqa: ASYNC102


class _Connection:
    """One connection of the package.

    Attributes:
        stream: What our session reads and writes; there is one after `open`.
    """

    def __init__(
        self,
        uri: BrokerUri,
        config: MqttConfig,
        parts: Parts,
        protocol: ClientProtocol,
    ) -> None:
        self.stream: PackageStream | None = None
        self._uri = uri
        self._config = config
        self._parts = parts
        self._protocol = protocol
        self._package: Package | None = None

    async def open(self, tg: TaskGroup, *, skip_ids: int) -> PackageStream:
        """Connect, or raise whatever the package raises."""
        connect = Decoder(role="server").feed(self._protocol.out)[0]
        assert isinstance(connect, Connect)  # noqa: S101 - our own session wrote it
        values = package_config(self._uri, self._config, connect)
        package = self._parts.make_client(tg, connect.client_id, values)
        self._package = package
        headers = websocket_headers(self._config.extra_headers)
        code = 0
        try:
            await package.connect(extra_headers=headers)
        except self._parts.connect_error as exc:
            code = int(getattr(exc, "return_code", LOCAL_FAILURE))
            if not 0 < code < LOCAL_FAILURE:
                raise
        session = package.session
        if session is not None and not connect.clean_start:
            # The broker may remember ids of the connection before this one, and would
            # take a new message for an old one.
            while session.next_packet_id < skip_ids:
                pass
        self.stream = PackageStream(
            package,
            tg,
            self._protocol,
            window=min(self._config.delivery_window, MAX_WINDOW),
            refused=self._parts.refused,
        )
        self.stream.answer(code)
        return self.stream

    def failed(self, exc: BaseException) -> ConnectFailed:
        """Make an error of what the package has raised while it was opened."""
        cause = exc.__cause__ or exc
        host, port = self._uri.host, self._uri.port
        where = place(host, port or 0)
        if isinstance(cause, ssl.SSLCertVerificationError):
            message = f"the certificate of {where} is refused: {cause.verify_message}"
            return CertificateRefused(message, host=host, port=port)
        message = f"cannot connect to {where}: {reason_of(cause)}"
        return ConnectFailed(message, host=host, port=port)

    async def close(self) -> int:
        """Leave nothing open; give the packet id that comes next."""
        package = self._package
        if package is None or package.session is None:
            return 0
        next_id = package.session.next_packet_id
        with anyio.CancelScope(shield=True) as scope:
            # Closing politely waits for a peer; who wanted that has said goodbye.
            scope.cancel()
            await package.cut()
        with anyio.CancelScope(shield=True):
            await package.free()
        return next_id
