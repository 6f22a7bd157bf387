"""Roller shutters. Facts: reference 4.9."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.channels import (
    ChannelFeature,
    channel_of_key,
    title,
)
from structiot.meross.features.feature import (
    About,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.figures import whole_of
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of
from structiot.model import (
    BinarySensor,
    Command,
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    Entity,
    Number,
    State,
)

__all__ = ["Shutters"]

ADJUST: Final = "Appliance.RollerShutter.Adjust"
CONFIG: Final = "Appliance.RollerShutter.Config"
POSITION: Final = "Appliance.RollerShutter.Position"
STATE: Final = "Appliance.RollerShutter.State"
# From here on it goes to any position; before, only to the ends.
_HAS_POSITION: Final = (6, 6, 6)
_SHORTEST_S: Final = 10.0
_LONGEST_S: Final = 120.0
_DEFAULT_MS: Final = 30_000
_MARGIN_S: Final = 1.0
_STOP: Final = -1
_WAY: Final = {1: CoverMotion.OPENING, 2: CoverMotion.CLOSING}
_SIGNALS: Final = {"open_time_s": "signalOpen", "close_time_s": "signalClose"}
_NAMES: Final = {"open_time_s": "Time to open", "close_time_s": "Time to close"}


@dataclass(slots=True)
class _Shutter:
    """What is known of one shutter."""

    position: int | None = None
    way: CoverMotion | None = None
    signals_ms: dict[str, int] | None = None
    is_adjusting: bool | None = None

    @property
    def motion(self) -> CoverMotion | None:
        if self.way is not None or self.position is None:
            return self.way
        ends = {0: CoverMotion.CLOSED, 100: CoverMotion.OPEN}
        return ends.get(self.position, CoverMotion.STOPPED)


class Shutters(ChannelFeature):
    """A cover a channel, with the times that it runs for."""

    name = "shutter"
    abilities: ClassVar[tuple[str, ...]] = (POSITION, STATE)
    namespaces: ClassVar[frozenset[str]] = frozenset({POSITION, STATE, CONFIG, ADJUST})
    is_certain = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._shutters: dict[int, _Shutter] = {}
        self._has_position = version_of(about.system.firmware) >= _HAS_POSITION

    @property
    def polls(self) -> Sequence[Poll]:
        """Where it is and what it does; the digest does not tell."""
        questions = {
            POSITION: Poll(request=_request(Method.GET, POSITION, {"position": []})),
            STATE: Poll(request=_request(Method.GET, STATE, {"state": []})),
            CONFIG: Poll(
                request=_request(Method.GET, CONFIG, {"config": []}), pace="slow"
            ),
            ADJUST: Poll(request=_request(Method.PUSH, ADJUST, {}), pace="once"),
        }
        return [q for name, q in questions.items() if name in self.about.abilities]

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe the cover and its settings."""
        shutter = self._shutters.get(channel, _Shutter())
        entities: list[Entity] = [
            Cover(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Shutter") if channel else None,
                device_class="shutter",
                has_position=self._has_position,
                has_stop=True,
            )
        ]
        if shutter.signals_ms:
            entities += [
                Number(
                    key=entity_key(key, channel),
                    name=title(self.about, channel, _NAMES[key]),
                    device_class="duration",
                    category="config",
                    minimum=_SHORTEST_S,
                    maximum=_LONGEST_S,
                    unit="s",
                )
                for key in _SIGNALS
            ]
        if shutter.is_adjusting is not None:
            entities.append(
                BinarySensor(
                    key=entity_key("adjusting", channel),
                    name=title(self.about, channel, "Adjusting"),
                    device_class="running",
                    category="diagnostic",
                    is_enabled=False,
                )
            )
        return entities

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:  # noqa: ARG002
        """There is nothing of it in the digest."""
        return Update()

    def read(
        self,
        namespace: str,
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read one item of any of the namespaces."""
        shutter = self._shutters.setdefault(channel, _Shutter())
        if namespace == CONFIG:
            return _read_signals(shutter, item, channel)
        if namespace == ADJUST:
            status = whole_of(item.get("status"), 0, 255)
            if status is None:
                return {}
            shutter.is_adjusting = status != 0
            return {entity_key("adjusting", channel): shutter.is_adjusting}
        if namespace == POSITION:
            position = whole_of(item.get("position"), 0, 100)
            shutter.position = shutter.position if position is None else position
        else:
            state = whole_of(item.get("state"), 0, 2)
            shutter.way = shutter.way if state is None else _WAY.get(state)
        return self._state(channel)

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Let it move: what was asked for is where it goes, not where it is."""
        if request.namespace != POSITION:
            return super().acknowledged(request, payload, at_utc)
        states: dict[str, State | None] = {}
        ways_s = [0.0]
        for item in items_of(request.payload, key_of(POSITION)):
            channel = channel_of(item)
            target = whole_of(item.get("position"), _STOP, 100)
            if channel in self._channels and target is not None:
                ways_s.append(self._go(channel, target))
                states.update(self._state(channel))
        return Update(states=states, look_again_s=max(ways_s) + _MARGIN_S)

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Move, stop, or set for how long it runs."""
        for setting, name in _SIGNALS.items():
            if key.startswith(setting) and isinstance(command, int | float):
                return self._set_signal(channel_of_key(key, setting), name, command)
        channel = channel_of_key(key, self.name)
        ends = {CoverAction.OPEN: 100, CoverAction.CLOSE: 0, CoverAction.STOP: _STOP}
        if isinstance(command, CoverAction):
            position = ends[command]
        else:
            position = round(command) if isinstance(command, int | float) else _STOP
        item = {"channel": channel, "position": position}
        return [_request(Method.SET, POSITION, {"position": item})]

    def _set_signal(self, channel: int, name: str, seconds: float) -> Sequence[Request]:
        known = self._shutters.get(channel, _Shutter()).signals_ms or {}
        both = dict.fromkeys(_SIGNALS.values(), _DEFAULT_MS)
        item = {"channel": channel, **both, **known, name: round(seconds * 1000)}
        return [_request(Method.SET, CONFIG, {"config": item})]

    def _go(self, channel: int, target: int) -> float:
        """Let a shutter move; give how long that takes at most, in seconds."""
        shutter = self._shutters.setdefault(channel, _Shutter())
        if target in {_STOP, shutter.position}:
            shutter.way = None
            return 0.0
        is_opening = target == 100 or target > (shutter.position or 0)
        shutter.way = CoverMotion.OPENING if is_opening else CoverMotion.CLOSING
        name = "signalOpen" if is_opening else "signalClose"
        return (shutter.signals_ms or {}).get(name, _DEFAULT_MS) / 1000

    def _state(self, channel: int) -> dict[str, State | None]:
        shutter = self._shutters[channel]
        position = shutter.position if self._has_position else None
        state = CoverState(motion=shutter.motion, position_percent=position)
        return {entity_key(self.name, channel): state}


def version_of(text: str | None) -> tuple[int, ...]:
    """Read a version, such as `6.6.6`; nothing for none."""
    return tuple(int(part) for part in re.findall(r"[0-9]{1,6}", text or "")[:4])


def _read_signals(
    shutter: _Shutter, item: Item, channel: int
) -> Mapping[str, State | None]:
    known = shutter.signals_ms or {}
    for name in _SIGNALS.values():
        signal_ms = whole_of(item.get(name), 1, 600_000)
        if signal_ms is not None:
            known[name] = signal_ms
    shutter.signals_ms = known
    return {
        entity_key(key, channel): known[name] / 1000
        for key, name in _SIGNALS.items()
        if name in known
    }


def _request(method: Method, namespace: str, payload: Payload) -> Request:
    return Request(method=method, namespace=namespace, payload=payload)
