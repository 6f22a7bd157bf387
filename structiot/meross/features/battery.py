"""The battery of a subdevice, whatever it is otherwise. Facts: reference 4.12 and 12."""

from __future__ import annotations

from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.feature import Update
from structiot.meross.features.fields import scaled
from structiot.meross.features.subdevice import SubFeature, SubPoll
from structiot.meross.wire.payloads import Item
from structiot.model import Entity, Sensor

__all__ = ["Battery"]

_BATTERY: Final = "Appliance.Hub.Battery"


class Battery(SubFeature):
    """Charge in percent; 4294967295 is unknown, as is all that is no percentage."""

    name = "battery"
    namespaces: ClassVar[frozenset[str]] = frozenset({_BATTERY})
    polls: ClassVar[tuple[SubPoll, ...]] = (SubPoll(namespace=_BATTERY, pace="slow"),)

    @property
    def entities(self) -> tuple[Entity, ...]:
        """The charge."""
        battery = Sensor(
            key="battery",
            name="Battery",
            category="diagnostic",
            device_class="battery",
            unit="%",
            state_class="measurement",
            decimals=0,
        )
        return (battery,)

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the charge."""
        if "value" not in item:
            return Update()
        return Update(states={"battery": scaled(item.get("value"), 1, 0, 100)})
