"""Your own devices, offered to a SEPL or SENERGY platform.

devices = DevicePool()
devices.add(Device("lamp-1", "iot#lamp", "Lamp"))
async with (
    open_connector("connector.conf", devices=devices) as connector,
    connector.commands() as commands,
):
    async for command in commands:
        await command.respond({"status": 0})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.connector.command import Command
    from structiot.connector.config import ConnectorConfig, LogConfig
    from structiot.connector.connector import Connector
    from structiot.connector.device import Device
    from structiot.connector.device_manager import DeviceManager
    from structiot.connector.device_pool import DevicePool
    from structiot.connector.device_store import DeviceStore
    from structiot.connector.errors import PlatformRefused
    from structiot.connector.logs import connector_logging
    from structiot.connector.opening import open_connector
    from structiot.connector.platform import PlatformResponse
    from structiot.connector.states import (
        Authenticating,
        Connecting,
        ConnectorState,
        Ended,
        Ready,
        Synchronising,
        Waiting,
    )

__all__ = [
    "Authenticating",
    "Command",
    "Connecting",
    "Connector",
    "ConnectorConfig",
    "ConnectorState",
    "Device",
    "DeviceManager",
    "DevicePool",
    "DeviceStore",
    "Ended",
    "LogConfig",
    "PlatformRefused",
    "PlatformResponse",
    "Ready",
    "Synchronising",
    "Waiting",
    "connector_logging",
    "open_connector",
]
