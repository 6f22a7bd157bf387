"""Which devices a house has, where, and what they are called. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final, TypeVar

__all__ = ["USUAL", "Resident", "named_on", "shares"]

PlanT = TypeVar("PlanT")

USUAL: Final[Mapping[str, int]] = {"maxsmart": 3, "meross": 17, "manager": 30}
"""How many devices of each system a house has, as a gateway counts them: what hangs on a hub
as well, and the account that Meross devices are of."""

_ON_A_HUB: Final = 6
_UNTIL_A_HUB: Final = 10


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
        devices: How many in all, 4 at least: each system has one, and Meross an account.

    Returns:
        How many each has; of Meross those of the account alone, of which every tenth is a
        hub that has six more.
    """
    usual = sum(USUAL.values())
    strips, most = (
        max(1, round(devices * USUAL[one] / usual)) for one in ("maxsmart", "meross")
    )
    meross = 1
    while _on_page(meross + 1) <= most:
        meross += 1
    left = devices - strips - _on_page(meross)
    return {"maxsmart": strips, "meross": meross, "manager": left}


def _on_page(meross: int) -> int:
    """Count devices of an account with it, and with what hangs on its hubs."""
    return 1 + meross + meross // _UNTIL_A_HUB * _ON_A_HUB


def named_on(plans: Sequence[PlanT], number: int) -> tuple[PlanT, str]:
    """Give the plan of a device, from 0 on, and what is behind its name.

    Once all plans are used up, they begin again: there is a `Desk lamp 2`.
    """
    turn, index = divmod(number, len(plans))
    return plans[index], f" {turn + 1}" if turn else ""
