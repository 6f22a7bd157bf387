"""Roller shutters. Facts: reference 4.9."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import title
from structiot.meross.features.composed import ComposedFeature
from structiot.meross.features.feature import (
    About,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Adjustable, Field, Flag, Setting
from structiot.meross.features.figures import whole_of
from structiot.meross.features.requests import polled
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import channel_of, items_of, key_of
from structiot.model import Command, Cover, CoverAction, CoverMotion, CoverState

__all__ = ["Shutters"]

ADJUST: Final = "Appliance.RollerShutter.Adjust"
CONFIG: Final = "Appliance.RollerShutter.Config"
POSITION: Final = "Appliance.RollerShutter.Position"
STATE: Final = "Appliance.RollerShutter.State"
# From here on it goes to any position; before, only to the ends.
_HAS_POSITION: Final = (6, 6, 6)
_DEFAULT_MS: Final = 30_000
_MARGIN_S: Final = 1.0
_STOP: Final = -1
_STOPPED, _OPENING, _CLOSING = 0, 1, 2
_WAYS: Final = {_OPENING: CoverMotion.OPENING, _CLOSING: CoverMotion.CLOSING}
_ENDS: Final = {0: CoverMotion.CLOSED, 100: CoverMotion.OPEN}
_TARGETS: Final = {
    CoverAction.OPEN: 100,
    CoverAction.CLOSE: 0,
    CoverAction.STOP: _STOP,
}
_TIMES: Final = {_OPENING: "open_time_s", _CLOSING: "close_time_s"}


def _duration(key: str, member: str, name: str) -> Adjustable:
    return Adjustable(
        key,
        (member,),
        name=name,
        category="config",
        device_class="duration",
        is_optional=True,
        scale=1000,
        lowest=0.001,
        highest=600,
        unit="s",
        minimum=10.0,
        maximum=120.0,
        step=1.0,
    )


class Shutters(ComposedFeature):
    """A cover a channel, with the times that it runs for."""

    name = "shutter"
    abilities: ClassVar[tuple[str, ...]] = (POSITION, STATE)
    namespaces: ClassVar[frozenset[str]] = frozenset({POSITION, STATE, CONFIG, ADJUST})
    members: ClassVar[Mapping[str, tuple[int, int]]] = {
        "position": (0, 100),
        "state": (_STOPPED, _CLOSING),
    }
    settings: Sequence[Setting] = (
        Setting(POSITION),
        Setting(
            CONFIG,
            (
                _duration("open_time_s", "signalOpen", "Time to open"),
                _duration("close_time_s", "signalClose", "Time to close"),
            ),
            is_whole=True,
        ),
        Setting(
            ADJUST,
            (
                Flag(
                    "adjusting",
                    ("status",),
                    category="diagnostic",
                    device_class="running",
                    is_enabled=False,
                    is_optional=True,
                    on=tuple(range(1, 256)),
                ),
            ),
        ),
    )
    is_list = False
    is_certain = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._has_position = _version_of(about.system.firmware) >= _HAS_POSITION

    @property
    def polls(self) -> Sequence[Poll]:
        """Where it is and what it does; the digest does not tell."""
        polls = [
            polled(POSITION, []),
            polled(STATE, []),
            polled(CONFIG, [], pace="slow"),
            polled(ADJUST, pace="once", method=Method.PUSH),
        ]
        has = self.about.abilities
        return [poll for poll in polls if poll.request.namespace in has]

    def entity_of(self, channel: int) -> Cover:
        """Describe the cover."""
        return Cover(
            key=entity_key(self.name, channel),
            name=title(self.about, channel, "Shutter") if channel else None,
            device_class="shutter",
            has_position=self._has_position,
            has_stop=True,
        )

    def state_of(self, channel: int) -> CoverState | None:
        """Give where it is, unless it is on its way; None if neither is known."""
        known = self.kept(channel)
        position, motion = known.get("position"), _WAYS.get(known.get("state", -1))
        if motion is None and position is None:
            return None
        if motion is None and position is not None:
            motion = _ENDS.get(position, CoverMotion.STOPPED)
        shown = position if self._has_position else None
        return CoverState(motion=motion, position_percent=shown)

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Let it move: what was asked for is where it goes, not where it is."""
        if request.namespace != POSITION:
            return super().acknowledged(request, payload, at_utc)
        ways_s = {
            channel_of(item): self._go(channel_of(item), target)
            for item in items_of(request.payload, key_of(POSITION))
            if (target := whole_of(item.get("position"), _STOP, 100)) is not None
        }
        return Update(
            states=self.states_of(ways_s),
            look_again_s=max([0.0, *ways_s.values()]) + _MARGIN_S,
        )

    def orders(self, channel: int, command: Command) -> Sequence[Request]:
        """Move, or stop."""
        position = _STOP
        if isinstance(command, CoverAction):
            position = _TARGETS[command]
        elif isinstance(command, int | float):
            position = round(command)
        return [self.order(channel, {"position": position})]

    def changes(
        self, setting: Setting, field: Field, channel: int, command: Command
    ) -> dict[str, object]:
        """Give the members that set how long it runs; they are always of both ways."""
        known = super().changes(setting, field, channel, command)
        return {"signalOpen": _DEFAULT_MS, "signalClose": _DEFAULT_MS, **known}

    def _go(self, channel: int, target: int) -> float:
        """Let a shutter move; give how long that takes at most, in seconds."""
        known = self.kept(channel)
        if target in {_STOP, known.get("position")}:
            known["state"] = _STOPPED
            return 0.0
        is_opening = target == 100 or target > known.get("position", 0)
        known["state"] = way = _OPENING if is_opening else _CLOSING
        return (self.known(entity_key(_TIMES[way], channel)) or _DEFAULT_MS) / 1000


def _version_of(text: str | None) -> tuple[int, ...]:
    """Read a version, such as `6.6.6`; nothing for none."""
    return tuple(int(part) for part in re.findall(r"[0-9]{1,6}", text or "")[:4])
