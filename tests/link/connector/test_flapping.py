"""A platform that comes and goes: nothing is lost, nothing grows, and it ends synchronised.

What a change costs is counted, in hashes and in questions to the device manager.
"""

from __future__ import annotations

import gc
import hashlib
from typing import Any

import anyio
import pytest

from structiot import AuthRefused
from structiot.connector import (
    Connecting,
    Connector,
    Device,
    DevicePool,
    Ready,
    Synchronising,
    Waiting,
    open_connector,
)
from structiot.connector.wire.hashes import DeviceHashes
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from structiot.sim.connector.sepl_store import SeplGateway
from tests.conftest import WatchedLoop
from tests.link.connector.gateways import (
    gateway,
    handlers,
    lamp,
    lamps,
    new_environment,
    until,
    until_state,
)
from tests.link.connector.senergy_house import connector_of, senergy

pytestmark = pytest.mark.virtual_time

MANY = 5000


class Counted(DevicePool):
    """Counts what it is asked for, and how often its devices are."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = self.looked_up = 0

    def devices(self) -> dict[str, Device]:
        self.listed += 1
        return super().devices()

    def get(self, device_id: str) -> Device | None:
        self.looked_up += 1
        return super().get(device_id)


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How long each text was of which there is a fingerprint."""
    sizes: list[int] = []
    real = hashlib.sha1

    def sha1(data: bytes = b"", *, usedforsecurity: bool = True) -> Any:
        if not usedforsecurity:
            sizes.append(len(data))
        return real(data, usedforsecurity=usedforsecurity)

    monkeypatch.setattr(hashlib, "sha1", sha1)
    return sizes


def of_devices(sizes: list[int]) -> int:
    """How many single devices were hashed: what is hashed of all is digits by the 40."""
    return sum(1 for size in sizes if size % 40)


async def flap(
    platform: SeplPlatformSim, connector: Connector, times: int, up_s: float = 0.1
) -> None:
    """Go down and come up again, as soon as the connector has seen it."""
    for _ in range(times):
        await platform.unplug()
        await until_state(connector, Waiting)
        await platform.plug_in()
        await until_state(connector, Synchronising)
        await anyio.sleep(up_s)


def seeded(platform: SeplPlatformSim, devices: DevicePool) -> dict[str, Any]:
    """Let a gateway have been there before, and give its configuration."""
    hashes = {key: one.hash for key, one in devices.devices().items()}
    for one in devices.devices().values():
        platform.add_device(one.id, type=one.type, name=one.name)
    there = SeplGateway(
        id="iot#before",
        user="testuser",
        hash=DeviceHashes(hashes).digest(),
        devices=list(hashes),
    )
    platform.store.gateways[there.id] = there
    return {**platform.config, "gid": there.id}


# ---------------------------------------------------------------- what it costs


async def test_to_add_one_by_one_costs_as_much_for_each(hashed: list[int]):
    """So many hashes and questions as devices, and not as their square."""
    devices = Counted()
    async with gateway(devices=devices) as (platform, connector):
        hashed.clear()
        devices.listed = 0
        for number in range(1, 151):
            assert await connector.add(lamp(number))
        assert of_devices(hashed) == 150
        assert devices.looked_up == 150
        assert devices.listed == 0
        for number in range(1, 151):
            await connector.update(connector.devices[f"lamp-{number}"])
        # What has not changed has its hash.
        assert of_devices(hashed) == 150
        (there,) = platform.gateways.values()
        assert len(there.devices) == 150


async def test_so_it_is_at_senergy(hashed: list[int]):
    devices = Counted()
    async with senergy() as platform, connector_of(platform, devices) as connector:
        hashed.clear()
        devices.listed = 0
        for number in range(1, 61):
            assert await connector.add(Device(f"dev{number}", "lamp", "Lamp"))
        assert of_devices(hashed) == 60
        assert devices.listed == 0
        (hub,) = platform.hubs.values()
        assert len(hub.device_local_ids) == 60


