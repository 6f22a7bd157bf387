"""Firmware that can be renewed, and which there is."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.model.entity import Entity

__all__ = ["Update", "UpdateState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Update(Entity):
    """Firmware that can be renewed. State: `UpdateState`; command `None` installs."""

    can_install: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateState:
    """Which firmware runs and which could."""

    installed: str | None = None
    latest: str | None = None
    progress_percent: float | None = None
