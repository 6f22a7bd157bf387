"""How to open an MQTT client, alone or with one subscription."""

from __future__ import annotations

import string
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import Any

import anyio.to_thread
from anyio.abc import ByteStream

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import REAL_NETWORK, Network
from structiot._kit.net.tls import client_context
from structiot._kit.streams import StreamOpener
from structiot.errors import ConfigError
from structiot.mqtt.client import MqttClient
from structiot.mqtt.codecs import CodecChoice
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.link import ConnectHandshake, Link
from structiot.mqtt.link.broker_address import Address, UriSource
from structiot.mqtt.subscription import Messages
from structiot.mqtt.wire.uri import BrokerUri

__all__ = ["open_mqttclient", "subscription"]

_FOR_TLS = ("ssl_context", "cafile", "capath", "cadata", "certfile", "keyfile")

_ID_CHARACTERS = string.ascii_letters + string.digits


@asynccontextmanager
async def open_mqttclient(
    uri: UriSource | None = None,
    client_id: str | None = None,
    config: MqttConfig | Mapping[str, Any] | None = None,
    codec: CodecChoice = None,
    *,
    engine: str = "structiot",
    wait_connected: bool = True,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MqttClient]:
    """Open a session with an MQTT broker for the length of the block.

    A lost connection is opened again in the background and the session goes on:
    messages of QoS 1 and 2 under way are sent again, subscriptions made again. That
    is tried for ever unless `reconnect_retries` says otherwise; when the schedule
    gives up, the block ends with `LinkLost`. The first connection is given up after
    three attempts, so that a wrong address is told soon.
    Leaving the block finishes what is under way and disconnects, within
    `goodbye_s` seconds, also when the block is cancelled.

    Args:
        uri: `mqtt://user:password@host:port/`, or a callable (sync or async) that is
            asked for it before every attempt; else `config["uri"]`.
        client_id: 1 to 23 letters and digits are safe with every broker. One is made up
            if none is given; an empty one has the broker choose, of whose choice
            `client.client_id` tells (5.0 only: 3.1.1 has no words for it).
        config: Settings by distmqtt's names, or an `MqttConfig`.
        codec: Default codec.
        engine: `"structiot"`, or `"distmqtt"` for the package of that name, with
            less than half of the abilities: see the guide for its users.
        wait_connected: False enters the block at once and connects in the background.
        environment: Network, host network, clock and chance; the system's by default.

    Yields:
        The client.

    Raises:
        ConfigError: Settings that cannot work, or a `store` that somebody else uses.
        UsageError: The `store` could not be written at the end, or was deleted.
        ConnectFailed: The broker could not be reached.
        AuthRefused: The broker does not accept the credentials.
        LinkLost: The connection was lost for good while the block ran; raised at
            the end of the block unless the block itself raised.
    """
    settings = MqttConfig.of(config)
    source = uri or settings.uri
    if source is None:
        raise ConfigError("no broker: give a URI, or 'uri' in the settings")
    if not settings.cleansession and not client_id:
        wish = "cleansession False" if settings.store is None else "store"
        raise ConfigError(f"{wish} needs a client_id, under which the session is kept")
    address = await Address.find(source, max_redirects=settings.max_redirects)
    _check_tls(address.uri, settings)
    chance = environment.random

    async with _connections(
        engine, address.uri, settings, environment.network
    ) as open_stream:
        if engine == "distmqtt":
            settings = settings.with_changes(protocol="3.1.1")
        link = Link(
            address,
            ConnectHandshake(
                settings, _made_up_id(chance) if client_id is None else client_id
            ),
            settings,
            open_stream=lambda: open_stream(link),
            environment=environment,
        )
        client = MqttClient(link, settings, codec)
        async with service_group() as tg:
            try:
                if link.stored_session is not None:
                    tg.start_soon(link.stored_session.run)
                    await link.stored_session.opened()
                tg.start_soon(link.run)
                if wait_connected:
                    await link.accepted()
                yield client
            finally:
                # It shields itself, and within goodbye_s seconds it has left.
                await link.leave(settings.goodbye_s)  # noqa: ASYNC102


def _check_tls(uri: BrokerUri, settings: MqttConfig) -> None:
    """Refuse what is for TLS beside an address without: a password would be read."""
    given = [name for name in _FOR_TLS if getattr(settings, name) is not None]
    if given and not uri.is_tls:
        advice = "" if uri.scheme == "unix" else f"; begin it with {uri.scheme}s://"
        raise ConfigError(
            f"{given[0]}= is for TLS, and the address begins with {uri.scheme}://{advice}"
        )


@asynccontextmanager
async def _connections(
    engine: str, uri: BrokerUri, settings: MqttConfig, network: Network
) -> AsyncGenerator[Callable[[Link], Awaitable[ByteStream]]]:
    """Give what opens the connections of a link under this engine."""
    if engine == "structiot":
        tls = settings.ssl_context or partial(
            client_context,
            cafile=settings.cafile,
            capath=settings.capath,
            cadata=settings.cadata,
            certfile=settings.certfile,
            keyfile=settings.keyfile,
            keyfile_password=settings.keyfile_password,
            check_hostname=settings.check_hostname,
            alpn=settings.alpn,
        )
        streams = StreamOpener(network, proxy=settings.proxy, tls=tls)
        if uri.is_tls:
            # Before the first attempt: files that cannot be read are no lost broker. One
            # may be a pipe, and all that a system trusts is a lot to read.
            await anyio.to_thread.run_sync(streams.tls_context, abandon_on_cancel=True)
        yield lambda link: link.address.connect(streams, settings.extra_headers)
    elif engine == "distmqtt":
        # Its package is an extra, and what is not installed costs nobody anything.
        from structiot.mqtt.link.distmqtt.engine import open_distmqtt  # noqa: PLC0415

        if network is not REAL_NETWORK:
            raise ConfigError("the engine 'distmqtt' opens its connections itself")
        async with open_distmqtt(uri, settings) as open_stream:
            yield lambda link: open_stream(link.uri, link.protocol)
    else:
        raise ConfigError(
            f"unknown engine {engine!r}; there are 'structiot' and 'distmqtt'"
        )


@asynccontextmanager
async def subscription(
    topic: str | Sequence[str] | Mapping[str, int],
    qos: int = 0,
    codec: CodecChoice = None,
    *,
    uri: UriSource,
    **options: Any,  # noqa: ANN401 - those of open_mqttclient
) -> AsyncGenerator[Messages]:
    """Open a client and a subscription in one.

    Args:
        topic: Topic filter; several as a mapping that gives each its QoS.
        qos: Highest QoS wanted; not with a mapping.
        codec: What makes `message.data` of `message.payload`.
        uri: Broker address.
        options: As of `open_mqttclient`.

    Yields:
        The messages, as an async iterable.
    """
    async with (
        open_mqttclient(uri, **options) as client,
        client.subscription(topic, qos=qos, codec=codec) as messages,
    ):
        yield messages


def _made_up_id(random: Random) -> str:
    return "structiot" + "".join(random.choices(_ID_CHARACTERS, k=14))