async def test_who_comes_again_hashes_nothing_again(hashed: list[int]):
    async with gateway(MANY // 10) as (platform, connector):
        hashed.clear()
        for _ in range(5):
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
        assert of_devices(hashed) == 0
        # Of all of them, once a connection.
        assert hashed == [40 * MANY // 10] * 5


async def test_many_that_are_added_at_once_cost_no_more(hashed: list[int]):
    devices = Counted()
    async with gateway(devices=devices) as (platform, connector):
        hashed.clear()
        async with anyio.create_task_group() as tg:
            for number in range(1, 151):
                tg.start_soon(connector.add, lamp(number))
        assert of_devices(hashed) == 150
        assert len(platform.devices) == 150


# ---------------------------------------------------------------- up and down


async def test_five_thousand_devices_at_a_platform_that_comes_and_goes(
    watched_loop: WatchedLoop,
):
    environment = new_environment()
    devices = lamps(MANY)
    async with sim_sepl_platform(environment=environment) as platform:
        config = seeded(platform, devices)
        async with (
            watched_loop(0.05),
            open_connector(config, devices, environment=environment) as connector,
        ):
            for number in range(10):
                await flap(platform, connector, 1)
                await connector.event("lamp-7", "state", number)
            with anyio.fail_after(600):
                await connector.wait_ready()
                await until(lambda: not connector.events_waiting)
            assert await connector.add(lamp(MANY + 1))
        assert {one.data for one in platform.events} == set(map(str, range(10)))
        # They were known, and never sent again.
        assert handlers(platform).count("put") == 1
        there = platform.gateways["iot#before"]
        assert len(there.devices) == MANY + 1


@pytest.mark.parametrize("step", ["clear", "put1", "put60", "put120", "commit"])
async def test_down_in_the_middle_of_each_synchronisation_it_ends_synchronised(
    step: str, watched_loop: WatchedLoop
):
    environment = new_environment()
    count = 120
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.hang_up_next(5, on=step)
        async with (
            watched_loop(0.05),
            open_connector(
                platform.config, lamps(count), environment=environment
            ) as connector,
        ):
            for number in range(10):
                await connector.event("lamp-1", "state", number)
            assert await connector.add(lamp(count + 1)) is False
            with anyio.fail_after(2000):
                await connector.wait_ready()
                await until(lambda: not connector.events_waiting)
            assert len(platform.log) == 11
            assert sum(one.is_online for one in platform.devices) == count + 1
            assert {one.data for one in platform.events} == set(map(str, range(10)))


async def test_changes_while_it_comes_and_goes_are_all_there_in_the_end():
    async with gateway(50) as (platform, connector):
        async with anyio.create_task_group() as tg:
            tg.start_soon(flap, platform, connector, 15, 0.02)
            for number in range(51, 101):
                await connector.add(lamp(number))
                await connector.delete(f"lamp-{number - 50}")
                await anyio.sleep(0.5)
        with anyio.fail_after(2000):
            await connector.wait_ready()
            await until(
                lambda: (
                    {one.uri for one in platform.devices if one.is_online}
                    == {f"lamp-{number}" for number in range(51, 101)}
                )
            )
        assert connector.devices.keys() == {f"lamp-{n}" for n in range(51, 101)}


async def test_after_each_handshake_down_keeps_nothing(no_collector: None):
    """What a connection has used is gone with it."""
    async with gateway(100) as (platform, connector):
        platform.faults.hang_up_next(10_000, on="handshake")

        async def lose(times: int) -> int:
            for _ in range(times):
                await until_state(connector, Connecting)
                await until_state(connector, Waiting)
            gc.collect()
            return len(gc.get_objects())

        await platform.drop()
        await lose(40)
        before = await lose(5)
        assert await lose(30) - before < 2000
        assert not connector.is_ready
        platform.faults.clear()
        with anyio.fail_after(600):
            await connector.wait_ready()


# ---------------------------------------------------------------- refused, or going down


@pytest.mark.parametrize("code", [1001, 1012])
async def test_a_platform_that_says_it_goes_down_refuses_nobody(code: int):
    """Also three times in a row, in the middle of a handshake, and at the first start."""
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.drop_next(5, on="handshake")
        async with (
            open_connector(
                platform.config, lamps(3), environment=environment
            ) as connector,
            connector.states() as states,
        ):
            lost = 0
            async for state in states:
                if isinstance(state, Ready):
                    break
                if isinstance(state, Waiting):
                    assert not isinstance(state.reason, AuthRefused)
                    lost += 1
                elif platform.faults.waiting:
                    await anyio.sleep(1)
                    await platform.close_all(code, "going down")
            assert lost == 5
