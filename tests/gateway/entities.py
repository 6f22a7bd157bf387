"""Entities of every kind, with much and with little that they can do."""

from __future__ import annotations

from structiot.model import (
    BinarySensor,
    Button,
    Climate,
    Cover,
    Event,
    Fan,
    Light,
    Lock,
    Number,
    Select,
    Sensor,
    Siren,
    Switch,
    Text,
    Update,
)

SWITCH = Switch(key="port_1")
LAMP = Light(
    key="lamp",
    color_modes=frozenset({"brightness", "color_temp", "rgb"}),
    min_color_temp_k=2700,
    max_color_temp_k=6500,
    effects=("Rainbow",),
)
BULB = Light(key="bulb")
DOOR = Cover(key="door")
BLIND = Cover(key="blind", has_position=True, has_stop=True)
VALVE = Climate(key="valve", modes=("off", "heat"), presets=("eco",))
PLAIN_VALVE = Climate(key="valve", modes=("off", "heat"))
LIMIT = Number(key="limit", minimum=-5, maximum=10)
SPRAY = Select(key="spray", options=("Off", "Continuous"))
BUTTON = Button(key="restart")
FIRMWARE = Update(key="firmware", can_install=True)
GATE = Lock(key="gate", can_open=True)
SHED = Lock(key="shed")
SIGN = Text(key="sign", max_length=20)
PIN = Text(key="pin", min_length=4, max_length=6, pattern="[0-9]*", is_secret=True)
FAN = Fan(
    key="fan",
    speed_steps=3,
    presets=("Eco", 'so "quiet"'),
    can_oscillate=True,
    has_direction=True,
)
VENT = Fan(key="vent", speed_steps=1)
SIREN = Siren(key="siren", tones=("bell", "5"), has_volume=True, has_duration=True)
HORN = Siren(key="horn")
READ_ONLY = (
    Sensor(key="power"),
    BinarySensor(key="leak"),
    Update(key="fw"),
    Event(key="bell", event_types=("ring",), device_class="doorbell"),
)
COMMANDED = (
    SWITCH,
    LAMP,
    BULB,
    DOOR,
    BLIND,
    VALVE,
    LIMIT,
    SPRAY,
    BUTTON,
    FIRMWARE,
    GATE,
    SHED,
    SIGN,
    PIN,
    FAN,
    VENT,
    SIREN,
    HORN,
)
ALL = (*COMMANDED, *READ_ONLY)
