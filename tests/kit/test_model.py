"""The common model: frozen values with names, and what counts as a device."""

from __future__ import annotations

import copy
import dataclasses
import inspect
import pickle
from collections.abc import AsyncIterator
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
    LightState,
    Number,
    Reading,
    Select,
    Sensor,
    StateChange,
    Switch,
)

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
VALUES = [
    value
    for name in model.__all__
    if inspect.isclass(value := getattr(model, name))
    and dataclasses.is_dataclass(value)
]
SAMPLES: dict[str, Any] = {
    "at_utc": NOW,
    "device": "strip",
    "id": "strip",
    "is_available": True,
    "key": "port_1",
    "maximum": 10.0,
    "minimum": 0.0,
    "modes": ("off", "heat"),
    "name": "Strip",
    "options": ("one", "two"),
    "port": 1,
    "state": True,
    "system": "maxsmart",
}


def made(cls: type) -> Any:
    required = {
        field.name: SAMPLES[field.name]
        for field in dataclasses.fields(cls)
        if field.default is dataclasses.MISSING
    }
    return cls(**required)


def test_the_public_list_is_what_the_module_defines():
    defined = {
        name
        for name, value in vars(model).items()
        if getattr(value, "__module__", None) == model.__name__
    }
    assert defined | {"State", "Command", "DeviceEvent"} == set(model.__all__)


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
    for state in (LightState(), CoverState(), ClimateState()):
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


def test_ranges_have_the_defaults_of_a_home():
    climate = Climate(key="heating", modes=("off", "heat"))
    assert (climate.min_target_c, climate.max_target_c, climate.step_c) == (5, 35, 0.5)
    assert Number(key="limit", minimum=0, maximum=100).step == 1
    assert Select(key="spray", options=("off", "on")).options == ("off", "on")


class Lamp:
    """The least that is a device."""

    info = DeviceInfo(id="lamp", system="test", name="Lamp")
    entities: tuple[Entity, ...] = (Switch(key="lamp"), Sensor(key="power", unit="W"))

    def __init__(self) -> None:
        self.is_on = False

    @asynccontextmanager
    async def events(self):
        async def present() -> AsyncIterator[DeviceEvent]:
            yield Availability(is_available=True, at_utc=NOW)
            yield StateChange(key="lamp", state=self.is_on, at_utc=NOW)

        yield present()

    async def command(self, key: str, command: Command) -> None:
        if key != "lamp" or not isinstance(command, bool):
            raise UsageError(f"{key} cannot be told {command!r}")
        self.is_on = command


async def test_a_class_with_these_four_names_is_a_device():
    lamp: Device = Lamp()
    assert isinstance(lamp, Device)
    assert not isinstance(object(), Device)
    await lamp.command("lamp", True)
    async with lamp.events() as events:
        seen = [event async for event in events]
    assert seen == [
        Availability(is_available=True, at_utc=NOW),
        StateChange(key="lamp", state=True, at_utc=NOW),
    ]
    with pytest.raises(UsageError):
        await lamp.command("power", None)
