"""`sim_devices` with a manager: fleets that behave, and that do not."""

from __future__ import annotations

import json
import logging
import re

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.manager.errors import FateUnknown
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    ClientReplaced,
    MessageReceived,
)
from structiot.manager.limits import ManagerLimits
from structiot.manager.opening import open_manager
from structiot.manager.wire.dialects import Dialect
from structiot.sim.manager import DIAL_IN_FAULTS, sim_devices
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_a_fleet_of_lamps_is_switched(environment, dialect):
    async with (
        open_manager(["lamp"], dialect=dialect, environment=environment) as manager,
        sim_devices(10, dialect=dialect, environment=environment) as fleet,
    ):
        await anyio.sleep(1)
        assert set(manager.clients) == {device.uuid for device in fleet}
        assert all(device.is_connected for device in fleet)
        client = manager.clients[fleet[3].uuid]
        assert json.loads(await client.request("on")) == {"is_on": True}
        assert fleet[3].state == {"is_on": True}
        assert json.loads(await client.request("state")) == {"is_on": True}
        assert (await client.refresh_info()).data == {"is_on": True}
        report = await manager.send_all("toggle")
        assert len(report.delivered) == 10
        await anyio.sleep(1)
        assert [device.state["is_on"] for device in fleet].count(True) == 9
        await anyio.sleep(3600)
        assert len(manager.clients) == 10


async def test_sensors_tell_by_themselves(environment):
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
        sim_devices(1, type="sensor", environment=environment),
    ):
        await anyio.sleep(200)
        assert isinstance(await anext(events), ClientConnected)
        message = await anext(events)
        assert isinstance(message, MessageReceived)
        assert 15 < json.loads(message.data)["temperature_c"] < 27


@pytest.mark.parametrize("name", DIAL_IN_FAULTS)
async def test_who_misbehaves_costs_only_itself(environment, name):
    async with (
        open_manager(
            ["lamp"],
            heartbeat_s=20,
            limits=ManagerLimits(waiting_bytes=200_000),
            environment=environment,
        ) as manager,
        sim_devices(3, environment=environment) as fleet,
    ):
        fleet[0].misbehave(name)
        async with manager.events() as events:
            for _ in range(60):
                await anyio.sleep(1)
                await manager.send_all("on " * 2000)
            seen = list(drained(events))
        assert {device.uuid for device in fleet[1:]} <= set(manager.clients)
        told_of = {
            "silent": ClientDisconnected,
            "nameless": ClientRefused,
            "slow": ClientConnected,
            "babbling": MessageReceived,
            "half_sent": ClientRefused,
            "deaf": ClientRefused,
            "off_beat": MessageReceived,
            "wrong_type": ClientRefused,
            "no_uuid": ClientRefused,
            "leaving": ClientDisconnected,
        }[name]
        assert any(isinstance(event, told_of) for event in seen)
        good = {device.uuid for device in fleet[1:]}
        assert not any(
            isinstance(event, ClientDisconnected) and event.client.uuid in good
            for event in seen
        )
        fleet[0].misbehave()
        await anyio.sleep(300)
        assert {device.uuid for device in fleet} == set(manager.clients)


def drained(events):
    while len(events):
        yield events.receive_nowait()


async def test_two_of_one_uuid_replace_each_other(environment):
    uuid = "00000000-0000-4000-8000-000000000007"
    async with (
        open_manager(environment=environment) as manager,
        manager.events() as events,
        sim_devices(2, uuids=[uuid, uuid], environment=environment),
    ):
        await anyio.sleep(120)
        seen = [type(event) for event in drained(events)]
        assert ClientReplaced in seen
        assert ClientRefused in seen
        assert list(manager.clients) == [uuid]


@pytest.mark.parametrize("dialect", list(Dialect))
async def test_who_is_silent_takes_what_it_is_sent_and_says_nothing(
    environment, dialect
):
    async with (
        open_manager(dialect=dialect, environment=environment) as manager,
        manager.events() as events,
        sim_devices(dialect=dialect, environment=environment) as (lamp,),
    ):
        await anyio.sleep(1)
        lamp.misbehave("silent")
        report = await manager.send(lamp.uuid, "on")
        await anyio.sleep(1)
        assert lamp.state == {"is_on": True}
        if dialect is Dialect.STRUCTIOT:
            assert isinstance(report.failed[lamp.uuid], FateUnknown)
        assert [type(event) for event in drained(events)] == [ClientConnected]


