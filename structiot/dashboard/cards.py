"""The cards of the page: what the gateway knows of its devices, as views."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime

import anyio.lowlevel

from structiot.dashboard.shown import is_secret, seconds_of, shown_value
from structiot.dashboard.views import (
    CardView,
    Control,
    EntityView,
    GroupView,
    SparklineView,
    Trouble,
)
from structiot.gateway.config.places import DeviceSection
from structiot.gateway.drivers.driver import ServedDevice
from structiot.gateway.entities.commands import takes_commands
from structiot.gateway.values import Value
from structiot.model import (
    Button,
    Climate,
    Cover,
    Entity,
    Event,
    Fan,
    FanState,
    Light,
    LightState,
    Lock,
    LockState,
    Number,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    Switch,
    Text,
    Update,
)
from structiot.model.text import state_text

__all__ = ["card_of", "cards_of", "grouped", "main_figure"]

_CONTROLS: Mapping[type[Entity], Control] = {
    Button: "button",
    Climate: "climate",
    Cover: "cover",
    Event: "event",
    Fan: "fan",
    Light: "light",
    Lock: "lock",
    Number: "number",
    Select: "select",
    Siren: "siren",
    Switch: "switch",
    Text: "text",
    Update: "update",
}
# Asked for unless the configuration says otherwise.
_WITH_CARE = (Lock, Siren)
_NO_VALUE = Value(value=None, text="", state="unknown", at_utc=None)
_CATEGORIES = (None, "config", "diagnostic")
_ROWS_A_TURN = 200


async def cards_of(
    devices: Mapping[str, ServedDevice],
    places: Mapping[str, DeviceSection],
    now_utc: datetime,
    sparklines: Mapping[str, SparklineView],
) -> list[CardView]:
    """Make the cards of all devices, by name, with what everybody wants to see."""
    cards, rows = [], 0
    # Others have their turn meanwhile, and devices come and go.
    for slug, device in list(devices.items()):
        figure = main_figure(device)
        line = None if figure is None else sparklines.get(f"{slug}/{figure}")
        place = places.get(slug)
        card = card_of(slug, device, place, now_utc, sparkline=line)
        cards.append(card)
        # A card alone is some work, too.
        rows += 10 + len(card.rows)
        if rows >= _ROWS_A_TURN:
            rows = 0
            await anyio.lowlevel.checkpoint()
    return sorted(cards, key=lambda card: (card.name.casefold(), card.device))


def card_of(
    slug: str,
    device: ServedDevice,
    place: DeviceSection | None,
    now_utc: datetime,
    *,
    is_whole: bool = False,
    sparkline: SparklineView | None = None,
) -> CardView:
    """Make the card of a device.

    Args:
        slug: Its level in topics.
        device: The device.
        place: What the configuration says of it.
        now_utc: The time.
        is_whole: Whether all its entities are shown, or what everybody wants to see.
        sparkline: The last hour of its main figure.
    """
    entities = [
        one
        for one in device.entities.values()
        if is_whole or (one.category is None and one.is_enabled)
    ]
    if is_whole:
        entities.sort(key=lambda one: _CATEGORIES.index(one.category))
    place = place or DeviceSection()
    rows = tuple(_row(slug, device, one, place, now_utc) for one in entities)
    availability, info = device.availability, device.info
    trouble: Trouble = ""
    if not availability.is_available:
        trouble = "away"
    elif any(row.value.state == "stale" for row in rows):
        trouble = "stale"
    model = () if info is None else (info.manufacturer, info.model)
    return CardView(
        device=slug,
        name=device.name,
        system=device.system,
        model=" ".join(filter(None, model)),
        room=place.room or "",
        is_available=availability.is_available,
        reason=availability.reason,
        since_utc=availability.at_utc,
        trouble=trouble,
        rows=rows,
        sparkline=sparkline,
    )


def _row(
    slug: str,
    device: ServedDevice,
    entity: Entity,
    place: DeviceSection,
    now_utc: datetime,
) -> EntityView:
    is_button = isinstance(entity, Button)
    value = _NO_VALUE if is_button else shown_value(device, entity, now_utc)
    state = device.states.get(entity.key)
    own = place.entities.get(entity.key)
    asked = (None if own is None else own.confirm, place.confirm)
    confirm = next((one for one in asked if one is not None), None)
    last_text = ""
    if value.state == "unavailable" and not is_secret(entity):
        last_text = state_text(state, entity)
    return EntityView(
        key=f"{slug}/{entity.key}",
        entity=entity,
        value=value,
        at=seconds_of(value.at_utc),
        name=entity.name or device.name,
        label=f"{device.name} {entity.name}" if entity.name else device.name,
        control=_control_of(entity),
        confirm=isinstance(entity, _WITH_CARE) if confirm is None else confirm,
        is_on=_is_on(state),
        last_text=last_text,
        changed_utc=device.changed_at_utc.get(entity.key),
    )


def _control_of(entity: Entity) -> Control:
    if not (takes_commands(entity) or isinstance(entity, Event)):
        return "none"
    for kind, control in _CONTROLS.items():
        if isinstance(entity, kind):
            return control
    return "none"


def _is_on(state: State | None) -> bool | None:
    if isinstance(state, bool):
        return state
    if isinstance(state, LightState | FanState | SirenState):
        return state.is_on
    if isinstance(state, LockState):
        return state is LockState.LOCKED
    return None


def grouped(cards: Iterable[CardView]) -> tuple[GroupView, ...]:
    """Put cards under their rooms, and those that have none under their systems."""
    rooms: dict[str, list[CardView]] = {}
    systems: dict[str, list[CardView]] = {}
    for card in cards:
        places, name = (rooms, card.room) if card.room else (systems, card.system)
        places.setdefault(name, []).append(card)
    return tuple(
        GroupView(name=name, is_room=places is rooms, cards=tuple(places[name]))
        for places in (rooms, systems)
        for name in sorted(places, key=str.casefold)
    )


def main_figure(device: ServedDevice) -> str | None:
    """Name the figure that a device's sparkline is of; None if it has none."""
    keys = list(device.entities)
    figures = [
        one
        for one in device.entities.values()
        if isinstance(one, Sensor)
        and one.state_class == "measurement"
        and one.unit
        and one.category is None
        and one.is_enabled
    ]

    def rank(one: Sensor) -> tuple[bool, bool]:
        # That of the whole strip, not that of a port.
        is_part = any(one.key.startswith(f"{key}_") for key in keys)
        return one.device_class != "power", is_part

    return min(figures, key=rank).key if figures else None
