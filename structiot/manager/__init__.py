"""Devices that dial in by TCP, say who they are, and exchange messages.

    async with open_manager(["lamp"]) as manager, manager.events() as events:
        async for event in events:
            match event:
                case ClientConnected(client=client):
                    await client.send("hello client")
                case MessageReceived(client=client, data=data):
                    print(f"{client.uuid} says {data!r}")

`open_manager_client` is the other side: a device that dials in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.manager.backplane.opening import open_backplane
    from structiot.manager.backplane.remote_client import RemoteClient
    from structiot.manager.base_client import BaseClient
    from structiot.manager.client import ManagerClient
    from structiot.manager.device_client import ManagedDevice, open_manager_client
    from structiot.manager.errors import ConnectionEnd, FateUnknown, InvalidInfo
    from structiot.manager.events import (
        ClientConnected,
        ClientDisconnected,
        ClientRefused,
        ClientReplaced,
        ManagerEvent,
        MessageReceived,
    )
    from structiot.manager.limits import Listener, ManagerLimits
    from structiot.manager.manager import Manager, SendReport
    from structiot.manager.opening import open_manager
    from structiot.manager.secrets import DeviceSecret
    from structiot.manager.wire.dialects import Dialect
    from structiot.manager.wire.info import Info

__all__ = [
    "BaseClient",
    "ClientConnected",
    "ClientDisconnected",
    "ClientRefused",
    "ClientReplaced",
    "ConnectionEnd",
    "DeviceSecret",
    "Dialect",
    "FateUnknown",
    "Info",
    "InvalidInfo",
    "Listener",
    "ManagedDevice",
    "Manager",
    "ManagerClient",
    "ManagerEvent",
    "ManagerLimits",
    "MessageReceived",
    "RemoteClient",
    "SendReport",
    "open_backplane",
    "open_manager",
    "open_manager_client",
]
