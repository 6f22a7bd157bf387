"""Devices that are added, changed and taken away, whatever the platform says."""

from __future__ import annotations

import anyio
import pytest

from structiot.connector import (
    Device,
    DevicePool,
    PlatformRefused,
    Synchronising,
    Waiting,
    open_connector,
)
from structiot.sim import sim_sepl_platform
from tests.link.connector.gateways import (
    TYPE,
    gateway,
    handlers,
    lamp,
    lamps,
    new_environment,
    pool,
    until,
    until_state,
)

pytestmark = pytest.mark.virtual_time


async def test_devices_that_are_added_changed_and_removed():
    async with gateway(1) as (platform, connector):
        device = lamp(2)
        assert await connector.add(device) is True
        assert platform.device("lamp-2").is_online
        assert connector.devices["lamp-2"] is device
        device.name = "Lamp in the hall"
        device.add_tag("room", "hall")
        assert await connector.update(device) is True
        assert platform.device("lamp-2").name == "Lamp in the hall"
        assert platform.device("lamp-2").tags == ["room:hall"]
        assert await connector.disconnect(device) is True
        assert not platform.device("lamp-2").is_online
        assert "lamp-2" not in connector.devices
        assert await connector.delete("lamp-1") is True
        assert [one.uri for one in platform.devices] == ["lamp-2"]
        assert await connector.delete("lamp-2") is True
        assert platform.devices == ()
        assert handlers(platform)[4:] == [
            *("put", "commit") * 2,
            *("disconnect", "commit"),
            *("delete", "commit") * 2,
        ]


async def test_what_is_changed_while_the_platform_is_away_is_made_up_for():
    devices = lamps(2)
    async with gateway(devices=devices) as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        assert await connector.add(lamp(3)) is False
        assert await connector.update(Device("lamp-1", TYPE, "Other")) is False
        assert await connector.disconnect("lamp-2") is False
        assert sorted(devices.devices()) == sorted(connector.devices)
        assert sorted(connector.devices) == ["lamp-1", "lamp-3"]
        await platform.plug_in()
        await connector.wait_ready()
        assert platform.device("lamp-1").name == "Other"
        assert platform.device("lamp-3").is_online
        assert not platform.device("lamp-2").is_online


async def test_what_is_changed_while_it_synchronises_waits_and_is_made():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment, busy_s=20) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        await until_state(connector, Synchronising)
        assert await connector.add(lamp(2)) is True
        assert connector.is_ready
        assert platform.device("lamp-2").is_online


async def test_a_change_that_the_platform_refuses_is_local_and_asked_for_again():
    devices = lamps(1)
    types = {TYPE: ["state"]}
    async with gateway(devices=devices, sim={"device_types": types}) as (
        platform,
        connector,
    ):
        assert await connector.add(Device("odd", "iot#odd", "Odd")) is False
        assert "odd" in devices.devices()
        assert isinstance(connector.refused["odd"], PlatformRefused)
        assert connector.refused["odd"].status == 500
        # It is asked for again, but never as an endless row of refusals.
        before = len(platform.messages)
        await anyio.sleep(3600)
        assert 2 <= handlers(platform)[before:].count("put") < 20
        assert await connector.disconnect("odd") is False
        assert connector.refused == {}
        before = len(platform.messages)
        await anyio.sleep(3600)
        assert handlers(platform)[before:] == []
        assert connector.is_ready
        assert len(platform.log) == 1


async def test_a_device_that_the_platform_refuses_costs_the_others_nothing(
    caplog: pytest.LogCaptureFixture,
):
    odd = [Device(f"odd-{number}", "iot#odd", "Odd") for number in range(20)]
    types = {TYPE: ["state"]}
    async with gateway(devices=pool([*odd, lamp(1)]), sim={"device_types": types}) as (
        platform,
        connector,
    ):
        assert platform.device("lamp-1").is_online
        assert sorted(connector.refused) == sorted(one.id for one in odd)
        # So many refusals in a row would have had the platform hang up.
        assert len(platform.log) == 1
        assert "device odd-0: the platform refuses with status 500" in caplog.text
        await connector.event("lamp-1", "state", "1")
        # What is not there is found missing by the next connection.
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2).count("put") == 21


async def test_what_is_committed_is_without_what_was_refused():
    async with gateway(1, sim={"device_types": {TYPE: ["state"]}}) as (
        platform,
        connector,
    ):
        assert await connector.add(Device("odd", "iot#odd", "Odd")) is False
        assert await connector.add(lamp(2)) is True
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        # So it is found missing, and asked for again.
        assert handlers(platform, 2).count("put") == 3
        assert list(connector.refused) == ["odd"]


async def test_a_device_that_was_refused_is_so_no_more_when_the_next_connection_has_it():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.refuse_next(on="put2")
        async with open_connector(
            platform.config, lamps(3), wait_ready=True, environment=environment
        ) as connector:
            assert list(connector.refused) == ["lamp-2"]
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
            assert connector.refused == {}


