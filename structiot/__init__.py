"""structiot: what is open is an `async with`, what happens is an `async for`.

The names below are what most programs need; each system's package has the rest.
Errors are imported at once, everything else when it is first asked for, so that
`import structiot` costs next to nothing.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot import errors as _errors
from structiot._kit.lazy import lazy_exports
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    CommandRefused,
    ConfigError,
    ConnectFailed,
    DeviceReplaced,
    InternalError,
    LinkLost,
    Overflowed,
    PeerError,
    ProtocolViolation,
    RateLimited,
    ReplyTimeout,
    StructiotError,
    TransportError,
    UnsupportedDevice,
    UsageError,
)

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot._kit.environment import Environment
    from structiot.connector import open_connector
    from structiot.gateway import load_config, open_gateway
    from structiot.manager import open_manager, open_manager_client
    from structiot.maxsmart import discover_maxsmart, maxsmart_device
    from structiot.meross import open_meross, open_meross_lan
    from structiot.model import Availability, Reading, StateChange
    from structiot.mqtt import open_mqttclient, subscription

__all__ = [
    # MQTT
    "open_mqttclient",
    "subscription",
    # MaxSmart
    "discover_maxsmart",
    "maxsmart_device",
    # Meross
    "open_meross",
    "open_meross_lan",
    # Device manager
    "open_manager",
    "open_manager_client",
    # Platform connector
    "open_connector",
    # Gateway
    "load_config",
    "open_gateway",
    # Errors
    "AuthRefused",
    "CertificateRefused",
    "CommandRefused",
    "ConfigError",
    "ConnectFailed",
    "DeviceReplaced",
    "InternalError",
    "LinkLost",
    "Overflowed",
    "PeerError",
    "ProtocolViolation",
    "RateLimited",
    "ReplyTimeout",
    "StructiotError",
    "TransportError",
    "UnsupportedDevice",
    "UsageError",
    # Where it runs
    "Environment",
    # What every system reports
    "Availability",
    "Reading",
    "StateChange",
]

# A traceback shows the name by which users know and import an error.
for _name in _errors.__all__:
    getattr(_errors, _name).__module__ = __name__
del _name
