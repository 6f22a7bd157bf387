"""The door to the package distmqtt: `open_mqttclient(..., engine="distmqtt")`.

The package moves the packets, our session does the rest: see `stream`.
It is imported when it is asked for, in a thread, for it reads many files.
"""

from __future__ import annotations

import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
from anyio.abc import ByteStream

from structiot._kit.flow.tasks import service_group
from structiot.errors import ConfigError
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link.distmqtt.connection import Connections
from structiot.mqtt.link.distmqtt.package import Parts
from structiot.mqtt.link.distmqtt.settings import check
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["open_distmqtt"]

OpenStream = Callable[[BrokerUri, ClientProtocol], Awaitable[ByteStream]]


@asynccontextmanager
async def open_distmqtt(
    uri: BrokerUri, config: MqttConfig
) -> AsyncGenerator[OpenStream]:
    """Make connections by the package for the length of the block.

    Yields:
        Opens a connection for a session, which has written its CONNECT already.

    Raises:
        ConfigError: Settings that the package has not, or there is no package.
    """
    check(uri, config)
    parts = await anyio.to_thread.run_sync(_load)
    async with service_group() as tg:
        connections = Connections(config, parts)

        async def open_stream(uri: BrokerUri, protocol: ClientProtocol) -> ByteStream:
            check(uri, config)
            stream: ByteStream = await tg.start(connections.serve, uri, protocol)
            return stream

        yield open_stream


def _load() -> Parts:
    try:
        with warnings.catch_warnings():
            # It says nothing to our users that the package is of its time.
            warnings.simplefilter("ignore")
            from distmqtt import client, errors, utils  # noqa: PLC0415 - an extra
            from distmqtt.plugins import manager  # noqa: PLC0415
    except ImportError as exc:
        raise ConfigError(
            f"the engine 'distmqtt' needs the package distmqtt ({exc}): "
            "pip install 'structiot[distmqtt]'"
        ) from exc

    # It looks for plugins whenever a client is made: let it read the files here.
    list(manager.pkg_resources.iter_entry_points("distmqtt.client.plugins"))

    class OurClient(client.MQTTClient):  # type: ignore[misc]  # it has no types
        """The package's client, with what it lacks to leave nothing behind."""

        async def cut(self) -> None:
            handler = self._handler
            if handler is not None and handler.stream is not None:
                await handler.stream.close()

        async def free(self) -> None:
            for owner in (self._handler, self.session):
                if owner is not None:
                    for value in list(vars(owner).values()):
                        if isinstance(value, utils.Queue):
                            await value.close_sender()
                            await value.close_receiver()

    return Parts(
        make_client=OurClient,
        connect_error=client.ConnectException,
        refused=(errors.MQTTException, errors.CodecException),
    )