async def test_a_device_that_is_refused_once_is_soon_there():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.refuse_next(on="put2")
        async with open_connector(
            platform.config, lamps(3), wait_ready=True, environment=environment
        ) as connector:
            assert list(connector.refused) == ["lamp-2"]
            await until(lambda: not connector.refused)
            assert platform.device("lamp-2").is_online
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
            assert handlers(platform, 2) == ["handshake"]


async def test_a_device_that_cannot_be_deleted_is_at_least_offline():
    async with gateway(1) as (platform, connector):
        platform.faults.refuse_next(on="delete")
        assert await connector.delete("lamp-1") is False
        assert connector.devices == {}
        assert not platform.device("lamp-1").is_online
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake"]


@pytest.mark.parametrize("call", ["add", "update", "disconnect", "delete"])
@pytest.mark.parametrize("after_s", [0, 0.5, 25])
async def test_a_change_that_is_cancelled_is_made_all_the_same(
    call: str, after_s: float
):
    async with gateway(2) as (platform, connector):
        platform.busy_s = 20
        device = Device("lamp-1" if call != "add" else "lamp-3", TYPE, "Other")
        with anyio.move_on_after(after_s):
            await getattr(connector, call)(device)
        platform.busy_s = 0
        await anyio.sleep(120)
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        # The hash is that of what is there, so that nothing was to be done.
        online = {one.uri for one in platform.devices if one.is_online}
        assert online == set(connector.devices)
        if call in {"add", "update"} and device.id in connector.devices:
            name = connector.devices[device.id].name
            assert platform.device(device.id).name == name


async def test_many_tasks_may_change_devices_at_once():
    async with gateway(0) as (platform, connector):
        results: dict[int, bool] = {}

        async def add(number: int) -> None:
            results[number] = await connector.add(lamp(number))

        async with anyio.create_task_group() as tg:
            for number in range(50):
                tg.start_soon(add, number)
        assert results == dict.fromkeys(range(50), True)
        assert len(platform.devices) == 50
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake"]


async def test_a_session_as_the_original_client_was_tried_by():
    """The fifteen checks of its `test_client.py`."""
    devices = DevicePool()
    numbered = [Device(f"id_{number}", TYPE, f"name_{number}") for number in range(4)]
    for one in numbered:
        devices.add(one)
    async with gateway(devices=devices) as (platform, connector):
        first, second, third, fourth = numbered
        assert first.add_tag("tag", "one")
        assert first.change_tag("tag", "two")
        assert await connector.update(first)
        assert platform.device("id_0").tags == ["tag:two"]
        assert first.remove_tag("tag")
        assert await connector.update(first)
        second.name = "another name"
        assert await connector.update(second)
        assert platform.device("id_1").name == "another name"
        assert await connector.disconnect(third)
        assert await connector.delete(fourth)
        assert await connector.add(Device("id_4", TYPE, "name_4"))
        for number in range(5):
            response = await connector.event("id_4", "service", number, "metadata")
            assert response is not None
            assert (response.status, response.payload) == (200, "ok")
        async with anyio.create_task_group() as tg, connector.commands() as commands:

            async def answer() -> None:
                command = await anext(commands)
                assert (command.device_id, command.service) == ("id_4", "on")
                assert command.protocol_parts == {"metadata": "", "data": "1"}
                assert await command.respond("200", "status")

            tg.start_soon(answer)
            parts = {"metadata": "", "data": "1"}
            told = await platform.send_command("id_4", "on", parts)
            assert (told.data, told.metadata) == ("200", "status")
        assert await connector.add(Device("id_4", TYPE, "name_4"))
        assert await connector.disconnect("unknown") is False
        assert await connector.delete("unknown") is False
        assert first.remove_tag("unknown") is False
        assert first.change_tag("unknown", "value") is False
        assert len(platform.log) == 1


async def test_a_change_that_is_cancelled_in_the_device_manager_is_told_all_the_same():
    class Slow(DevicePool):
        async def add(self, device: Device) -> None:  # type: ignore[override]
            super().add(device)
            await anyio.sleep(1)

    async with gateway(devices=Slow()) as (platform, connector):
        with anyio.move_on_after(0.5) as scope:
            await connector.add(lamp(1))
        assert scope.cancelled_caught
        await until(lambda: platform.devices)
        assert platform.device("lamp-1").is_online


async def test_a_change_may_wait_for_a_busy_platform_and_others_for_it():
    async with gateway(1) as (platform, connector):
        platform.busy_s = 20
        results: dict[str, bool] = {}

        async def call(name: str) -> None:
            results[name] = await getattr(connector, name)(lamp(2))

        began = anyio.current_time()
        async with anyio.create_task_group() as tg:
            for name in ("add", "update", "disconnect"):
                tg.start_soon(call, name)
                await anyio.sleep(1)
        assert results == {"add": True, "update": True, "disconnect": True}
        assert anyio.current_time() - began >= 60
        assert len(platform.log) == 1


async def test_a_change_before_the_first_connection_waits_for_it():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        assert await connector.add(lamp(2)) is True
        assert platform.device("lamp-2").is_online
