"""The whole house of the demonstration: accepted, right, obeying, back, and gone."""

from __future__ import annotations

import signal

import anyio
import pytest

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.mqtt import open_mqttclient
from tests.e2e.processes import running, structiot
from tests.home_assistant.core import Api
from tests.home_assistant.demo_house import (
    PREFIX,
    WITHIN_S,
    Table,
    all_there,
    everything_is_right,
    served,
    simulated_house,
    write_config,
)
from tests.home_assistant.orders import orders, same

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

DOMAINS = {
    "binary_sensor", "button", "climate", "cover", "event", "fan", "light", "lock",
    "number", "select", "sensor", "siren", "switch", "text", "update",
}  # fmt: skip
COMMANDED = DOMAINS - {"binary_sensor", "button", "event", "sensor"}
BIRTHS = 200


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

        await api.until(lambda: is_gone(api), within_s=60, what="ghosts are left")


async def one_is_away(
    api: Api, gateway: Gateway, table: Table, ids: dict[str, str]
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


async def test_one_of_each_kind_of_each_system_obeys(home, tmp_path):
    async with (
        home.assistant.connected() as api,
        served(home, tmp_path) as (gateway, _),
    ):
        ids = await all_there(api, gateway)
        await everything_is_right(api, gateway, ids)
        entities = {one["entity_id"]: one for one in await api.ask("get_states")}
        told: set[tuple[str, str]] = set()
        for unique_id, entity_id in sorted(ids.items()):
            system = unique_id.removeprefix(PREFIX).partition("_")[0]
            domain = entity_id.partition(".")[0]
            is_unknown = entities[entity_id]["state"] == "unknown"
            if is_unknown or (system, domain) in told:
                continue
            for service, data, state in orders(entities[entity_id]):
                told.add((system, domain))
                await api.call(entity_id, service, **data)

                async def obeys(wanted: str = state, one: str = entity_id) -> bool:
                    return same((await api.states([one]))[one], wanted)

                what = f"{entity_id} is not {state} after {service}"
                await api.until(obeys, within_s=WITHIN_S, what=what)
        assert {domain for _, domain in told} == COMMANDED
        assert {system for system, _ in told} == {"maxsmart", "meross", "manager"}


async def test_a_storm_of_births_is_answered_and_drowns_nobody(home, tmp_path):
    topic = "homeassistant/device/+/config"
    async with (
        home.assistant.connected() as api,
        served(home, tmp_path) as (gateway, _),
        open_mqttclient(home.broker.uri) as client,
    ):
        ids = await all_there(api, gateway)
        async with client.subscription(topic, qos=1) as messages:
            for _ in range(BIRTHS):
                await client.publish("homeassistant/status", b"online", qos=0)
            heard: dict[str, int] = {}
            with anyio.move_on_after(10):
                async for message in messages:
                    if not message.retain and message.payload:
                        heard[message.topic] = heard.get(message.topic, 0) + 1
        assert len(heard) == len(gateway.devices)
        assert max(heard.values()) <= BIRTHS / 4
        assert await all_there(api, gateway) == ids
        await everything_is_right(api, gateway, ids)


async def test_the_gateway_of_the_whole_house_is_killed_and_comes_back(home, tmp_path):
    async with home.assistant.connected() as api, simulated_house(home) as table:
        state_file = tmp_path / "state.json"
        lasting = {**table, "gateway": {"id": "demo_home"}}
        async with open_gateway(load_config(lasting), state_file=state_file) as gateway:
            ids = await all_there(api, gateway)
        await api.until_away(ids.values())
        file = tmp_path / "structiot.toml"
        own = {"id": "demo_home", "state_file": str(state_file)}
        write_config(file, {**table, "gateway": own})
        for _ in range(2):
            async with running(*structiot("run", "-c", str(file))) as program:
                there = await api.until_available(PREFIX, len(ids), within_s=WITHIN_S)
                assert there == ids
                program.signal(signal.SIGKILL)
                await program.ended()
                await api.until_away(ids.values())
                assert [one for one in program.errors if "WARN" in one.upper()] == []
        async with open_gateway(load_config(table), state_file=state_file) as gateway:
            assert await all_there(api, gateway) == ids
            await everything_is_right(api, gateway, ids)
        await api.until(lambda: is_gone(api), within_s=60, what="ghosts are left")


async def is_gone(api: Api) -> bool:
    return not await api.entity_ids(PREFIX + "m")
