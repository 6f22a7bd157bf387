"""The gateway: every device of every system on one MQTT broker.

    async with open_gateway(load_config("structiot.toml")) as gateway:
        async with gateway.events() as events:
            async for event in events:
                print(event)

`config/` reads the settings, `drivers/` has one file a system, `entities/` maps the
common model to topics and payloads. A `DriverRunner` keeps a system's driver running, a
`GatewayDevice` one device open, its `DeviceTopics` on the broker and its commands in
turn; the `DeviceDirectory` knows which place in topics is whose, the `Announcer` what
is announced to Home Assistant and what was left, the `Publisher` what shall stand on the
broker and the `Refusals` what that does not take. The `BrokerConnection` keeps a client,
which the `BrokerService` serves; `links/` joins what the configuration joins; the `Gateway` puts all of it together, anew when the
configuration is reloaded. `Records` in a `StateFile` outlast it.
"""

from __future__ import annotations

from structiot.gateway.config import GatewayConfig, load_config
from structiot.gateway.device import GatewayDevice
from structiot.gateway.errors import (
    CommandExpired,
    ConfigProblem,
    InvalidConfig,
    UnknownEntity,
)
from structiot.gateway.events import (
    BrokerConnected,
    BrokerLost,
    CommandDone,
    CommandFailed,
    DeviceUpdate,
    DriverState,
    DriverUpdate,
    GatewayEvent,
    HistoryFailing,
    HistoryWritten,
    LinksChanged,
    TopicAccepted,
    TopicRefused,
)
from structiot.gateway.gateway import Gateway
from structiot.gateway.opening import open_gateway
from structiot.gateway.status_tree import status_of

__all__ = [
    "BrokerConnected",
    "BrokerLost",
    "CommandDone",
    "CommandExpired",
    "CommandFailed",
    "ConfigProblem",
    "DeviceUpdate",
    "DriverState",
    "DriverUpdate",
    "Gateway",
    "GatewayConfig",
    "GatewayDevice",
    "GatewayEvent",
    "HistoryFailing",
    "HistoryWritten",
    "InvalidConfig",
    "LinksChanged",
    "TopicAccepted",
    "TopicRefused",
    "UnknownEntity",
    "load_config",
    "open_gateway",
    "status_of",
]
