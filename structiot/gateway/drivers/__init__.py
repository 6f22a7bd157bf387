"""What a driver is made of: everything that a package with a system of its own needs.

`Driver` is the class that a package names in its entry point `structiot.drivers`; its
section is a `SystemSection`. The guide "Add a system" follows one from beginning to end.
"""

from __future__ import annotations

from structiot.gateway.config.fields import (
    DeviceId,
    DeviceName,
    Finding,
    Hidden,
    Host,
    Hosts,
    Listening,
    NamedFile,
    Port,
    Section,
    SystemSection,
    beside_config,
    readable,
    seconds,
    secret_in,
)
from structiot.gateway.drivers.driver import (
    DeviceRegistry,
    Driver,
    GatewayView,
    ManagedDevice,
    ServedDevice,
    SimulatesDevices,
    Source,
    TellsStatus,
)
from structiot.gateway.drivers.shared_connection import SharedConnection
from structiot.gateway.installed import installed_drivers, load_driver, with_driver

__all__ = [
    "DeviceId",
    "DeviceName",
    "DeviceRegistry",
    "Driver",
    "Finding",
    "GatewayView",
    "Hidden",
    "Host",
    "Hosts",
    "Listening",
    "ManagedDevice",
    "NamedFile",
    "Port",
    "Section",
    "ServedDevice",
    "SharedConnection",
    "SimulatesDevices",
    "Source",
    "SystemSection",
    "TellsStatus",
    "beside_config",
    "installed_drivers",
    "load_driver",
    "readable",
    "seconds",
    "secret_in",
    "with_driver",
]
