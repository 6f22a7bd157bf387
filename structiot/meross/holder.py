"""Devices that are open as long as they are held: one task each."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
from anyio.abc import TaskGroup

from structiot._device.device import BaseDevice
from structiot._kit.flow.tasks import service_group

__all__ = ["DeviceHolder", "open_holder"]


class DeviceHolder:
    """Opens devices as they come and closes them as they go; made by `open_holder`."""

    def __init__(self, tg: TaskGroup) -> None:
        self._tg = tg
        self._leaving: dict[str, anyio.Event] = {}

    def hold(self, device: BaseDevice[Any]) -> None:
        """Open a device, until it is let go or the block ends."""
        left = self._leaving[device.info.id] = anyio.Event()
        name = f"structiot.meross {device.info.name}"
        self._tg.start_soon(_hold, device, left, name=name)

    def let_go(self, device: BaseDevice[Any]) -> None:
        """Close a device."""
        left = self._leaving.pop(device.info.id, None)
        if left is not None:
            left.set()


async def _hold(device: BaseDevice[Any], left: anyio.Event) -> None:
    async with device:
        await left.wait()


@asynccontextmanager
async def open_holder() -> AsyncGenerator[DeviceHolder]:
    """Hold devices for the length of the block.

    Raises:
        StructiotError: What a device failed with, such as refused credentials.
    """
    async with service_group() as tg:
        yield DeviceHolder(tg)
