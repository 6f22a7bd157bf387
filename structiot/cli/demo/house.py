"""The house of a demonstration: how many devices, how long its days, what is where."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from structiot.gateway.entities.topics import slug_of
from structiot.sim.house.residents import USUAL, Resident, shares

__all__ = ["USUAL_DAY_S", "USUAL_DEVICES", "House"]

USUAL_DEVICES: Final = sum(USUAL.values())
USUAL_DAY_S: Final = 600.0

# As what the devices of a system are offered to the platform.
_OFFERED: Final = {
    "maxsmart": "iot#strip",
    "meross": "iot#meross",
    "manager": "iot#self-built",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class House:
    """A simulated house.

    Attributes:
        devices: How many devices it has.
        day_s: How long one of its days takes, in seconds.
    """

    devices: int = USUAL_DEVICES
    day_s: float = USUAL_DAY_S

    @property
    def shares(self) -> dict[str, int]:
        """How many devices each system has."""
        return shares(self.devices)

    def sections(self, systems: Mapping[str, Any]) -> dict[str, Any]:
        """Give the whole configuration: rooms, and what is offered to the platform.

        Args:
            systems: The section of each simulated system, by the system's name.
        """
        offers = _OFFERED.items() if "connector" in systems else ()
        links = [
            {"from": "*", "system": system, "to": "platform", "type": kind}
            for system, kind in offers
            if system in systems
        ]
        return {**systems, "devices": self.places, "links": links}

    @property
    def places(self) -> dict[str, Any]:
        """The section `[devices]`: rooms, and what is switched with care."""
        # Who asks for help needs no simulators.
        from structiot.sim.house.cloud import meross_residents  # noqa: PLC0415
        from structiot.sim.house.dialled import dialled_residents  # noqa: PLC0415
        from structiot.sim.house.strips import strip_residents  # noqa: PLC0415

        counts = self.shares
        residents = (
            *strip_residents(counts["maxsmart"]),
            *meross_residents(counts["meross"]),
            *dialled_residents(counts["manager"]),
        )
        return {slug_of(one.known_as): _place(one) for one in residents}


def _place(resident: Resident) -> Mapping[str, Any]:
    entities = {key: {"confirm": True} for key in resident.confirmed}
    return {
        "room": resident.room,
        **({"confirm": True} if resident.confirm else {}),
        **({"entities": entities} if entities else {}),
    }
