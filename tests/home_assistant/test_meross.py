"""A cloud with ten Meross devices: every entity is accepted, and what can be told obeys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers.meross.simulated import SHOWN, simulated_account
from tests.home_assistant.conftest import Home
from tests.home_assistant.core import Api
from tests.home_assistant.energy import energy_is_valid
from tests.home_assistant.orders import orders, same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

# Doors and shutters travel, valves wake up now and then.
_WITHIN_S = 150.0
PREFIX = "structiot_meross_"
HUNG_ON_THE_HUB = 6


@asynccontextmanager
async def served(home: Home, folder: Path) -> AsyncIterator[Gateway]:
    mqtt = {"uri": home.broker.uri, "base_topic": "meross_home"}
    async with simulated_account(Environment()) as section:
        config = load_config(
            {
                "mqtt": mqtt,
                "gateway": {"id": "meross_home", "forget_on_exit": True},
                "meross": section,
            }
        )
        async with open_gateway(config, state_file=folder / "state.json") as gateway:
            yield gateway


async def all_there(api: Api, gateway: Gateway) -> dict[str, str]:
    """Wait until every entity that is shown by default is available."""

    async def is_known() -> bool:
        devices = gateway.devices.values()
        return (
            len(devices) == len(SHOWN) + HUNG_ON_THE_HUB + 1
            and all(one.is_available for one in devices)
            and all(one.states for one in devices)
        )

    await api.until(is_known, within_s=90, what="not all devices are there")

    def wanted() -> int:
        return sum(
            entity.is_enabled
            for device in gateway.devices.values()
            for entity in device.entities.values()
        )

    return await api.until_available(PREFIX, wanted(), within_s=90)


async def test_each_controllable_kind_is_switched_and_back(home, tmp_path):
    async with (
        home.assistant.connected() as api,
        served(home, tmp_path) as gateway,
    ):
        ids = await all_there(api, gateway)
        entities = {
            one["entity_id"]: one
            for one in await api.ask("get_states")
            if one["entity_id"] in ids.values()
        }
        told: set[tuple[str, str]] = set()
        for unique_id, entity_id in sorted(ids.items()):
            domain = entity_id.partition(".")[0]
            # One of each kind of each device: what hangs on the hub has its own number.
            device = unique_id.removeprefix(PREFIX).rsplit("_", 1)[0]
            owner = max(
                (one.info.id for one in gateway.devices.values() if one.info),
                key=lambda known: device.startswith(known) * len(known),
            )
            is_unknown = entities[entity_id]["state"] == "unknown"
            if is_unknown or (owner, domain) in told:
                continue
            for service, data, state in orders(entities[entity_id]):
                told.add((owner, domain))
                await api.call(entity_id, service, **data)

                async def obeys(wanted: str = state, one: str = entity_id) -> bool:
                    return same((await api.states([one]))[one], wanted)

                what = f"{entity_id} is not {state} after {service}"
                await api.until(obeys, within_s=_WITHIN_S, what=what)
        kinds = {domain for _, domain in told}
        assert kinds == {
            *("switch", "light", "cover", "climate", "fan", "select", "number")
        }


async def test_meters_are_what_the_energy_dashboard_takes(home, tmp_path):
    async with (
        home.assistant.connected() as api,
        served(home, tmp_path) as gateway,
    ):
        ids = await all_there(api, gateway)
        ends = ("_energy", "_energy_today_wh", *(f"_energy_{n}" for n in range(1, 7)))
        meters = [one for unique, one in sorted(ids.items()) if unique.endswith(ends)]
        # A plug, a thermostat with a meter, each with its day; and six circuits.
        assert len(meters) == 2 * 2 + 6
        await energy_is_valid(api, meters)
