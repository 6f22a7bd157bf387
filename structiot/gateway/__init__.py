"""The gateway: every device of every system on one MQTT broker.

    async with open_gateway(load_config("structiot.toml")) as gateway:
        async with gateway.events() as events:
            async for event in events:
                print(event)

`config/` reads the settings, `drivers/` has one file a system, `entities/` maps the
common model to topics and payloads, and the files here keep devices and broker
together: `supervisor` a device, `commanding` its commands, `face` its topics,
`publisher` the broker, `gateway` all of it.
"""

from __future__ import annotations

from structiot.gateway.config import GatewayConfig, load_config
from structiot.gateway.errors import ConfigProblem, InvalidConfig
from structiot.gateway.events import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    GatewayEvent,
)
from structiot.gateway.gateway import Gateway
from structiot.gateway.opening import open_gateway
from structiot.gateway.supervisor import GatewayDevice

__all__ = [
    "BrokerConnected",
    "BrokerLost",
    "CommandDone",
    "CommandFailed",
    "ConfigProblem",
    "DeviceUpdate",
    "Gateway",
    "GatewayConfig",
    "GatewayDevice",
    "GatewayEvent",
    "InvalidConfig",
    "load_config",
    "open_gateway",
]
