"""A connector keeps the platform where its devices are."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from structiot import LinkLost, UsageError
from structiot.connector import (
    Authenticating,
    Connecting,
    ConnectorConfig,
    Device,
    DevicePool,
    Ended,
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
            assert not connector.is_ready
            async with connector.states() as states:
                seen = [await anext(states) for _ in range(4)]
            assert seen == [Connecting(), Authenticating(), Synchronising(), Ready()]
            assert connector.state == seen[-1]
            await connector.wait_ready()


async def test_a_platform_that_stays_away_is_one_warning(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector):
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert not caplog.records
        for times in (1, 2):
            await platform.unplug()
            await anyio.sleep(1000)
            assert len(caplog.records) == times
            await platform.plug_in()
            await connector.wait_ready()
    assert "cannot connect" in caplog.text


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
        assert connector.gid == first
        platform.forget_gateways()
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake", "clear", "put", "commit"]
        (second,) = platform.gateways
        assert first != second
        assert connector.gid == second
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 3) == ["handshake"]
        assert list(platform.gateways) == [second]


async def test_another_gateway_of_the_same_hash_has_all_of_them_sent_again_as_well():
    async with gateway(1) as (platform, connector):
        platform.faults.lie_next("gid_other", on="handshake")
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 2) == ["handshake", "clear", "put", "commit"]


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
    environment, gid = new_environment(), ""
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
        await platform.unplug()
        await until_state(connector, Waiting)
        await anyio.Path(conf_file).unlink()
        platform.forget_gateways()
        await platform.plug_in()
        await connector.wait_ready()
        assert platform.device("lamp-1").is_online
    assert "the gateway id is not kept" in caplog.text
    assert not await anyio.Path(conf_file).exists()


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
