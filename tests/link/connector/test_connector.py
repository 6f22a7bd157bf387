"""A connector keeps the platform where its devices are."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from structiot import ConfigError, LinkLost, UsageError
from structiot.connector import (
    Authenticating,
    Connecting,
    ConnectorConfig,
    Device,
    DevicePool,
    Ended,
    PlatformRefused,
    Ready,
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


async def test_the_block_is_entered_at_once_and_states_tell_when_it_is_up():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        before = anyio.current_time()
        async with open_connector(
            platform.config, lamps(1), environment=environment
        ) as connector:
            assert anyio.current_time() == before
            assert connector.state == Connecting()
            assert not connector.is_ready
            async with connector.states() as states:
                seen = [type(await anext(states)) for _ in range(4)]
            assert seen == [Connecting, Authenticating, Synchronising, Ready]
            assert connector.is_ready
            assert connector.state == Ready()


async def test_it_keeps_at_it_while_the_platform_is_away():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        await platform.unplug()
        waiting = await until_state(connector, Waiting)
        assert waiting.retry_at >= anyio.current_time()
        await anyio.sleep(3600)
        assert not connector.is_ready
        await platform.plug_in()
        # The waits do not grow beyond five minutes.
        with anyio.fail_after(301):
            await connector.wait_ready()
        assert platform.device("lamp-1").is_online


async def test_who_prefers_it_waits_for_the_platform_before_the_block():
    async with gateway(wait_ready=True) as (platform, connector):
        assert connector.is_ready
        assert platform.device("lamp-1").is_online


async def test_late_listeners_hear_the_present_state_first_and_the_last_one_last():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        async with open_connector(
            platform.config, lamps(1), wait_ready=True, environment=environment
        ) as connector:
            async with connector.states() as states:
                assert await anext(states) == Ready()
                await platform.drop()
                waiting = await anext(states)
                assert isinstance(waiting, Waiting)
                assert isinstance(waiting.reason, LinkLost)
                assert await anext(states) == Connecting()
        assert isinstance(connector.state, Ended)
        async with connector.states() as states:
            assert [one async for one in states] == [connector.state]
        with pytest.raises(UsageError, match="has ended"):
            await connector.wait_ready()


async def test_what_the_device_manager_holds_is_offered():
    lamp_1 = lamp(1)
    lamp_1.add_tag("room", "kitchen")
    devices = pool([lamp_1, lamp(2)])
    async with gateway(devices=devices) as (platform, connector):
        assert handlers(platform) == ["handshake", "clear", "put", "put", "commit"]
        known = platform.device("lamp-1")
        assert (known.name, known.type, known.tags) == (
            "Lamp 1",
            TYPE,
            ["room:kitchen"],
        )
        assert platform.device("lamp-2").is_online
        assert dict(connector.devices) == dict(devices.devices())


async def test_nothing_is_sent_where_the_platform_knows_it_all():
    async with gateway(2) as (platform, connector):
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake"]
        assert platform.device("lamp-1").is_online
        response = await connector.event("lamp-1", "state", "1")
        assert response is not None
        assert response.status == 200


async def test_another_hash_has_all_of_them_sent_again():
    async with gateway(2) as (platform, connector):
        platform.forget_hashes()
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake", "clear", "put", "put", "commit"]


async def test_another_gateway_has_all_of_them_sent_again():
    async with gateway(1) as (platform, connector):
        (first,) = platform.gateways
        platform.forget_gateways()
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake", "clear", "put", "commit"]
        (second,) = platform.gateways
        assert first != second
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 3) == ["handshake"]
        assert list(platform.gateways) == [second]


async def test_a_gateway_without_devices_is_synchronised_as_well():
    async with gateway(0) as (platform, connector):
        assert handlers(platform) == ["handshake", "clear", "commit"]
        assert await connector.add(lamp(1))
        assert platform.device("lamp-1").is_online


@pytest.fixture
def conf_file(tmp_path: Path) -> Path:
    path = tmp_path / "connector.conf"
    path.write_text(
        "[CONNECTOR]\nencryption = no\nhost = 127.0.0.1\nport = 8093\n"
        "user = testuser\npassword = secret\ngid =\n"
    )
    path.chmod(0o600)
    return path


async def read(path: Path) -> ConnectorConfig:
    return await anyio.to_thread.run_sync(ConnectorConfig.of, path)


async def test_the_gateway_id_is_kept_in_the_file(conf_file: Path):
    environment = new_environment()
    async with sim_sepl_platform(port=8093, environment=environment) as platform:
        for _ in range(2):
            async with open_connector(
                conf_file, lamps(1), wait_ready=True, environment=environment
            ):
                assert platform.device("lamp-1").is_online
            (gid,) = platform.gateways
            assert (await read(conf_file)).gid == gid
    assert [one.payload["gid"] for one in platform.messages if one.connection == 2][
        :1
    ] == [gid]
    assert (await anyio.Path(conf_file).stat()).st_mode & 0o777 == 0o600


async def test_a_file_that_cannot_keep_it_is_said_and_ends_nothing(
    conf_file: Path, caplog: pytest.LogCaptureFixture
):
    environment = new_environment()
    async with (
        sim_sepl_platform(port=8093, environment=environment) as platform,
        open_connector(conf_file, lamps(1), environment=environment) as connector,
    ):
        await anyio.Path(conf_file).unlink()
        await connector.wait_ready()
        assert platform.device("lamp-1").is_online
    assert "the gateway id is not kept" in caplog.text
    assert not await anyio.Path(conf_file).exists()


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


async def test_what_the_device_manager_raises_goes_to_who_asks():
    class Odd(DevicePool):
        def update(self, device: Device) -> None:
            raise ZeroDivisionError

    async with gateway(devices=Odd()) as (platform, connector):
        with pytest.raises(ZeroDivisionError):
            await connector.update(lamp(1))
        assert connector.is_ready
        assert handlers(platform)[3:] == []


async def test_what_the_device_manager_raises_at_first_comes_out_of_the_opening():
    class Odd(DevicePool):
        def devices(self) -> dict[str, Device]:
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        async with gateway(devices=Odd()):
            pass


async def test_what_it_raises_while_nobody_asks_ends_the_block():
    class Odd(DevicePool):
        is_odd = False

        def devices(self) -> dict[str, Device]:
            if self.is_odd:
                raise ConfigError("the store is damaged")
            return super().devices()

    devices = Odd()
    with pytest.raises(ConfigError, match="damaged"):
        async with gateway(devices=devices) as (platform, connector):
            devices.is_odd = True
            await platform.drop()
            await anyio.sleep_forever()
    assert isinstance(connector.state, Ended)


async def test_leaving_says_goodbye():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        async with open_connector(
            platform.config, lamps(1), wait_ready=True, environment=environment
        ) as connector:
            pass
        assert not connector.is_ready
        await until(lambda: not platform.connections)
        assert platform.log[-1].what == "closed by the client"
