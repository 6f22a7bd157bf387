"""From a broker's address to a byte stream."""

from __future__ import annotations

from anyio.abc import ByteStream

from structiot._kit.network import Network
from structiot.errors import ConfigError
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["open_transport"]


async def open_transport(uri: BrokerUri, network: Network) -> ByteStream:
    """Open the stream that MQTT packets travel in.

    Raises:
        ConnectFailed: Nobody there, refused, or the name is unknown.
        ConfigError: A scheme that this version does not speak.
    """
    if uri.scheme != "mqtt" or uri.port is None:
        raise ConfigError(f"{uri}: this version speaks mqtt:// (TCP) only")
    return await network.connect_tcp(uri.host, uri.port)
