"""What is told with the time at which it was measured: of each quantity the newest counts.

What it holds is one time stamp for each quantity.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final, NamedTuple

from structiot._kit.json_text import number_of
from structiot.meross.features.channels import ChannelFeature
from structiot.meross.features.feature import About, entity_key
from structiot.meross.features.fields import Field, Flag, Measured
from structiot.meross.wire.payloads import Item, items_of, object_of
from structiot.model import State

__all__ = [
    "DIGEST_HUB",
    "DISTANCE",
    "HUMIDITY",
    "LIGHT",
    "PRESENCE",
    "TEMPERATURE",
    "Freshness",
    "Sample",
    "SampledFeature",
    "samples_of",
    "stamp_of",
]

# What the digest of a hub says is taken as if it came in this namespace; it lags behind.
DIGEST_HUB: Final = "Appliance.Digest.Hub"
# A clock further ahead than this is wrong, and would silence whatever comes later.
_AHEAD_S: Final = 3600.0
# More samples than these say nothing new.
_MOST_SAMPLES: Final = 64

# 1 is nobody; 2 and 3 are somebody, moving away or hardly moving.
PRESENCE: Final = Flag(
    "presence", device_class="occupancy", on=(2, 3), known=(1, 2, 3), is_optional=True
)
DISTANCE: Final = Measured(
    "presence_distance",
    name="Distance",
    device_class="distance",
    scale=1000,
    lowest=0,
    highest=100,
    unit="m",
    decimals=2,
    is_optional=True,
)
LIGHT: Final = Measured(
    "light",
    name="Illuminance",
    device_class="illuminance",
    lowest=0,
    highest=200_000,
    unit="lx",
    decimals=0,
    is_optional=True,
)
TEMPERATURE: Final = Measured(
    "temperature", device_class="temperature", scale=100, decimals=1, is_optional=True
)
HUMIDITY: Final = Measured(
    "humidity",
    device_class="humidity",
    scale=10,
    lowest=0,
    highest=100,
    unit="%",
    decimals=1,
    is_optional=True,
)
_BY_NAME: Final[Mapping[str, Field]] = {
    "presence": PRESENCE,
    "light": LIGHT,
    "temp": TEMPERATURE,
    "humi": HUMIDITY,
}


def stamp_of(value: object, at_utc: datetime) -> float | None:
    """Read a time stamp; None for none, 0 (never) and one of a clock that is wrong."""
    stamp = number_of(value)
    # Ten digits as text are more than a number of that length elsewhere; both occur.
    if stamp is None or not 0 < stamp <= at_utc.timestamp() + _AHEAD_S:
        return None
    return stamp


class Freshness:
    """The newest time stamp of each of some things."""

    def __init__(self) -> None:
        self._newest: dict[str, float] = {}

    def is_newest(self, key: str, stamp: float | None, *, is_old: bool = False) -> bool:
        """Tell whether what has this stamp is to be believed, and remember it if so.

        Args:
            key: What it is of.
            stamp: When it was so; without one it is believed.
            is_old: It comes from where things are known to lag behind: then it is
                believed only if it is newer than what is known, or nothing is.
        """
        newest = self._newest.get(key)
        if newest is not None:
            if stamp is None:
                return not is_old
            if stamp < newest or (is_old and stamp == newest):
                return False
        self._newest[key] = stamp or 0.0
        return True


class Sample(NamedTuple):
    """A value on the wire, what it is of, and when it was so."""

    field: Field
    value: object
    time: object


def samples_of(item: Item, names: Iterable[str] = _BY_NAME) -> Iterator[Sample]:
    """Give the samples of an item of `Sensor.LatestX`: lists by the names of quantities."""
    for name in names:
        for one in items_of(object_of(item, "data"), name)[:_MOST_SAMPLES]:
            value = one.get("value", one.get(name))
            yield Sample(_BY_NAME[name], value, one.get("timestamp"))
            if name == "presence":
                yield Sample(DISTANCE, one.get("distance"), one.get("timestamp"))


class SampledFeature(ChannelFeature):
    """A feature whose items hold samples; an older one never wins over a newer one."""

    def __init__(self, about: About) -> None:
        super().__init__(about)
        self._freshness = Freshness()

    @abstractmethod
    def samples(self, namespace: str, item: Item) -> Iterable[Sample]:
        """Give what an item tells, in the order that it came."""

    def read(
        self, namespace: str, item: Item, channel: int, at_utc: datetime
    ) -> Mapping[str, State | None]:
        """Read the samples of an item."""
        states: dict[str, State | None] = {}
        for field, value, time in self.samples(namespace, item):
            key, state = entity_key(field.key, channel), field.read(value)
            if state is not None and self._freshness.is_newest(
                key, stamp_of(time, at_utc), is_old=namespace == DIGEST_HUB
            ):
                self.remember(key, field, value)
                states[key] = state
        return states
