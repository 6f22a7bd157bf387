"""What the three generations of thermostats have in common.

Each reads its own namespace into a `Zone` a channel; here are the entities, the limits,
what changes, and what an answer without content means. Everything is in Celsius, also
when the device shows Fahrenheit.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import ClassVar, Final

from structiot.errors import UsageError
from structiot.meross.features.feature import (
    About,
    Feature,
    Poll,
    Request,
    Update,
    entity_key,
)
from structiot.meross.features.fields import Limits, limits_of
from structiot.meross.features.table import MAX_CHANNELS
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import Item, channel_of, items_of, key_of, object_of
from structiot.model import Climate, ClimateState, Command, Entity, State

__all__ = ["CTL_RANGE", "ClimateFeature", "Zone", "wire_temperature"]

CTL_RANGE: Final = "Appliance.Control.Thermostat.CtlRange"


@dataclass(slots=True, kw_only=True)
class Zone:
    """What is known of one channel; numbers as on the wire, by their names there."""

    numbers: dict[str, int] = field(default_factory=dict)
    temperatures_c: dict[str, float] = field(default_factory=dict)
    humidity_percent: float | None = None
    limits_c: Limits | None = None


def wire_temperature(celsius: float, scale: int, step_c: float) -> int:
    """Write a temperature, rounded to the step of the device."""
    return round(round(celsius / step_c) * step_c * scale)


class ClimateFeature(Feature):
    """A thermostat with one `Climate` a channel.

    Attributes:
        namespace: Where its state is.
        digest_key: What that is called in the digest, if it is there.
        scale: How many times as large temperatures are on the wire.
        modes: As `Climate.modes`.
        presets: As `Climate.presets`.
        documented_c: Range of targets until the device tells one.
        step_c: As `Climate.step_c`.
    """

    namespace: ClassVar[str]
    digest_key: ClassVar[str | None] = None
    scale: ClassVar[int]
    presets: ClassVar[tuple[str, ...]]
    documented_c: ClassVar[Limits] = (5.0, 35.0)
    step_c: ClassVar[float] = 0.5

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._zones: dict[int, Zone] = {0: Zone()}

    @property
    def modes(self) -> tuple[str, ...]:
        """As `Climate.modes`."""
        return ("off", "heat", "cool", "auto")

    @property
    def entities(self) -> tuple[Entity, ...]:
        """A `Climate` a channel, and what else there is."""
        return tuple(
            entity
            for channel in sorted(self._zones)
            for entity in (
                Climate(
                    key=entity_key(self.name, channel),
                    name=f"Thermostat {channel}" if channel else None,
                    modes=self.modes,
                    presets=self.presets,
                    min_target_c=self._range(channel)[0],
                    max_target_c=self._range(channel)[1],
                    step_c=self.step_c,
                ),
                *self._besides(channel),
            )
        )

    @property
    def polls(self) -> Sequence[Poll]:
        """Its own namespace, and the range of targets where that is apart."""
        asked = [Poll(request=self._question(self.namespace))]
        if CTL_RANGE in self.namespaces and CTL_RANGE in self.about.abilities:
            asked.append(Poll(request=self._question(CTL_RANGE), pace="slow"))
        return asked

    def take_digest(self, digest: Mapping[str, object], at_utc: datetime) -> Update:
        """Read the thermostat's part."""
        if self.digest_key is None:
            return Update()
        found = object_of(digest, "thermostat").get(self.digest_key)
        payload = {key_of(self.namespace): found}
        return self.take(self.namespace, payload, at_utc)

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read its state, or the range of its targets."""
        states: dict[str, State | None] = {}
        is_changed = False
        for item in items_of(payload, key_of(namespace)):
            channel = channel_of(item)
            if channel >= MAX_CHANNELS:
                continue
            before = self._shape(channel)
            zone = self._zones.setdefault(channel, Zone())
            self._read(namespace, item, zone)
            states.update(self._states(channel))
            is_changed = is_changed or before != self._shape(channel)
        return Update(states=states, entities_changed=is_changed)

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Read the answer; one without items says that it is as asked."""
        has_items = items_of(payload, key_of(request.namespace))
        said = payload if has_items else request.payload
        return self.take(request.namespace, said, at_utc)

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Carry out what a `Climate` is told.

        Raises:
            UsageError: A combination that the device cannot be in.
        """
        for channel in self._zones:
            if key == entity_key(self.name, channel) and isinstance(
                command, ClimateState
            ):
                return self._climate(channel, command)
        return super().command(key, command, at_utc)

    def _climate(self, channel: int, command: ClimateState) -> Sequence[Request]:
        raise NotImplementedError

    def _read(self, namespace: str, item: Item, zone: Zone) -> None:
        raise NotImplementedError

    def _states(self, channel: int) -> Mapping[str, State | None]:
        raise NotImplementedError

    def _besides(self, channel: int) -> Sequence[Entity]:  # noqa: ARG002
        return ()

    def _read_range(self, item: Item, zone: Zone, low: str, high: str) -> None:
        found = limits_of(item, low, high, self.scale)
        if found is not None and found[0] >= -50 and found[1] <= 150:
            zone.limits_c = found

    def _range(self, channel: int) -> Limits:
        zone = self._zones.get(channel)
        return (zone.limits_c if zone else None) or self.documented_c

    def _shape(self, channel: int) -> object:
        """What entities depend on, to notice that they have changed."""
        zone = self._zones.get(channel)
        return None if zone is None else (zone.limits_c, len(self._besides(channel)))

    def _key(self, name: str, channel: int) -> str:
        return entity_key(f"{self.name}_{name}", channel)

    def _question(self, namespace: str) -> Request:
        channels = [{"channel": channel} for channel in sorted(self._zones)]
        return Request(
            method=Method.GET,
            namespace=namespace,
            payload={key_of(namespace): channels},
        )

    def _order(self, channel: int, members: Item) -> Request:
        item = {"channel": channel, **members}
        return Request(
            method=Method.SET,
            namespace=self.namespace,
            payload={key_of(self.namespace): [item]},
        )

    def _write(self, celsius: float) -> int:
        return wire_temperature(celsius, self.scale, self.step_c)

    def _refuse(self, problem: str) -> UsageError:
        return UsageError(f"{self.name} of a {self.about.model}: {problem}")
