"""Names that people write in their own letters, and what topics become of them."""

from __future__ import annotations

import json
import logging

import anyio
import pytest

from structiot import Environment
from structiot.gateway import load_config, open_gateway
from structiot.sim import Fault, FaultKind, sim_maxsmart
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

SERIAL = "SWP6000000000001"
SLUG = f"maxsmart_{SERIAL.lower()}"
HOST = "10.0.0.7"


@pytest.mark.parametrize("is_silent", [False, True])
@pytest.mark.parametrize("name", ["Кухня", "厨房 2", "مطبخ"])
async def test_a_name_without_a_letter_for_topics_is_for_people(
    caplog, name, is_silent
):
    caplog.set_level(logging.INFO, "structiot.gateway")
    environment = Environment(network=MemoryNetwork())
    section = {"discover": False, "devices": [{"host": HOST, "name": name}]}
    config = load_config({"maxsmart": section})
    async with sim_maxsmart(HOST, serial=SERIAL, environment=environment) as sim:
        if is_silent:
            sim.faults.always(Fault(kind=FaultKind.DROP, on="discovery"))
        async with open_gateway(config, environment=environment) as gateway:
            await anyio.sleep(60)
            if is_silent:
                # Who it is decides its place, so it has none before.
                assert gateway.devices == {}
                sim.faults.clear()
                await anyio.sleep(600)
            assert list(gateway.devices) == [SLUG]
            wanted = gateway.publisher.wanted
            assert wanted[f"structiot/{SLUG}/availability"] == "online"
            (announced,) = [
                json.loads(wanted[topic]) for topic in wanted if "/config" in topic
            ]
            assert announced["device"]["name"] == name
    assert f"{name} (strip at {HOST}) is open as {SLUG}" in caplog.messages


async def test_a_strip_may_be_given_another_such_name_and_a_plain_one():
    environment = Environment(network=MemoryNetwork())

    def named(name: str) -> dict[str, object]:
        devices = [{"host": HOST, "name": name}]
        return {"maxsmart": {"discover": False, "devices": devices}}

    async with (
        sim_maxsmart(HOST, serial=SERIAL, environment=environment),
        open_gateway(named("Кухня"), environment=environment) as gateway,
    ):
        await anyio.sleep(10)
        for name, slug in [("Баня", SLUG), ("Küche", "kuche"), ("Кухня", None)]:
            await gateway.reload(named(name))
            await anyio.sleep(10)
            ((place, device),) = gateway.devices.items()
            assert device.name == name
            assert slug in {None, place}
