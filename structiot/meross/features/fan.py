"""Fans of air purifiers and ceilings, and their filters. Facts: reference 4.9."""

from __future__ import annotations

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
from structiot.meross.features.fields import Field, Measured
from structiot.meross.features.figures import whole_of
from structiot.meross.features.toggles import TOGGLES, Toggles
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of
from structiot.model import Command, Entity, Fan, FanState, State

__all__ = ["Fans", "Filters"]

FAN: Final = "Appliance.Control.Fan"
FILTER: Final = "Appliance.Control.FilterMaintenance"


@dataclass(slots=True)
class _Turning:
    """What is known of one fan."""

    speed: int | None = None
    steps: int = 0
    last: int = 1

    def take(self, item: Item) -> None:
        steps = whole_of(item.get("maxSpeed"), 1, 100)
        if steps is not None:
            self.steps = steps
        speed = whole_of(item.get("speed"), 0, self.steps or 100)
        if speed is not None:
            self.speed = speed
            self.last = speed or self.last


class Fans(ChannelFeature):
    """A fan a channel, switched by ToggleX where the device has it for that channel."""

    name = "fan"
    abilities: ClassVar[tuple[str, ...]] = (FAN,)
    namespaces: ClassVar[frozenset[str]] = frozenset({FAN, *TOGGLES})
    digest_key = "fan"
    is_certain = True

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._fans: dict[int, _Turning] = {}
        self._toggles = Toggles(about)
        for item in items_of(about.system.digest, "fan"):
            if channel_of(item) in self._channels:
                self._fans.setdefault(channel_of(item), _Turning()).take(item)

    @property
    def polls(self) -> Sequence[Poll]:
        """The speed: few digests have it."""
        if "fan" in self.about.system.digest:
            return []
        request = Request(method=Method.GET, namespace=FAN, payload={"fan": []})
        return [Poll(request=request)]

    def entities_of(self, channel: int) -> Sequence[Entity]:
        """Describe a fan."""
        fan = self._fans.get(channel)
        return [
            Fan(
                key=entity_key(self.name, channel),
                name=title(self.about, channel, "Fan") if channel else None,
                speed_steps=fan.steps if fan else 0,
            )
        ]

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the speed and what is on."""
        told = self._toggles.take_digest(digest)
        update = super().take_digest(digest, at_utc)
        return Update(
            states={**self._states(told), **update.states},
            entities_changed=update.entities_changed,
        )

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:
        """Read a speed or a switch."""
        if namespace in TOGGLES:
            return Update(states=self._states(self._toggles.take(namespace, payload)))
        return super().take(namespace, payload, at_utc)

    def read(
        self,
        namespace: str,  # noqa: ARG002
        item: Item,
        channel: int,
        at_utc: datetime,  # noqa: ARG002
    ) -> Mapping[str, State | None]:
        """Read one fan."""
        self._fans.setdefault(channel, _Turning()).take(item)
        return self._states(frozenset({channel}))

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request]:
        """Turn at a speed, or as fast as before, or not at all."""
        channel = channel_of_key(key, self.name)
        fan = self._fans.get(channel, _Turning())
        asked = FanState(is_on=command) if isinstance(command, bool) else command
        if not isinstance(asked, FanState):
            return []
        by_toggle = channel in self._toggles.is_on
        percent = asked.speed_percent
        if asked.is_on is False or percent == 0:
            if by_toggle:
                return [self._toggles.request(channel, is_on=False)]
            return [_turn(channel, 0)]
        requests = []
        if percent is not None and fan.steps:
            requests.append(_turn(channel, max(1, round(percent * fan.steps / 100))))
        elif not by_toggle or fan.speed == 0:
            requests.append(_turn(channel, fan.last))
        if by_toggle:
            requests.append(self._toggles.request(channel, is_on=True))
        return requests

    def _states(self, channels: frozenset[int]) -> dict[str, State | None]:
        states: dict[str, State | None] = {}
        for channel in channels & self._channels:
            fan = self._fans.get(channel, _Turning())
            is_on = self._toggles.is_on.get(channel)
            if fan.speed is not None and is_on is not False:
                is_on = fan.speed > 0
            percent = None
            if fan.speed is not None and fan.steps:
                percent = round(100 * fan.speed / fan.steps, 1)
            state = FanState(is_on=is_on, speed_percent=percent)
            states[entity_key(self.name, channel)] = state
        return states


def _turn(channel: int, speed: int) -> Request:
    item = {"channel": channel, "speed": speed}
    return Request(method=Method.SET, namespace=FAN, payload={"fan": [item]})


class Filters(ChannelFeature):
    """How much is left of a filter."""

    name = "filter_life"
    abilities: ClassVar[tuple[str, ...]] = (FILTER,)
    namespaces: ClassVar[frozenset[str]] = frozenset({FILTER})
    is_certain = True

    asks: ClassVar[Method | None] = Method.PUSH
    fields: ClassVar[tuple[Field, ...]] = (
        Measured(
            key="filter_life",
            path=("life",),
            name="Filter life",
            category="diagnostic",
            icon="mdi:air-filter",
            tells_unknown=True,
            lowest=0,
            highest=100,
            unit="%",
            decimals=0,
        ),
    )
