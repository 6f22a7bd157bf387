"""Your own devices, offered to a SEPL or SENERGY platform."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.connector.device import Device

__all__ = ["Device"]
