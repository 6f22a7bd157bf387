"""The common model: frozen values with names, and what counts as a device."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from structiot import model
from structiot.errors import UsageError
from structiot.model import (
    Availability,
    Climate,
    ClimateState,
    Command,
    CoverAction,
    CoverMotion,
    CoverState,
    Device,
    DeviceEvent,
    DeviceInfo,
    Entity,
    Event,
    Fan,
    FanDirection,
    FanState,
    LightState,
    Lock,
    LockAction,
    LockState,
    Number,
    Occurrence,
    Reading,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    StateChange,
    Switch,
    Text,
)
from tests._support.entity_kinds import entity_kinds

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VALUES = [
    value
    for name in model.__all__
    if inspect.isclass(value := getattr(model, name))
    and dataclasses.is_dataclass(value)
]
SAMPLES: dict[str, Any] = {
    "at_utc": NOW,
    "channel": 1,
    "device": "strip",
    "event_type": "single",
    "event_types": ("single", "double"),
    "id": "strip",
    "is_available": True,
    "key": "port_1",
    "maximum": 10.0,
    "minimum": 0.0,
    "modes": ("off", "heat"),
    "name": "Strip",
    "options": ("one", "two"),
    "state": True,
    "system": "maxsmart",
}


def made(cls: type) -> Any:
    required = {
        field.name: SAMPLES[field.name]
        for field in dataclasses.fields(cls)
        if field.default is field.default_factory is dataclasses.MISSING
    }
    return cls(**required)


def test_the_public_list_is_what_the_module_defines():
    defined = {
        name
        for name, value in vars(model).items()
        if getattr(value, "__module__", "").startswith(f"{model.__name__}.")
    }
    assert defined | {"State", "Command", "DeviceEvent"} == set(model.__all__)


def test_every_kind_of_entity_can_be_imported():
    assert {kind.__name__ for kind in entity_kinds()} < set(model.__all__)
    assert {Event, Fan, Lock, Siren, Switch, Text} < entity_kinds()


@pytest.mark.parametrize("cls", VALUES)
def test_values_are_frozen_slotted_and_named(cls: type):
    value = made(cls)
    field = dataclasses.fields(cls)[0].name
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(value, field, None)
    assert not hasattr(value, "__dict__")
    with pytest.raises(TypeError):
        cls(*[None] * len(dataclasses.fields(cls)))


@pytest.mark.parametrize("cls", VALUES)
def test_values_compare_hash_copy_and_pickle(cls: type):
    value = made(cls)
    assert value == made(cls)
    assert len({value, made(cls)}) == 1
    assert copy.deepcopy(value) == value
    assert pickle.loads(pickle.dumps(value)) == value


def test_what_is_not_reported_is_none():
    reading = Reading(device="strip", channel=1, at_utc=NOW)
    assert (reading.is_on, reading.power_w, reading.current_a) == (None, None, None)
    assert (reading.voltage_v, reading.energy_wh) == (None, None)
    for state in (
        LightState(),
        CoverState(),
        ClimateState(),
        FanState(),
        SirenState(),
    ):
        assert all(
            getattr(state, field.name) is None for field in dataclasses.fields(state)
        )


def test_an_entity_is_shown_by_default_and_needs_a_key_only():
    entity = Switch(key="port_1")
    assert (entity.is_enabled, entity.name, entity.category) == (True, None, None)


def test_texts_of_the_enumerations_are_what_home_assistant_says():
    assert [str(action) for action in CoverAction] == ["open", "close", "stop"]
    assert [str(motion) for motion in CoverMotion] == [
        "open",
        "closed",
        "opening",
        "closing",
        "stopped",
    ]
    assert [str(action) for action in LockAction] == ["lock", "unlock", "open"]
    assert [str(state) for state in LockState] == [
        "locked",
        "unlocked",
        "locking",
        "unlocking",
        "jammed",
        "open",
        "opening",
    ]
    assert [str(direction) for direction in FanDirection] == ["forward", "reverse"]


def test_ranges_have_the_defaults_of_a_home():
    climate = Climate(key="heating", modes=("off", "heat"))
    assert (climate.min_target_c, climate.max_target_c, climate.step_c) == (5, 35, 0.5)
    assert Number(key="limit", minimum=0, maximum=100).step == 1
    assert Select(key="spray", options=("off", "on")).options == ("off", "on")
    assert (Text(key="sign").min_length, Text(key="sign").max_length) == (0, 255)


def test_what_is_not_said_of_an_entity_it_cannot_do():
    assert not Lock(key="door").can_open
    fan = Fan(key="fan")
    assert (fan.speed_steps, fan.presets) == (0, ())
    assert (fan.can_oscillate, fan.has_direction) == (False, False)
    siren = Siren(key="siren")
    assert siren.tones == ()
    assert (siren.has_volume, siren.has_duration) == (False, False)


@pytest.mark.parametrize(
    ("entity", "text", "fits"),
    [
        (Text(key="sign"), "", True),
        (Text(key="sign"), "x" * 255, True),
        (Text(key="sign"), "x" * 256, False),
        (Text(key="pin", min_length=4, max_length=6), "123", False),
        (Text(key="pin", min_length=4, max_length=6), "1234567", False),
        (Text(key="pin", pattern="[0-9]+"), "1234", True),
        (Text(key="pin", pattern="[0-9]+"), "1234x", False),
        (Text(key="pin", pattern="[0-9]+"), "1234\n", False),
    ],
)
def test_a_text_fits_by_its_length_and_as_a_whole(entity: Text, text: str, fits):
    assert entity.fits(text) is fits


def test_channels_are_the_ports_of_a_strip_and_0_is_the_whole():
    assert Reading(device="strip", channel=3, at_utc=NOW).port == 3
    assert Reading(device="plug", channel=0, at_utc=NOW).port == 0


def test_occurrences_compare_by_all_that_they_have():
    press = Occurrence(key="bell", event_type="ring", at_utc=NOW)
    assert press == Occurrence(key="bell", event_type="ring", at_utc=NOW, data={})
    again = Occurrence(key="bell", event_type="ring", at_utc=NOW, data={"n": 2})
    assert press != again
    assert len({press, again}) == 2


class Lamp:
    """The least that is a device."""

    info = DeviceInfo(id="lamp", system="test", name="Lamp")
    entities: tuple[Entity, ...] = (Switch(key="lamp"), Sensor(key="power", unit="W"))
    availability = Availability(is_available=True, at_utc=NOW)

    def __init__(self) -> None:
        self.states: Mapping[str, State | None] = {"lamp": False}

    def stale_after_s(self, key: str) -> float | None:
        return None

    def silent_s(self, key: str) -> float | None:
        return 0.0 if key in self.states else None

    @asynccontextmanager
    async def events(self):
        async def present() -> AsyncIterator[DeviceEvent]:
            yield self.availability
            for key, state in self.states.items():
                yield StateChange(key=key, state=state, at_utc=NOW)

        yield present()

    async def command(self, key: str, command: Command) -> None:
        if key != "lamp" or not isinstance(command, bool):
            raise UsageError(f"{key} cannot be told {command!r}")
        self.states = {"lamp": command}


async def test_a_class_with_these_eight_names_is_a_device():
    lamp: Device = Lamp()
    assert isinstance(lamp, Device)
    assert not isinstance(object(), Device)
    await lamp.command("lamp", True)
    assert lamp.states == {"lamp": True}
    async with lamp.events() as events:
        seen = [event async for event in events]
    assert seen == [
        Availability(is_available=True, at_utc=NOW),
        StateChange(key="lamp", state=True, at_utc=NOW),
    ]
    with pytest.raises(UsageError):
        await lamp.command("power", None)
