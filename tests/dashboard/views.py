"""Views of a house that is not there: one device of each kind, as many as are wanted."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from structiot import dashboard
from structiot.dashboard.views import (
    CardView,
    Control,
    DeviceView,
    EntityView,
    GroupView,
    HappenedView,
    IndexView,
    PageView,
    SeriesView,
    SparklineView,
    StatisticView,
)
from structiot.gateway.entities.commands import takes_commands
from structiot.gateway.entities.states import state_payload
from structiot.gateway.values import UNKNOWN_TEXT, Value, ValueState
from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    ClimateState,
    Cover,
    CoverMotion,
    CoverState,
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
    UpdateState,
)
from structiot.model.text import state_text

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
STATIC = Path(dashboard.__file__).parent / "static"
CONTROLS: tuple[Control, ...] = (
    "button", "climate", "cover", "event", "fan", "light", "lock", "number", "select",
    "siren", "switch", "text", "update",
)  # fmt: skip
KINDS: Mapping[str, list[tuple[Entity, State | None]]] = {
    "strip": [
        (Switch(key="port_1", name="Port 1", device_class="outlet"), True),
        (Sensor(key="port_1_power", name="Port 1 power", unit="W", decimals=1), 12.3),
        (Sensor(key="port_1_energy", name="Port 1 energy", unit="kWh"), 3.1),
        (Sensor(key="total_power", name="Total power", unit="W", decimals=2), 1240.0),
        (Sensor(key="rssi", name="Signal", unit="dBm", category="diagnostic"), -61),
    ],
    "lamp": [
        (
            Light(
                key="light",
                color_modes=frozenset({"brightness", "color_temp", "rgb"}),
                effects=("calm", "party"),
            ),
            LightState(is_on=True, brightness_percent=40, color_temp_k=2700),
        )
    ],
    "blind": [
        (
            Cover(key="cover", has_position=True, has_stop=True),
            CoverState(motion=CoverMotion.OPEN, position_percent=60),
        )
    ],
    "valve": [
        (
            Climate(key="climate", modes=("off", "heat"), presets=("eco", "comfort")),
            ClimateState(mode="heat", target_c=21, current_c=20.5, preset="eco"),
        )
    ],
    "door": [
        (Lock(key="lock", can_open=True), LockState.LOCKED),
        (BinarySensor(key="door", name="Door", device_class="door"), False),
    ],
    "fan": [
        (
            Fan(
                key="fan",
                speed_steps=4,
                presets=("sleep",),
                can_oscillate=True,
                has_direction=True,
            ),
            FanState(is_on=True, speed_percent=50, is_oscillating=False),
        )
    ],
    "siren": [
        (
            Siren(key="siren", tones=("fire", "bell"), has_volume=True),
            SirenState(is_on=False, volume_percent=30),
        )
    ],
    "bell": [(Event(key="bell", name="Bell", event_types=("single",)), None)],
    "box": [
        (Number(key="level", name="Level", minimum=0, maximum=10, unit="m"), 4.0),
        (Select(key="mode", name="Mode", options=("auto", "eco")), "eco"),
        (Text(key="sign", name="Sign"), "welcome"),
        (Text(key="pin", name="Pin", is_secret=True), "4711-secret"),
        (Button(key="restart", name="Restart"), None),
        (
            Update(key="firmware", name="Firmware", can_install=True),
            UpdateState(installed="1.0", latest="1.1"),
        ),
    ],
}


def page(title: str = "structiot", path: str = "/", **others: Any) -> PageView:
    """Give what every page has; the files are not named by what is in them."""
    return PageView(
        title=title,
        csrf_token="a-token",
        assets={one.name: f"/assets/{one.name}" for one in STATIC.iterdir()},
        stream="/events",
        path=path,
        now_utc=NOW,
        **others,
    )


def entity_view(
    device: str,
    name: str,
    entity: Entity,
    state: State | None,
    told: ValueState = "live",
    **others: Any,
) -> EntityView:
    """Give the row of an entity in some state."""
    fields: Mapping[str, Any] | None = None
    value: Any = state if isinstance(state, str | int | float) else None
    if isinstance(state, bool):
        value = "ON" if state else "OFF"
    elif isinstance(entity, Light | Climate | Cover | Fan | Siren) and state:
        fields = json.loads(state_payload(entity, state))
        value = fields["mode" if isinstance(entity, Climate) else "state"]
    text = {"unknown": UNKNOWN_TEXT, "unavailable": "unavailable"}.get(told)
    at = NOW - timedelta(minutes=3)
    is_on = state if isinstance(state, bool) else getattr(state, "is_on", None)
    return EntityView(
        key=f"{device}/{entity.key}",
        entity=entity,
        value=Value(
            value=None if text else value,
            text=text or state_text(state, entity),
            state=told,
            at_utc=None if told == "unknown" else at,
            fields=None if text else fields,
        ),
        at=None if told == "unknown" else at.timestamp(),
        name=entity.name or name,
        label=f"{name} {entity.name}" if entity.name else name,
        control=_control(entity),
        is_on=state is LockState.LOCKED if isinstance(entity, Lock) else is_on,
        **others,
    )


def _control(entity: Entity) -> Control:
    kind = type(entity).__name__.lower()
    is_one = takes_commands(entity) or isinstance(entity, Event)
    return next((one for one in CONTROLS if is_one and one == kind), "none")


def card(
    kind: str,
    device: str = "it",
    name: str = "It",
    told: ValueState = "live",
    **others: Any,
) -> CardView:
    """Give the card of a device of a kind."""
    away = told == "unavailable"
    given: dict[str, Any] = {
        "system": "maxsmart",
        "model": "Revogi 6 ports",
        "room": "Kitchen",
        "reason": "it does not answer" if away else "",
        "trouble": "away" if away else "stale" if told == "stale" else "",
        "rows": tuple(entity_view(device, name, *one, told) for one in KINDS[kind]),
    } | others
    return CardView(
        device=device,
        name=name,
        is_available=not away,
        since_utc=NOW - timedelta(hours=2),
        **given,
    )


def sparkline(device: str) -> SparklineView:
    """Give an hour that wavers, with a gap in it."""
    end = NOW.timestamp()
    points = [
        (end - 3600 + 30 * i, None if 40 < i < 55 else float(i * 7919 % 50))
        for i in range(120)
    ]
    return SparklineView(
        key=f"{device}/total_power",
        points=tuple(points),
        from_s=end - 3600,
        to_s=end,
    )


def index(*cards: CardView, **others: Any) -> IndexView:
    """Give `/` with these cards in one room."""
    groups = (GroupView(name="Kitchen", is_room=True, cards=cards),) if cards else ()
    given: dict[str, Any] = {"total": len(cards), "away": 0, "stale": 0} | others
    return IndexView(page=page(), groups=groups, **given)


def house(count: int) -> IndexView:
    """Give `/` of a house with so many devices of all kinds."""
    kinds = list(KINDS)
    cards = []
    for i in range(count):
        device = f"device_{i}"
        line = sparkline(device) if i % 2 else None
        kind = kinds[i % len(kinds)] if i % 3 else "strip"
        cards.append(card(kind, device, f"Device {i}", sparkline=line))
    return index(*cards)


def device(one: CardView, **others: Any) -> DeviceView:
    """Give the page of a device."""
    end = NOW.timestamp()
    series = SeriesView(
        key=f"{one.device}/total_power",
        name="Total power",
        unit="W",
        is_step=False,
        is_energy=False,
        is_selected=True,
        latest="12.30 W",
    )
    given: dict[str, Any] = {
        "page": page(f"{one.name} · structiot", one.href),
        "card": one,
        "has_history": True,
        "series": (series,),
        "range_name": "day",
        "from_s": end - 86400,
        "to_s": end,
        "resolution_s": 300,
        "points": (
            (end - 900, 10.0, 0.0, 1840.0),
            (end - 600, None, None, None),
            (end - 300, 12.3, 12.0, 13.0),
        ),
        "spans": (),
        "statistics": (StatisticView(name="Average", text="96 W"),),
        "events": (HappenedView(at_utc=NOW, name="Bell", text="single"),),
        "details": (("Serial", "4711"),),
        "topics": (("State", "structiot/it/port_1/state"),),
        "links": (("Port 1 as CSV", "/api/history/it/port_1.csv"),),
        "last_heard_utc": NOW,
        "last_changed_utc": NOW,
    } | others
    return DeviceView(**given)
