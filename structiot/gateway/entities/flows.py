"""What a device draws and produces in all, of the figures that it tells. Pure.

A strip tells of each port and of all of them; who adds all figures up counts it twice. A
meter of several circuits measures what other devices draw, too.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["WATTS", "PowerFlow", "flow_of"]

WATTS: Final[Mapping[str, float]] = {"W": 1.0, "kW": 1e3, "MW": 1e6, "mW": 1e-3}
"""How many watts each unit of power is."""

_PRODUCED: Final = re.compile(
    r"(?<![a-z])(?:pv|solar|photovoltaic|inverter|produc|generated|generation|generator"
    r"|export|feed[ _]?in)",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PowerFlow:
    """What goes through a device.

    Attributes:
        drawn_w: What it draws, in watts.
        produced_w: What it produces, in watts.
        is_circuits: It switches nothing and measures several circuits, so that what it
            measures may be what other devices draw.
    """

    drawn_w: float
    produced_w: float
    is_circuits: bool


def flow_of(
    watts: Mapping[str, float], names: Mapping[str, str], *, is_switched: bool
) -> PowerFlow | None:
    """Tell what a device draws and produces; None if it does not say.

    Of a device with a figure for all and one for each part, the one for all counts. What
    is below 0 is produced, and what is called so (solar, produced, exported).

    Args:
        watts: Its figures of power that are known, by key.
        names: What all of its figures of power are called, by key.
        is_switched: Whether anything of it can be switched.
    """
    whole = [key for key in watts if not _is_part(key)]
    counted = whole[:1] or list(watts)
    if not counted:
        return None
    produced_w = drawn_w = 0.0
    for key in counted:
        is_named = _PRODUCED.search(f"{key} {names.get(key, '')}") is not None
        if is_named or watts[key] < 0:
            produced_w += abs(watts[key])
        else:
            drawn_w += watts[key]
    parts = sum(map(_is_part, names))
    is_circuits = parts > 1 and not is_switched
    return PowerFlow(drawn_w=drawn_w, produced_w=produced_w, is_circuits=is_circuits)


def _is_part(key: str) -> bool:
    return any(map(str.isdigit, key))
