"""The whole house of the demonstration, what the gateway knows of it, and what is shown."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import pytest

from structiot import Environment
from structiot.cli.demo.house import House
from structiot.cli.demo.systems import simulated_systems
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.config.toml_text import toml_key, toml_value
from structiot.gateway.drivers import installed_drivers, load_driver
from structiot.gateway.values import value_of
from structiot.model import Event
from tests.home_assistant.conftest import Home
from tests.home_assistant.core import Api

Table = dict[str, Any]

PREFIX = "structiot_"
# The house's own time: what is told is still so when it is looked at.
HOUSE = House(day_s=86_400.0)
WITHIN_S = 120.0

# Before the tests watch the loop: importing reads files.
for _system in installed_drivers():
    load_driver(_system)
    if _system != "maxsmart":
        import_module(f"structiot.gateway.drivers.{_system}.simulated")
assert HOUSE.places


@asynccontextmanager
async def simulated_house(home: Home) -> AsyncIterator[Table]:
    """Simulate the house; give the configuration of its gateway."""
    environment = Environment(random=Random(14))
    mqtt = {"uri": home.broker.uri, "base_topic": "demo_home"}
    own = {"id": "demo_home", "forget_on_exit": True}
    async with simulated_systems(HOUSE, environment) as sections:
        yield {"mqtt": mqtt, "gateway": own, **HOUSE.sections(sections)}


@asynccontextmanager
async def served(home: Home, folder: Path) -> AsyncIterator[tuple[Gateway, Table]]:
    async with simulated_house(home) as table:
        opened = open_gateway(load_config(table), state_file=folder / "state.json")
        async with opened as gateway:
            yield gateway, table


async def all_there(api: Api, gateway: Gateway) -> dict[str, str]:
    """Wait until every entity that is shown by default is available."""

    async def is_whole() -> bool:
        devices = gateway.devices.values()
        return len(devices) == HOUSE.devices and all(
            one.is_available for one in devices
        )

    await api.until(is_whole, within_s=WITHIN_S, what="not all devices are there")
    wanted = [
        entity
        for device in gateway.devices.values()
        for entity in device.entities.values()
        if entity.is_enabled
    ]
    return await api.until_available(PREFIX, len(wanted), within_s=WITHIN_S)


def expected(gateway: Gateway, ids: dict[str, str]) -> dict[str, tuple[Any, str]]:
    """Give what the gateway knows of each entity that Home Assistant has, by its id."""
    now_utc = Environment().now_utc()
    found = {}
    for device in gateway.devices.values():
        if device.info is None:
            continue
        for entity in device.entities.values():
            unique_id = f"{PREFIX}{device.system}_{device.info.id}_{entity.key}"
            entity_id = ids.get(unique_id.replace("/", "_"))
            if entity_id is not None and not isinstance(entity, Event):
                found[entity_id] = (value_of(device, entity, now_utc).value, unique_id)
    return found


def is_right(domain: str, value: object, state: str) -> bool:
    """Whether Home Assistant shows what the gateway knows."""
    if value is None or state == "unknown":
        # Buttons and what has not been told yet.
        return state == "unknown" or domain in {"button", "event", "update"}
    if isinstance(value, int | float):
        # Meters go on, and Home Assistant has wind in km/h.
        return any(
            float(state) == pytest.approx(float(value) * factor, rel=0.25, abs=5)
            for factor in (1.0, 3.6)
        )
    return domain in {"update", "sensor", "text"} or state == str(value).lower()


async def everything_is_right(api: Api, gateway: Gateway, ids: dict[str, str]) -> None:
    wrong: dict[str, Any] = {}

    async def agrees() -> bool:
        wrong.clear()
        states = await api.states(ids.values())
        for entity_id, (value, unique_id) in expected(gateway, ids).items():
            if not is_right(entity_id.partition(".")[0], value, states[entity_id]):
                wrong[unique_id] = (value, states[entity_id])
        return not wrong

    try:
        await api.until(agrees, within_s=30)
    except AssertionError:
        raise AssertionError(f"Home Assistant shows otherwise: {wrong}") from None
    assert len(expected(gateway, ids)) > 0.8 * len(ids)


def write_config(file: Path, table: Table) -> None:
    lines = [f"{toml_key(key)} = {toml_value(value)}" for key, value in table.items()]
    file.write_text("\n".join(lines), "utf-8")
    # It has passwords in it.
    file.chmod(0o600)
