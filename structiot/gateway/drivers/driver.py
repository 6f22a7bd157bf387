"""What a system offers the gateway: sources of devices, found or listed.

A driver names devices; the gateway opens them, keeps them open, tries again when
they are lost and shields each from the others. So a driver for a further system is
one file: it makes a `Source` of each entry of its section, and of whatever it finds.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from structiot.model import Device, DeviceInfo

__all__ = ["Driver", "Keeper", "Kept", "Source"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One device that the gateway shall keep open.

    Attributes:
        label: What it is and where, for people: `"strip at 192.168.1.100"`.
        open: Opens the device; called anew for each attempt.
        name: Its configured name; decides its topics.
        is_found: Found by a search, not listed by the user; what is listed has
            precedence if both are the same device.
    """

    label: str
    open: Callable[[], AbstractAsyncContextManager[Device]]
    name: str | None = None
    is_found: bool = False


class Kept(Protocol):
    """A device in the gateway's care, as a driver sees it."""

    @property
    def info(self) -> DeviceInfo | None:
        """Who it is; None until it was opened once."""
        ...

    @property
    def is_available(self) -> bool:
        """Whether it can be reached."""
        ...

    def reopen(self) -> None:
        """Close it and open it again at once, for instance at another address."""
        ...


class Keeper(Protocol):
    """The gateway, as a driver sees it."""

    def keep(self, source: Source) -> Kept:
        """Take a device into care until the gateway ends."""
        ...


class Driver(Protocol):
    """One system's devices."""

    @property
    def system(self) -> str:
        """Name of the system, as in `DeviceInfo.system`."""
        ...

    @property
    def finds_more(self) -> bool:
        """Whether devices may turn up that are not listed by name."""
        ...

    async def run(self, keeper: Keeper) -> None:
        """Name the devices, and look for more as long as the gateway runs."""
        ...
