"""What keeps the devices of a connector: anybody's object or class with five methods."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final, Protocol, cast

import anyio
import anyio.lowlevel
import anyio.to_thread

from structiot._kit.text import printable
from structiot.connector.device import Device, check_device
from structiot.errors import UsageError

__all__ = ["DeviceManager", "ManagedDevices"]

# How many arguments each of them takes.
_METHODS: Final = {"add": 1, "update": 1, "remove": 1, "get": 1, "devices": 0}
_DEVICES_A_TURN: Final = 1000


class DeviceManager(Protocol):
    """Keeps devices; an object, or a class whose methods are its own or static.

    Each method may be plain or async. With a true attribute `blocking` they are called
    in a worker thread, one at a time.
    """

    def add(self, device: Device, /) -> Any:  # noqa: ANN401 - an awaitable, or nothing
        """Keep one more device; what is returned is not looked at."""

    def update(self, device: Device, /) -> Any:  # noqa: ANN401 - as above
        """Keep what has changed of a device."""

    def remove(self, device_id: str, /) -> Any:  # noqa: ANN401 - as above
        """Keep a device no longer."""

    def get(self, device_id: str, /) -> Any:  # noqa: ANN401 - or an awaitable of it
        """Give a device; None if there is none."""

    def devices(self) -> Any:  # noqa: ANN401 - or an awaitable of it
        """Give all devices: a list, a tuple, or a dict by id."""


class ManagedDevices:
    """A device manager as the connector calls it: always async.

    What the manager's own code raises passes as it is. A call in a worker thread is
    waited for, also by whoever is cancelled.

    Args:
        manager: Somebody's object or class.

    Raises:
        UsageError: It lacks one of the five methods, or is a class where they want an
            object.
    """

    def __init__(self, manager: DeviceManager | type) -> None:
        missing = [name for name in _METHODS if not callable(_of(manager, name))]
        if missing:
            raise UsageError(
                f"devices is a device manager, which has {', '.join(_METHODS)}; "
                f"this {_name_of(manager)} has no {' and no '.join(missing)}"
            )
        for name, count in _METHODS.items():
            _check_call(manager, name, count)
        self._manager: Any = manager
        self._limiter = (
            anyio.CapacityLimiter(1) if _of(manager, "blocking") is True else None
        )

    async def add(self, device: Device) -> None:
        """Have one more device kept."""
        await self._call(self._manager.add, device)

    async def update(self, device: Device) -> None:
        """Have what has changed of a device kept."""
        await self._call(self._manager.update, device)

    async def remove(self, device_id: str) -> None:
        """Have a device kept no longer."""
        await self._call(self._manager.remove, device_id)

    async def get(self, device_id: str) -> Device | None:
        """Look a device up; None if there is none.

        Raises:
            UsageError: What the manager gives is no device, or another one.
        """
        found = await self._call(self._manager.get, device_id)
        if found is not None and check_device(found).id != device_id:
            name, told = _name_of(self._manager), printable(repr(found.id))
            raise UsageError(f"{name}.get({device_id!r:.80}) gives the device {told}")
        return cast("Device | None", found)

    async def devices(self) -> list[Device]:
        """Give all devices; of several with one id the last.

        Raises:
            UsageError: What the manager gives is no dict, list or tuple of devices.
        """
        told = await self._call(self._manager.devices)
        if isinstance(told, Mapping):
            told = told.values()
        # What has no end, as a generator may, is no list.
        if isinstance(told, str | bytes) or not isinstance(told, Collection):
            name = _name_of(self._manager)
            raise UsageError(
                f"{name}.devices() gives a {type(told).__name__}, not a dict, list or "
                "tuple of devices"
            )
        found: dict[str, Device] = {}
        # It may be the manager's own, and change meanwhile.
        for number, one in enumerate(list(told), 1):
            found[check_device(one).id] = one
            if number % _DEVICES_A_TURN == 0:
                await anyio.lowlevel.checkpoint()
        return list(found.values())

    async def _call(self, method: Callable[..., Any], *args: object) -> Any:  # noqa: ANN401
        if self._limiter is None:
            result = method(*args)
        else:
            result = await anyio.to_thread.run_sync(
                method, *args, limiter=self._limiter
            )
        return await result if inspect.isawaitable(result) else result


def _check_call(manager: object, name: str, count: int) -> None:
    try:
        signature = inspect.signature(getattr(manager, name))
    except ValueError:
        # Not of Python; what it takes shows when it is called.
        return
    try:
        signature.bind(*[None] * count)
    except TypeError:
        what = _name_of(manager)
        hint = f"; give an object, {what}()" if isinstance(manager, type) else ""
        takes = "one argument" if count else "no argument"
        message = f"{what}.{name} cannot be called with {takes}{hint}"
        raise UsageError(message) from None


def _of(manager: object, name: str) -> object:
    return getattr(manager, name, None)


def _name_of(manager: object) -> str:
    return manager.__name__ if isinstance(manager, type) else type(manager).__name__
