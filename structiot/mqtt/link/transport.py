"""From a broker's address to the byte stream that MQTT packets travel in."""

from __future__ import annotations

import anyio
from anyio.abc import ByteStream, SocketAttribute

from structiot._kit.net.network import Network
from structiot._kit.net.proxy import connect_through, parse_proxy
from structiot._kit.net.sockets import AcceptedStream
from structiot._kit.net.tls import client_context, start_tls
from structiot._kit.websocket import connect_websocket
from structiot.errors import ConnectFailed
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link.broker_address import Address
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["Transport"]


class Transport:
    """Opens streams to a broker."""

    def __init__(self, config: MqttConfig, network: Network) -> None:
        self._config = config
        self._network = network
        self._ssl_context = config.ssl_context
        self._proxy = None if config.proxy is None else parse_proxy(config.proxy)

    def prepare(self, uri: BrokerUri) -> None:
        """Read the TLS files before the first attempt, if there will be need of them.

        Raises:
            ConfigError: They cannot be read or used.
        """
        config = self._config
        if uri.is_tls and self._ssl_context is None:
            self._ssl_context = client_context(
                cafile=config.cafile,
                capath=config.capath,
                cadata=config.cadata,
                certfile=config.certfile,
                keyfile=config.keyfile,
                check_hostname=config.check_hostname,
                alpn=config.alpn,
            )

    async def open(self, address: Address) -> ByteStream:
        """Open one connection; the caller sets the deadline.

        Raises:
            ConnectFailed: Nobody there, refused, or TLS or websocket failed.
            CertificateRefused: The broker's certificate cannot be trusted.
            AuthRefused: The websocket was refused with 401 or 403.
        """
        uri = address.uri
        self.prepare(uri)
        address.step = "a connection"
        if uri.port is None:
            return await _connect_unix(uri.host)
        stream = await self._connect_tcp(uri.host, uri.port)
        try:
            if uri.is_tls and self._ssl_context is not None:
                address.step = "the TLS handshake"
                stream = await start_tls(
                    stream, self._ssl_context, host=uri.host, port=uri.port
                )
            if uri.is_websocket:
                address.step = "the websocket handshake"
                websocket = await connect_websocket(
                    stream,
                    host=uri.authority,
                    path=uri.path,
                    subprotocols=["mqtt"],
                    headers=self._config.extra_headers,
                )
                stream = websocket.as_byte_stream()
        except ConnectFailed as exc:
            await anyio.aclose_forcefully(stream)
            exc.port = uri.port
            raise
        except BaseException:
            await anyio.aclose_forcefully(stream)
            raise
        return stream

    async def _connect_tcp(self, host: str, port: int) -> ByteStream:
        if self._proxy is None:
            return await self._network.connect_tcp(host, port)
        return await connect_through(self._network, self._proxy, host, port)


async def _connect_unix(path: str) -> ByteStream:
    try:
        # anyio's own stream over asyncio fails in the loop when it is closed at once
        # after a cancelled read, if something came in that moment.
        async with await anyio.connect_unix(path) as stream:
            connected = stream.extra(SocketAttribute.raw_socket).dup()
        return AcceptedStream(connected, (path, 0))
    except OSError as exc:
        message = f"cannot connect to the socket {path}: {exc.strerror or exc}"
        raise ConnectFailed(message, host=path) from exc
