"""How to open a gateway."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from os import PathLike
from typing import Any

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot.gateway.broker import embedded_broker, uri_for_us
from structiot.gateway.broker_connection import BrokerConnection, settings_of
from structiot.gateway.config import GatewayConfig, configuration_of
from structiot.gateway.driver_runner import CLOSE_S
from structiot.gateway.entities.topics import Topics
from structiot.gateway.gateway import Gateway
from structiot.gateway.installed import drivers_of
from structiot.gateway.state_file import StateFile

__all__ = ["open_gateway"]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_gateway(
    config: GatewayConfig | str | PathLike[str] | Mapping[str, Any],
    *,
    state_file: str | PathLike[str] | None = None,
    history_file: str | PathLike[str] | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Gateway]:
    """Serve every configured and found device on one MQTT broker.

    The block is entered at once; the broker and the devices are reached in the
    background, and again whenever they are lost. A broker that refuses the gateway is
    not tried again before `Gateway.reload` (unless `retry_refused` says so); that is an
    event, `BrokerLost`, and the devices are served without it. Leaving the block closes
    the devices and leaves them and the gateway as offline on the broker, also when the
    block is cancelled; a broker that hangs delays that by `goodbye_s` and two seconds at
    most, a disk that hangs by ten seconds. A device or driver that does not close is
    waited for; it is said after five seconds, and the goodbye does not wait for it.
    Where the configuration names no broker, the embedded one runs for the length of the
    block; it is `gateway.broker`.

    Args:
        config: Settings from `load_config`, or what that takes: the path of a TOML
            file, or a mapping of what such a file holds.
        state_file: Where the gateway keeps what outlasts a restart, if the
            configuration names no file; nowhere by default.
        history_file: Where what devices tell is kept, if the configuration names no
            file; nowhere by default. What cannot be used is said, and all goes on without.
        environment: Network, host network, clock and chance; the system's by default;
            the devices are in the same.

    Yields:
        The gateway.

    Raises:
        ConnectFailed: The embedded broker cannot listen at its address.
        ConfigError: The embedded broker cannot use its store or password file, a
            certificate file cannot be used, or the state file is in use by another
            gateway, cannot be read, or is no state file; as `InvalidConfig`, what is wrong with the
            settings.
        UsageError: An argument is of another kind.

    Example:
        >>> async with open_gateway("structiot.toml") as gateway:
        ...     async with gateway.events() as events:
        ...         async for event in events:
        ...             print(event)
    """
    check_argument("state_file", state_file, str, PathLike, None)
    check_argument("history_file", history_file, str, PathLike, None)
    check_argument("environment", environment, Environment)
    source, config = config, await configuration_of(config)
    mqtt = config.mqtt
    topics = Topics(base=mqtt.base_topic, discovery_prefix=mqtt.discovery_prefix)
    async with AsyncExitStack() as stack:
        # Written after the goodbye, which changes what stands on the broker.
        state = await StateFile.open(
            config.gateway.state_file or state_file, environment=environment
        )
        stack.push_async_callback(state.leave)
        broker, uri = None, mqtt.uri
        if uri is None:
            broker = await stack.enter_async_context(
                embedded_broker(config.broker, environment)
            )
            uri = uri_for_us(broker.uri)
        settings = settings_of(config, topics, uri)
        connection = BrokerConnection(settings, environment)
        leaving = anyio.CancelScope(shield=True)
        async with service_group() as holder:
            try:
                async with service_group() as tasks:
                    gateway = Gateway(
                        config,
                        connection,
                        topics,
                        tasks,
                        state=state,
                        environment=environment,
                    )
                    gateway.stand_on(broker, source)
                    gateway.keep_history(history_file)
                    # It outlives a cancelled block, for as long as the goodbye takes.
                    name, service = "structiot.gateway.broker", gateway.broker_service
                    holder.start_soon(
                        connection.run, service.serve, service.parked, name=name
                    )
                    await connection.opened()
                    await service.settled()
                    gateway.start(drivers_of(config, environment))
                    try:
                        yield gateway
                    finally:
                        holder.start_soon(_hurry, gateway, connection, leaving)
                        await gateway.leave_history()  # noqa: ASYNC102 - shielded
            finally:
                leaving.cancel()
                connection.leave()


async def _hurry(
    gateway: Gateway, connection: BrokerConnection, until: anyio.CancelScope
) -> None:
    """Say goodbye although something does not close, and say what."""
    with until:
        await anyio.sleep(CLOSE_S)
        for name in gateway.running():
            _log.warning("%s has not closed after %g s: it delays", name, CLOSE_S)
        connection.leave()
