"""What an opener of garage doors is set to. Facts: reference 4.8."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from structiot.meross.features.channels import title
from structiot.meross.features.feature import About, Request, entity_key
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import Command, Entity, Number, State, Switch

__all__ = ["CONFIG", "MULTIPLE_CONFIG", "DoorSettings"]

CONFIG: Final = "Appliance.GarageDoor.Config"
MULTIPLE_CONFIG: Final = "Appliance.GarageDoor.MultipleConfig"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Duration:
    """A setting in milliseconds."""

    field: str
    key: str
    what: str
    least_s: float
    most_s: float


_OPEN: Final = _Duration(
    field="doorOpenDuration",
    key="open_time_s",
    what="Time to open",
    least_s=1.0,
    most_s=120.0,
)
_CLOSE: Final = _Duration(
    field="doorCloseDuration",
    key="close_time_s",
    what="Time to close",
    least_s=1.0,
    most_s=120.0,
)
_SIGNAL: Final = _Duration(
    field="signalDuration",
    key="signal_s",
    what="Length of signal",
    least_s=0.1,
    most_s=60.0,
)
_SIGNAL_OPEN: Final = _Duration(
    field="signalOpen",
    key="open_signal_s",
    what="Length of signal to open",
    least_s=0.1,
    most_s=120.0,
)
_SIGNAL_CLOSE: Final = _Duration(
    field="signalClose",
    key="close_signal_s",
    what="Length of signal to close",
    least_s=0.1,
    most_s=120.0,
)
_DURATIONS: Final = (_OPEN, _CLOSE, _SIGNAL, _SIGNAL_OPEN, _SIGNAL_CLOSE)
_BUZZER: Final = "buzzerEnable"
_THERE: Final = "doorEnable"
_MOST_MS: Final = 3_600_000
_FIELDS: Final = (_BUZZER, _THERE, *(each.field for each in _DURATIONS))


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
        entities: list[Entity] = []
        if _BUZZER in known:
            entities.append(
                Switch(
                    key=entity_key("buzzer", number),
                    name=title(self._about, number, "Buzzer"),
                    category="config",
                    icon="mdi:bullhorn",
                )
            )
        entities += [
            Number(
                key=entity_key(each.key, number),
                name=title(self._about, number, each.what),
                device_class="duration",
                category="config",
                is_enabled=each in {_OPEN, _CLOSE},
                minimum=each.least_s,
                maximum=each.most_s,
                step=0.1,
                unit="s",
            )
            for each in _DURATIONS
            if each.field in known
        ]
        return entities

    def is_there(self, channel: int) -> bool:
        """Tell whether a door is in use: an opener of three may have but one."""
        return self._of(channel).get(_THERE, 1) != 0

    def duration_s(self, channel: int, *, is_opening: bool) -> float | None:
        """Give how long a door is set to take, or its signal, whichever is known."""
        known = self._of(channel)
        fields = (_OPEN, _SIGNAL_OPEN) if is_opening else (_CLOSE, _SIGNAL_CLOSE)
        found = (known[each.field] / 1000 for each in fields if each.field in known)
        return next(found, None)

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
    figures = {name: whole_of(item.get(name), 0, _MOST_MS) for name in _FIELDS}
    return {name: figure for name, figure in figures.items() if figure is not None}


def _states(known: dict[str, int], channel: int) -> dict[str, State | None]:
    states: dict[str, State | None] = {
        entity_key(each.key, channel): known[each.field] / 1000
        for each in _DURATIONS
        if each.field in known
    }
    if _BUZZER in known:
        states[entity_key("buzzer", channel)] = known[_BUZZER] == 1
    return states


def _changed(key: str, command: Command, channel: int) -> dict[str, int] | None:
    """Give the field that a command is for, if it is for a setting of this channel."""
    if key == entity_key("buzzer", channel):
        return {_BUZZER: int(command is True)}
    for each in _DURATIONS:
        if key == entity_key(each.key, channel) and isinstance(command, int | float):
            return {each.field: round(command * 1000)}
    return None


def _request(method: Method, namespace: str, payload: Payload) -> Request:
    return Request(method=method, namespace=namespace, payload=payload)
