"""How to open a gateway."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from os import PathLike

import anyio

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot.gateway.broker import embedded_broker, uri_for_us
from structiot.gateway.config import GatewayConfig
from structiot.gateway.drivers import Driver
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.gateway.gateway import Gateway
from structiot.gateway.installed import load_driver
from structiot.gateway.state_file import StateFile
from structiot.mqtt import MqttConfig, Will, open_mqttclient

__all__ = ["open_gateway"]

_BROKER_RETRY_MAX_S = 30.0
# Our own goodbye has been acknowledged when the client says its.
_CLIENT_GOODBYE_S = 1.0


@asynccontextmanager
async def open_gateway(
    config: GatewayConfig,
    *,
    state_file: str | PathLike[str] | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Gateway]:
    """Serve every configured and found device on one MQTT broker.

    The block is entered at once; the broker and the devices are reached in the
    background, and again whenever they are lost. Leaving the block closes the devices
    and leaves them and the gateway as offline on the broker, also when the block is
    cancelled; a broker that hangs delays that by `goodbye_s` and two seconds at most.
    Where the configuration names no broker, the embedded one runs for the length of the
    block; it is `gateway.broker`.

    Args:
        config: Settings, from `load_config`.
        state_file: Where the gateway keeps what outlasts a restart, if the
            configuration names no file; nowhere by default.
        environment: Network, host network, clock and chance; the system's by default;
            the devices are in the same.

    Yields:
        The gateway.

    Raises:
        AuthRefused: The broker does not accept the credentials.
        CertificateRefused: The broker's certificate cannot be trusted.
        CommandRefused: The broker refuses the gateway or its subscriptions.
        ConnectFailed: The embedded broker cannot listen at its address.
        ConfigError: The embedded broker cannot use its store or password file, or the
            state file is in use by another gateway.

    Example:
        >>> async with open_gateway(load_config("structiot.toml")) as gateway:
        ...     async with gateway.events() as events:
        ...         async for event in events:
        ...             print(event)
    """
    mqtt = config.mqtt
    topics = Topics(
        base=mqtt.base_topic,
        discovery_prefix=mqtt.discovery_prefix,
    )
    async with AsyncExitStack() as stack:
        state = await StateFile.open(
            config.gateway.state_file or state_file, environment=environment
        )
        stack.push_async_callback(_leave_state, state)
        broker, uri = None, mqtt.uri
        if uri is None:
            broker = await stack.enter_async_context(
                embedded_broker(config.broker, environment)
            )
            uri = uri_for_us(broker.uri)
        # The client outlives a cancellation of the block for as long as the goodbye takes.
        client = await stack.enter_async_context(
            open_mqttclient(
                uri,
                mqtt.client_id or f"structiot-{config.gateway.id}",
                _client_config(config, topics),
                wait_connected=False,
                environment=environment,
            )
        )
        gateway = None
        try:
            async with service_group() as tasks:
                gateway = Gateway(
                    config, client, topics, tasks, state=state, environment=environment
                )
                gateway.broker = broker
                gateway.start(_drivers_of(config, environment))
                yield gateway
        finally:
            if gateway is not None:
                await gateway.say_goodbye()  # noqa: ASYNC102 - bounded, shielded


async def _leave_state(state: StateFile) -> None:
    with anyio.CancelScope(shield=True):
        await state.save()
    state.close()


def _drivers_of(
    config: GatewayConfig, environment: Environment
) -> dict[str, Callable[[], Driver]]:
    return {
        system: partial(load_driver(system), section, environment)
        for system, section in config.systems.items()
    }


def _client_config(config: GatewayConfig, topics: Topics) -> MqttConfig:
    mqtt = config.mqtt
    return MqttConfig(
        username=mqtt.username,
        password=mqtt.password,
        cafile=mqtt.ca_file,
        certfile=mqtt.cert_file,
        keyfile=mqtt.key_file,
        keyfile_password=mqtt.key_file_password,
        keep_alive=mqtt.keep_alive_s,
        will=Will(
            topic=topics.gateway_availability,
            payload=OFFLINE.encode(),
            qos=1,
            retain=True,
        ),
        reconnect_retries=-1,
        reconnect_max_interval=_BROKER_RETRY_MAX_S,
        goodbye_s=min(_CLIENT_GOODBYE_S, config.gateway.goodbye_s),
        offline_qos0="drop",
    )
