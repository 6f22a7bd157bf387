"""The device manager in the gateway: its section of the configuration, its driver, a fleet."""

from __future__ import annotations

from structiot.gateway.drivers.manager.driver import ManagerDriver
from structiot.gateway.drivers.manager.entities import (
    ManagerBinarySensorSection,
    ManagerButtonSection,
    ManagerEventSection,
    ManagerLockSection,
    ManagerSensorSection,
    ManagerSirenSection,
    ManagerSwitchSection,
    ManagerTextSection,
    ManagerUpdateSection,
)
from structiot.gateway.drivers.manager.section import (
    ManagerListenerSection,
    ManagerSection,
    ManagerTypeSection,
)

__all__ = [
    "ManagerBinarySensorSection",
    "ManagerButtonSection",
    "ManagerDriver",
    "ManagerEventSection",
    "ManagerListenerSection",
    "ManagerLockSection",
    "ManagerSection",
    "ManagerSensorSection",
    "ManagerSirenSection",
    "ManagerSwitchSection",
    "ManagerTextSection",
    "ManagerTypeSection",
    "ManagerUpdateSection",
]
