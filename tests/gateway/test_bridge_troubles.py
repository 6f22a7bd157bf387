"""Platforms that are away, refuse or say nothing, and what that costs a gateway."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.errors import CommandRefused
from structiot.gateway import load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import Switch
from structiot.sim import sim_senergy
from tests.gateway.bridge_house import (
    TYPE,
    away,
    bridged,
    bringing,
    offered,
    pressed,
    section_of,
    there,
    toy,
    until,
)
from tests.gateway.memory_house import URI, House

pytestmark = pytest.mark.virtual_time


async def test_a_platform_that_is_away_disturbs_nobody(caplog):
    caplog.set_level(logging.INFO, "structiot.gateway")
    device = toy()
    async with bridged(device) as house:
        await house.platform.unplug()
        await until(lambda: house.status[0] == "failing")
        for number in range(600):
            device.tell_state("power", float(number))
            await anyio.sleep(1)
        device.tell(pressed())
        await anyio.sleep(1)
        assert house.status[0] == "failing"
        assert house.gateway.devices["toy_p1"].states["power"] == 599.0
        said = [one for one in caplog.records if one.levelno >= logging.WARNING]
        assert ["platform" in one.getMessage() for one in said] == [True]
        before = len(house.events("power"))
        await house.platform.plug_in()
        await until(lambda: house.status == ("running", ""))
        await anyio.sleep(5)
        # What has been meanwhile is nothing new: the present is told.
        assert house.events("power")[before:] == ["599.0"]
        assert house.events("knob") == []
        assert house.online == ["toy:P1"]


async def test_refused_credentials_park_it_and_disturb_nobody_else(caplog):
    async with bridged(toy(), password="wrong") as house:
        await anyio.sleep(600)
        state, reason = house.status
        assert state == "parked"
        assert "told user and password" in reason
        assert house.gateway.devices["toy_p1"].is_available
        connections = len(house.platform.log)
        await anyio.sleep(7200)
        assert len(house.platform.log) == connections
        right = section_of(house.platform)
        await house.gateway.reload(
            load_config(
                {
                    "mqtt": {"uri": URI},
                    "toy": {},
                    "connector": right,
                    "links": offered(),
                }
            )
        )
        await anyio.sleep(8)
        assert house.online == ["toy:P1"]


async def test_a_device_that_the_platform_refuses_is_said_once(caplog):
    sim = {"device_types": {TYPE: ["relay"]}}
    links = offered({"type": "iot#none", "from": "toy_p1"}, {})
    entities = [Switch(key="relay")]
    async with bridged(
        toy("P1", entities), toy("P2", entities), sim=sim, links=links
    ) as house:
        assert house.online == ["toy:P2"]
        await anyio.sleep(7200)
        told = [one for one in caplog.messages if "toy:P1" in one]
        assert len(told) == 1
        # Nobody listens to a device that there is not: nothing is told of it.
        assert {one.device_uri for one in house.platform.events} == {"toy:P2"}


async def test_a_device_that_the_platform_takes_later_tells_its_state_then():
    device = toy()
    device.first[0] = away()
    async with bridged(device) as house:
        house.platform.faults.refuse_next(on="put")
        device.tell(there())
        await anyio.sleep(5)
        assert (house.online, house.events("relay")) == ([], [])
        await anyio.sleep(120)
        assert house.online == ["toy:P1"]
        assert house.events("relay") == ["false"]


async def test_a_platform_that_says_nothing_any_more_holds_up_no_end():
    device = toy()
    async with bridged(device) as house, anyio.create_task_group() as tasks:
        tasks.start_soon(house.platform.freeze, 1000.0)
        for number in range(5):
            await anyio.sleep(1)
            device.tell_state("power", number)
        await house.gateway.reload(load_config({"mqtt": {"uri": URI}, "toy": {}}))
        assert "the driver of connector" in house.gateway.running()
        await until(
            lambda: "the driver of connector" not in house.gateway.running(), within_s=5
        )
        tasks.cancel_scope.cancel()


async def test_it_is_the_same_on_senergy():
    house, device = House(), toy()
    async with house.broker(), sim_senergy(environment=house.environment) as platform:
        section = {**platform.config}
        config = {"mqtt": {"uri": URI}, "toy": {}, "connector": section}
        config["links"] = offered()
        with with_driver("toy", bringing(device)):
            async with open_gateway(config, environment=house.environment) as gateway:
                await until(lambda: platform.online == {"toy:P1"})
                (hub,) = platform.hubs
                assert gateway.state.section("connector")["gids"].popitem()[1] == hub
                device.tell_state("relay", True)
                await anyio.sleep(3)
                told = [(one.device, one.service, one.parts) for one in platform.events]
                assert told[-1][:2] == ("toy:P1", "relay")
                assert told[-1][2]["data"] == "true"
                answer = await platform.send_command(
                    "toy:P1", "relay", {"data": "false"}
                )
                assert answer.parts["data"] == '{"status":0}'
                with pytest.raises(CommandRefused, match="takes ON or OFF"):
                    await platform.send_command("toy:P1", "relay", {"data": "maybe"})
                device.tell(away())
                await anyio.sleep(120)
                assert (platform.online, list(platform.devices)) == (set(), ["toy:P1"])
