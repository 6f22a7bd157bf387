"""Sirens and what they do."""

from __future__ import annotations

from dataclasses import dataclass

from structiot.model.entity import Entity

__all__ = ["Siren", "SirenState"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Siren(Entity):
    """A siren. State: `SirenState`; command: one of what shall change, or `bool`.

    Attributes:
        tones: Names of its tones, if it has several.
        has_volume: Its volume can be set.
        has_duration: It can be told how long to sound.
    """

    tones: tuple[str, ...] = ()
    has_volume: bool = False
    has_duration: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SirenState:
    """What a siren does; as a command, None leaves a field as it is.

    Attributes:
        is_on: Whether it sounds.
        tone: One of `Siren.tones`.
        volume_percent: 0 to 100.
        duration_s: How long it sounds, in seconds, where it ends by itself.
    """

    is_on: bool | None = None
    tone: str | None = None
    volume_percent: float | None = None
    duration_s: float | None = None