async def test_what_is_sent_again_is_taken_once(environment):
    dialect = Dialect.STRUCTIOT
    async with (
        open_manager(dialect=dialect, environment=environment) as manager,
        sim_devices(dialect=dialect, environment=environment) as (lamp,),
        anyio.create_task_group() as tasks,
    ):
        await anyio.sleep(1)
        lamp.misbehave("silent")
        tasks.start_soon(manager.clients[lamp.uuid].send, "toggle")
        await anyio.sleep(1)
        assert lamp.state == {"is_on": True}
        lamp.misbehave()
        await manager.clients[lamp.uuid].end()
        await anyio.sleep(60)
        assert manager.clients[lamp.uuid].is_connected
        assert lamp.state == {"is_on": True}
        assert list(lamp.received) == [b"toggle"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"count": 0}, "count is how many"),
        ({"uuids": ["a", "b"]}, "count is how many"),
        ({"uuids": ["x"]}, "'x' is no UUID of 36 characters"),
        ({"dialect": "D9"}, "no dialect 'D9'"),
        ({"type": ""}, "the type '' has 0 characters"),
        ({"type": "a#"}, "the type 'a#' has what no type may have"),
        ({"type": "a##b"}, "the type 'a##b' has what no type may have"),
        ({"port": 0}, "port is from 1 to 65535, not 0"),
        ({"port": 70_000}, "port is from 1 to 65535, not 70000"),
        ({"secret": "x"}, "secret goes with dialect='structiot', not with D0"),
    ],
)
async def test_a_fleet_that_cannot_be(environment, arguments, said):
    with pytest.raises(UsageError, match=said):
        async with sim_devices(environment=environment, **arguments):
            pass


async def test_a_uuid_may_be_given_as_digits(environment):
    digits = "1862CFE15DAB4D8EA94650D6728F830F"
    async with sim_devices(uuids=[digits], environment=environment) as (lamp,):
        assert lamp.uuid == "1862cfe1-5dab-4d8e-a946-50d6728f830f"


async def test_why_devices_are_not_connected_is_said_and_counted(environment, caplog):
    caplog.set_level(logging.INFO, logger="structiot.sim.manager")

    def said() -> list[str]:
        lines = [one.message for one in caplog.records]
        caplog.clear()
        return [line.partition(" is not connected: ")[2] or line for line in lines]

    async with sim_devices(100, environment=environment):
        await anyio.sleep(70)
        (first, more) = said()
        assert first.endswith("connection refused")
        assert re.fullmatch(f"{first} \\(and [0-9]{{4}} more since .*\\)", more)
        async with open_manager(["door"], environment=environment):
            await anyio.sleep(5)
            assert said() == ["the manager has said goodbye"]


async def test_there_is_no_such_misbehaviour(environment):
    async with sim_devices(environment=environment) as fleet:
        with pytest.raises(UsageError, match="no misbehaviour"):
            fleet[0].misbehave("rude")


async def test_what_a_device_says_while_its_manager_goes_arrives_at_the_next(
    environment,
):
    said = 0

    async def talk() -> None:
        nonlocal said
        while True:
            said += 1
            await lamp.send(f"{said}")
            await anyio.sleep(0.01)

    async with sim_devices(environment=environment) as (lamp,):
        async with anyio.create_task_group() as tasks:
            async with open_manager(environment=environment):
                await anyio.sleep(10)
                tasks.start_soon(talk)
                await anyio.sleep(1)
            await anyio.sleep(60)
            before = said
            async with (
                open_manager(environment=environment) as manager,
                manager.events() as events,
            ):
                await anyio.sleep(10)
                heard = [
                    one.data
                    for one in drained(events)
                    if isinstance(one, MessageReceived)
                ]
            tasks.cancel_scope.cancel()
    assert heard[0] == f"{before}".encode()
    assert len(heard) > 100
