"""Which entities of a card share a row, and which picture stands beside its name."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from structiot.dashboard.views import CardView, Control, EntityView
from structiot.model import BinarySensor, Sensor

__all__ = ["Part", "Row", "icon_of", "lead_of", "parts_of"]

_READ_ONLY: frozenset[Control] = frozenset({"none", "event"})
# A switch or so, short enough for the line of a device's name.
_BESIDE_NAME: frozenset[Control] = frozenset(
    {"fan", "light", "lock", "siren", "switch"}
)
# The first of a card's controls that is here decides its picture.
_ICONS: dict[Control, str] = {
    "light": "bulb",
    "climate": "thermometer",
    "cover": "cover",
    "lock": "lock",
    "fan": "fan",
    "siren": "siren",
    "switch": "plug",
    "event": "bell",
}
_CLASS_ICONS = {
    "temperature": "thermometer",
    "humidity": "drop",
    "moisture": "drop",
    "power": "bolt",
    "energy": "bolt",
    "door": "door",
    "window": "door",
    "opening": "door",
    "motion": "bell",
}
_HEADINGS = {"config": "Settings", "diagnostic": "Diagnostics"}


@dataclass(frozen=True, slots=True)
class Row:
    """Something that is set, and the figures of the same part: a port and its power."""

    main: EntityView
    figures: tuple[tuple[str, EntityView], ...] = ()


# Of a device with this many figures those of numbered parts share a row.
_MANY = 8
_NUMBERED = re.compile(r"(.*\d) (\S.*)")

_Named = tuple[str, EntityView]


@dataclass(frozen=True, slots=True)
class Part:
    """What stands below one heading of a card.

    Attributes:
        heading: The heading; empty for what everybody wants to see.
        figures: What is read and stands by itself.
        numbered: Figures of parts that have numbers, by their names: `Circuit 1`.
        rows: What is set.
    """

    heading: str
    figures: tuple[EntityView, ...]
    numbered: tuple[tuple[str, tuple[_Named, ...]], ...]
    rows: tuple[Row, ...]


def lead_of(card: CardView) -> Row | None:
    """Give the one thing that a device is there for, which stands beside its name."""
    parts = _sorted(card)
    leads = [row for part in parts[:1] for row in part.rows if _is_lead(row)]
    return leads[0] if len(leads) == 1 else None


def _is_lead(row: Row) -> bool:
    return row.main.entity.name is None and row.main.control in _BESIDE_NAME


def parts_of(card: CardView, *, with_lead: bool = False) -> list[Part]:
    """Sort a card's entities: what everybody wants to see, settings, diagnostics.

    Each part keeps the order of its entities. Nothing is left out but what stands beside
    the device's name, and that only where it does.

    Args:
        card: The card.
        with_lead: Whether that is among them, too.
    """
    parts = _sorted(card)
    lead = None if with_lead else lead_of(card)
    if lead is not None:
        rest = tuple(row for row in parts[0].rows if row != lead)
        parts[0] = replace(parts[0], rows=rest)
    return parts


def _sorted(card: CardView) -> list[Part]:
    by_category: dict[str | None, list[EntityView]] = {}
    for one in card.rows:
        by_category.setdefault(one.entity.category, []).append(one)
    order = [None, "config", "diagnostic"]
    return [
        _part(_HEADINGS.get(category or "", ""), by_category[category])
        for category in order
        if category in by_category
    ]


def _part(heading: str, entities: Iterable[EntityView]) -> Part:
    mains: dict[str, EntityView] = {}
    figures: list[EntityView] = []
    attached: dict[str, list[tuple[str, EntityView]]] = {}
    for one in entities:
        if one.control not in _READ_ONLY:
            mains[one.entity.key] = one
            continue
        owner = _owner(one.entity.key, mains)
        if owner is None:
            figures.append(one)
        else:
            attached.setdefault(owner, []).append((_rest(one, mains[owner]), one))
    rows = tuple(Row(one, tuple(attached.get(key, ()))) for key, one in mains.items())
    alone, numbered = _by_number(figures)
    return Part(heading, alone, numbered, rows)


def _by_number(
    figures: list[EntityView],
) -> tuple[tuple[EntityView, ...], tuple[tuple[str, tuple[_Named, ...]], ...]]:
    """Put the figures of numbered parts together, where there are many."""
    parts: dict[str, list[_Named]] = {}
    for one in figures if len(figures) >= _MANY else ():
        if found := _NUMBERED.fullmatch(one.name):
            parts.setdefault(found[1], []).append((found[2], one))
    # What is the only one of its part is better called by its whole name.
    rows = tuple((name, tuple(some)) for name, some in parts.items() if len(some) > 1)
    placed = {one.key for _, some in rows for _, one in some}
    return tuple(one for one in figures if one.key not in placed), rows


def _owner(key: str, mains: Iterable[str]) -> str | None:
    """Find whose part it is by its key: `port_1_power` is one of `port_1`."""
    return max((m for m in mains if key.startswith(f"{m}_")), key=len, default=None)


def _rest(figure: EntityView, main: EntityView) -> str:
    """Name a figure beside the name of its part."""
    return figure.name.removeprefix(main.name).strip() or figure.name


def icon_of(card: CardView) -> str:
    """Name the picture of a device, by what it does."""
    controls = [one.control for one in card.rows]
    for control, icon in _ICONS.items():
        if control in controls:
            return icon
    for one in card.rows:
        if isinstance(one.entity, Sensor | BinarySensor):
            icon = _CLASS_ICONS.get(one.entity.device_class or "", "")
            if icon:
                return icon
    return "device"
