"""Which devices a house has, where, and what they are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

__all__ = ["USUAL", "Resident", "named_on", "shares"]

PlanT = TypeVar("PlanT")

USUAL: Final[Mapping[str, int]] = {"maxsmart": 3, "meross": 10, "manager": 30}
"""How many devices of each system a house has; a hub counts as one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Resident:
    """A device of the house, for whoever says where devices are.

    Attributes:
        known_as: What its level in topics is made of: its name where the configuration
            names it, else system and identity.
        name: What people call it.
        room: Where it is.
        confirm: Whether one had better think twice before it is switched.
        confirmed: Keys of entities of which the same is true.
    """

    known_as: str
    name: str
    room: str
    confirm: bool = False
    confirmed: tuple[str, ...] = field(default=())


def shares(devices: int) -> dict[str, int]:
    """Share out a number of devices to the systems, as in the usual house.

    Args:
        devices: How many in all; each system has one at least.
    """
    usual = sum(USUAL.values())
    found = {name: max(1, round(devices * n / usual)) for name, n in USUAL.items()}
    found["manager"] = max(1, devices - found["maxsmart"] - found["meross"])
    return found


def named_on(plans: Sequence[PlanT], number: int) -> tuple[PlanT, str]:
    """Give the plan of a device, from 0 on, and what is behind its name.

    Once all plans are used up, they begin again: there is a `Desk lamp 2`.
    """
    turn, index = divmod(number, len(plans))
    return plans[index], f" {turn + 1}" if turn else ""
