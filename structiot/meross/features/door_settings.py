"""What an opener of garage doors is set to. Facts: reference 4.8."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from structiot.meross.features.channels import title
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.fields import Adjustable, Field, Switched
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import Command, Entity, State

__all__ = ["CONFIG", "MULTIPLE_CONFIG", "DoorSettings"]

CONFIG: Final = "Appliance.GarageDoor.Config"
MULTIPLE_CONFIG: Final = "Appliance.GarageDoor.MultipleConfig"


def _duration(key: str, member: str, name: str, least_s: float) -> Adjustable:
    return Adjustable(
        key=key,
        path=(member,),
        name=name,
        category="config",
        device_class="duration",
        is_enabled=member.startswith("door"),
        scale=1000,
        lowest=0,
        highest=3_600,
        unit="s",
        minimum=least_s,
        maximum=60.0 if member == "signalDuration" else 120.0,
        step=0.1,
    )


_OPEN: Final = _duration("open_time_s", "doorOpenDuration", "Time to open", 1.0)
_CLOSE: Final = _duration("close_time_s", "doorCloseDuration", "Time to close", 1.0)
_SIGNAL_OPEN: Final = _duration(
    "open_signal_s", "signalOpen", "Length of signal to open", 0.1
)
_SIGNAL_CLOSE: Final = _duration(
    "close_signal_s", "signalClose", "Length of signal to close", 0.1
)
_SIGNAL: Final = _duration("signal_s", "signalDuration", "Length of signal", 0.1)
_SWITCH: Final = Switched(
    key="buzzer",
    path=("buzzerEnable",),
    name="Buzzer",
    category="config",
    icon="mdi:bullhorn",
)
_SETTINGS: Final[tuple[Field, ...]] = (
    *(_SWITCH, _OPEN, _CLOSE),
    *(_SIGNAL, _SIGNAL_OPEN, _SIGNAL_CLOSE),
)
_THERE: Final = "doorEnable"
_MOST_MS: Final = 3_600_000
_MEMBERS: Final = (_THERE, *(field.path[0] for field in _SETTINGS))


class DoorSettings:
    """The settings of each door, or of all together; an order repeats those it has."""

    def __init__(self, about: About) -> None:
        self._about = about
        self._is_by_door = MULTIPLE_CONFIG in about.abilities
        # By channel; None for those of all doors.
        self._known: dict[int | None, dict[str, int]] = {}

    def questions(self, channels: Sequence[int]) -> list[Request]:
        """Give the questions for all settings."""
        if self._is_by_door:
            asked = [{"channel": channel} for channel in channels or (0,)]
            return [_request(Method.GET, MULTIPLE_CONFIG, {"config": asked})]
        has_them = CONFIG in self._about.abilities
        return [_request(Method.GET, CONFIG, {"config": {}})] if has_them else []

    def take(
        self, namespace: str, payload: Payload, channels: Sequence[int]
    ) -> dict[str, State | None]:
        """Read settings; give the states of their entities."""
        states: dict[str, State | None] = {}
        if (namespace == MULTIPLE_CONFIG) is not self._is_by_door:
            return states
        for item in items_of(payload, "config"):
            channel = channel_of(item) if self._is_by_door else None
            if channel is None or channel in channels:
                known = self._known.setdefault(channel, {})
                known.update(_figures(item))
                states.update(_states(known, channel or 0))
        return states

    def entities_of(self, channel: int | None) -> list[Entity]:
        """Describe the settings of one door, or with None those of all."""
        known, number = self._known.get(channel, {}), channel or 0
        return [
            field.entity(
                entity_key(field.key, number),
                title(self._about, number, field.name),
                None,
            )
            for field in _SETTINGS
            if field.path[0] in known
        ]

    def is_there(self, channel: int) -> bool:
        """Tell whether a door is in use: an opener of three may have but one."""
        return self._of(channel).get(_THERE, 1) != 0

    def duration_s(self, channel: int, *, is_opening: bool) -> float | None:
        """Give how long a door is set to take, or its signal, whichever is known."""
        known = self._of(channel)
        fields = (_OPEN, _SIGNAL_OPEN) if is_opening else (_CLOSE, _SIGNAL_CLOSE)
        found = (field.of(known) for field in fields)
        return next((each for each in found if each is not None), None)

    def command(self, key: str, command: Command) -> list[Request]:
        """Set one of them."""
        for channel, known in self._known.items():
            changed = _changed(key, command, channel or 0)
            if changed is None:
                continue
            item = {**known, **changed}
            if not self._is_by_door:
                return [_request(Method.SET, CONFIG, {"config": item})]
            items = [{"channel": channel, **item}]
            return [_request(Method.SET, MULTIPLE_CONFIG, {"config": items})]
        return []

    def _of(self, channel: int) -> dict[str, int]:
        return self._known.get(channel if self._is_by_door else None, {})


def _figures(item: Item) -> dict[str, int]:
    figures = {name: whole_of(item.get(name), 0, _MOST_MS) for name in _MEMBERS}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _states(known: dict[str, int], channel: int) -> dict[str, State | None]:
    return {
        entity_key(field.key, channel): field.of(known)
        for field in _SETTINGS
        if field.path[0] in known
    }


def _changed(key: str, command: Command, channel: int) -> dict[str, object] | None:
    """Give the member that a command is for, if it is for a setting of this channel."""
    for field in _SETTINGS:
        if key == entity_key(field.key, channel):
            return {field.path[0]: field.write(command, None)}
    return None


def _request(method: Method, namespace: str, payload: Payload) -> Request:
    return Request(method=method, namespace=namespace, payload=payload)
