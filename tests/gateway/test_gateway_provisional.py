"""Nothing is announced to Home Assistant under an identity that will not last."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.sim import Fault, FaultKind, MaxSmartSim, sim_maxsmart
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

SERIAL = "SWP6000000000001"
SLUG = f"maxsmart_{SERIAL.lower()}"
HOST = "10.0.0.7"
SILENT = Fault(kind=FaultKind.DROP, on="discovery")


@asynccontextmanager
async def serving(
    *devices: dict[str, Any], **section: Any
) -> AsyncIterator[tuple[Gateway, MaxSmartSim]]:
    """Serve a strip that keeps silent about who it is, without a broker."""
    network = MemoryNetwork()
    section = {"discover": False, "devices": list(devices), **section}
    config = load_config({"maxsmart": section, "gateway": {"retry_max_s": 1}})
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        sim.faults.always(SILENT)
        async with open_gateway(
            config, environment=Environment(network=network)
        ) as gateway:
            await anyio.sleep(60)
            yield gateway, sim


def announced(gateway: Gateway) -> dict[str, str]:
    """Give the identity that each device is announced with, by its topic."""
    return {
        topic: json.loads(payload)["device"]["identifiers"][0]
        for topic, payload in gateway.publisher.wanted.items()
        if topic.endswith("/config")
    }


async def test_a_silent_strip_without_a_name_is_held_back_until_it_is_known(caplog):
    async with serving({"host": HOST}) as (gateway, sim):
        wanted = gateway.publisher.wanted
        assert all(topic.startswith("structiot/gateway/") for topic in wanted)
        assert gateway.devices == {}
        assert (
            caplog.messages.count(
                "strip at 10.0.0.7 keeps silent about its serial: "
                "it gets its topics when it has said who it is"
            )
            == 1
        )
        sim.faults.clear()
        await anyio.sleep(100)
        assert list(gateway.devices) == [SLUG]
        (identity,) = announced(gateway).values()
        assert identity == f"structiot_maxsmart_{SERIAL}"
        wanted = gateway.publisher.wanted
        assert wanted[f"structiot/{SLUG}/availability"] == "online"
        assert wanted[f"structiot/{SLUG}/port_6/state"] == "ON"


async def test_a_silent_strip_with_a_name_has_topics_but_is_not_announced(caplog):
    async with serving({"host": HOST, "name": "Desk"}) as (gateway, sim):
        wanted = gateway.publisher.wanted
        assert wanted["structiot/desk/availability"] == "online"
        assert wanted["structiot/desk/port_1/state"] == "ON"
        assert announced(gateway) == {}
        assert "it is announced when it has said who it is" in caplog.text
        gateway.devices["desk"].request("port_1", topic="t", payload=b"OFF")
        await anyio.sleep(10)
        assert sim.ports[1] is False
        sim.faults.clear()
        await anyio.sleep(100)
        assert list(announced(gateway).values()) == [f"structiot_maxsmart_{SERIAL}"]
        assert wanted["structiot/desk/port_1/state"] == "OFF"


async def test_a_silent_strip_with_an_id_is_announced_at_once():
    async with serving({"host": HOST, "name": "Desk", "id": "desk-1"}) as (gateway, _):
        assert list(announced(gateway).values()) == ["structiot_maxsmart_desk-1"]


async def test_the_identity_is_the_same_whether_or_not_it_was_told_at_once():
    network = MemoryNetwork()
    config = load_config({"maxsmart": {"discover": False, "devices": [{"host": HOST}]}})
    identities = []
    async with sim_maxsmart(
        HOST, serial=SERIAL, environment=Environment(network=network)
    ) as sim:
        for is_silent in (False, True):
            if is_silent:
                sim.faults.drop_next(6, on="discovery")
            async with open_gateway(
                config, environment=Environment(network=network)
            ) as gateway:
                await anyio.sleep(120)
                identities.append(announced(gateway))
    assert identities[0] == identities[1]
    assert len(identities[0]) == 1


async def test_a_found_strip_gives_way_when_a_silent_listed_one_is_the_same():
    network = MemoryNetwork()
    listed = [{"host": "desk.local", "name": "Desk"}]
    config = load_config({"maxsmart": {"devices": listed}})
    async with (
        sim_maxsmart(
            "desk.local", serial=SERIAL, environment=Environment(network=network)
        ) as by_name,
        sim_maxsmart(HOST, serial=SERIAL, environment=Environment(network=network)),
    ):
        by_name.faults.always(SILENT)
        async with open_gateway(
            config, environment=Environment(network=network)
        ) as gateway:
            await anyio.sleep(60)
            assert set(gateway.devices) == {"desk", SLUG}
            by_name.faults.clear()
            await anyio.sleep(100)
            assert set(gateway.devices) == {"desk"}
            assert list(announced(gateway).values()) == [f"structiot_maxsmart_{SERIAL}"]


async def test_a_silent_strip_that_turns_out_to_be_another_listed_one_is_kept_once():
    network = MemoryNetwork()
    listed = [{"host": HOST, "name": "Desk"}, {"host": "desk.local", "name": "Twice"}]
    config = load_config({"maxsmart": {"discover": False, "devices": listed}})
    async with (
        sim_maxsmart(HOST, serial=SERIAL, environment=Environment(network=network)),
        sim_maxsmart(
            "desk.local", serial=SERIAL, environment=Environment(network=network)
        ) as twice,
    ):
        twice.faults.always(SILENT)
        async with open_gateway(
            config, environment=Environment(network=network)
        ) as gateway:
            await anyio.sleep(60)
            assert len(announced(gateway)) == 1
            twice.faults.clear()
            await anyio.sleep(100)
            availability = gateway.devices["twice"].availability
            assert not availability.is_available
            assert availability.reason.startswith("it is the same device as Desk")
            assert len(announced(gateway)) == 1
