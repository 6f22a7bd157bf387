"""Your own devices, offered to a SEPL or SENERGY platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.connector.config import ConnectorConfig, LogConfig
    from structiot.connector.device import Device
    from structiot.connector.device_manager import DeviceManager
    from structiot.connector.device_pool import DevicePool
    from structiot.connector.device_store import DeviceStore
    from structiot.connector.logs import connector_logging

__all__ = [
    "ConnectorConfig",
    "Device",
    "DeviceManager",
    "DevicePool",
    "DeviceStore",
    "LogConfig",
    "connector_logging",
]
