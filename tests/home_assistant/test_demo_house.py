"""The whole house of the demonstration: accepted, right, back after births, and gone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.cli.demo.house import House
from structiot.cli.demo.systems import simulated_systems
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import installed_drivers, load_driver
from structiot.gateway.values import value_of
from structiot.model import Event
from tests.home_assistant.conftest import Home
from tests.home_assistant.core import Api

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

PREFIX = "structiot_"
# The hub's six, and the account itself, besides those that `--devices` counts.
MORE = 7
# The house's own time: what is told is still so when it is looked at.
HOUSE = House(day_s=86_400.0)
DOMAINS = {
    "binary_sensor", "button", "climate", "cover", "event", "fan", "light", "lock",
    "number", "select", "sensor", "siren", "switch", "text", "update",
}  # fmt: skip
_WITHIN_S = 120.0

# Before the tests watch the loop: importing reads files.
for _system in installed_drivers():
    load_driver(_system)
    if _system != "maxsmart":
        import_module(f"structiot.gateway.drivers.{_system}.simulated")


@asynccontextmanager
async def served(
    home: Home, folder: Path
) -> AsyncIterator[tuple[Gateway, dict[str, Any]]]:
    environment = Environment(random=Random(14))
    mqtt = {"uri": home.broker.uri, "base_topic": "demo_home"}
    own = {"id": "demo_home", "forget_on_exit": True}
    async with simulated_systems(HOUSE, environment) as sections:
        table = {"mqtt": mqtt, "gateway": own, **HOUSE.sections(sections)}
        opened = open_gateway(load_config(table), state_file=folder / "state.json")
        async with opened as gateway:
            yield gateway, table


async def all_there(api: Api, gateway: Gateway) -> dict[str, str]:
    """Wait until every entity that is shown by default is available."""

    async def is_whole() -> bool:
        devices = gateway.devices.values()
        return len(devices) == HOUSE.devices + MORE and all(
            one.is_available for one in devices
        )

    await api.until(is_whole, within_s=_WITHIN_S, what="not all devices are there")
    wanted = [
        entity
        for device in gateway.devices.values()
        for entity in device.entities.values()
        if entity.is_enabled
    ]
    return await api.until_available(PREFIX, len(wanted), within_s=_WITHIN_S)


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


async def test_the_whole_house_is_accepted_right_and_gone_at_the_end(home, tmp_path):
    async with home.assistant.connected() as api:
        async with served(home, tmp_path) as (gateway, table):
            ids = await all_there(api, gateway)
            assert {one.partition(".")[0] for one in ids.values()} == DOMAINS
            await everything_is_right(api, gateway, ids)
            # A birth storm: everything is told again each time, and nothing doubled.
            for _ in range(3):
                await anyio.to_thread.run_sync(home.assistant.reload)
            assert await all_there(api, gateway) == ids
            await everything_is_right(api, gateway, ids)
            await one_is_away(api, gateway, table, ids)

        async def is_gone() -> bool:
            return not await api.entity_ids(PREFIX + "m")

        await api.until(is_gone, within_s=60, what="ghosts are left")


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


async def one_is_away(
    api: Api, gateway: Gateway, table: dict[str, Any], ids: dict[str, str]
) -> None:
    """Look for a strip where it is not: it is unavailable, and nobody else is."""
    strips = table["maxsmart"]["devices"]
    lost = [{**one, "http_port": 1, "udp_port": 1} for one in strips[:1]]
    section = {**table["maxsmart"], "devices": [*lost, *strips[1:]]}
    serial = gateway.devices["kitchen_counter"].info
    assert serial is not None
    its = [one for uid, one in ids.items() if f"_{serial.id}_" in uid]
    await gateway.reload(load_config({**table, "maxsmart": section}))
    await api.until_away(its)
    states = await api.states(ids.values())
    assert {one for one, state in states.items() if state == "unavailable"} == set(its)
    await gateway.reload(load_config(table))
    assert await all_there(api, gateway) == ids
