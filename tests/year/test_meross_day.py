"""A day of an account with 25 devices, a restart each hour: nobody is banned."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
    suppress,
)
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import StructiotError, UnsupportedDevice
from structiot.meross.account import Meross
from structiot.meross.device import MerossDevice
from structiot.meross.errors import AccountBanned
from structiot.meross.opening import open_meross
from structiot.sim.meross import (
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(900)]

EMAIL, PASSWORD = "user@example.com", "correct horse"
HOUR_S = 3600.0
MODELS = (
    *["mss310"] * 6,
    *["mss425f"] * 4,
    *["msl120"] * 4,
    *["msg100"] * 3,
    *["msh300hk"] * 2,
    *["mrs100"] * 2,
    *["mts200"] * 2,
    *["msxh0", "mod100"],
)


@dataclass
class House:
    """A cloud that bans for more than 200 messages an hour, and for a second token."""

    cloud: MerossCloudSim
    sims: list[MerossSim]
    environment: Environment
    file: Path

    def account(self, **arguments: Any) -> AbstractAsyncContextManager[Meross]:
        usual = {"email": EMAIL, "password": PASSWORD, "store": self.file}
        return open_meross(
            url=self.cloud.url,
            environment=self.environment,
            **{**usual, **arguments},
        )


async def look_on(meross: Meross, for_s: float) -> None:
    """Iterate over readings, where there is a meter, and events of all, for a while."""
    with anyio.move_on_after(for_s):
        async with anyio.create_task_group() as tg:
            for device in meross.devices.values():
                tg.start_soon(read, device)
                tg.start_soon(watch, device)


async def read(device: MerossDevice) -> None:
    with suppress(UnsupportedDevice):
        async with device.readings() as readings:
            async for _ in readings:
                pass


async def watch(device: MerossDevice) -> None:
    async with device.events() as events:
        async for _ in events:
            pass


@asynccontextmanager
async def a_house(file: Path, models: Sequence[str] = MODELS) -> AsyncGenerator[House]:
    environment = Environment(
        network=MemoryNetwork(), clock=virtual_clock, random=Random(7)
    )
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(
                EMAIL,
                PASSWORD,
                host="cloud",
                messages_per_hour=200,
                max_sign_ins=1,
                environment=environment,
            )
        )
        sims = []
        for number, model in enumerate(models):
            uuid = f"{number:020}48e1e9aabb{number:02x}"
            cloud.register(uuid=uuid, name=f"Device {number}", device_type=model)
            broker = cloud.broker_of(uuid)
            sim = await stack.enter_async_context(
                sim_meross_device(
                    f"192.168.1.{60 + number}",
                    model=model,
                    uuid=uuid,
                    key=cloud.key,
                    user_id=cloud.user_id,
                    broker=(broker.host, broker.port, None),
                    environment=environment,
                )
            )
            sims.append(sim)
        await anyio.sleep(5)
        yield House(cloud, sims, environment, file)


async def test_a_day_with_a_restart_each_hour_gets_nobody_banned(tmp_path: Path):
    async with a_house(tmp_path / "meross.json") as home:
        for _ in range(24):
            async with home.account(policy="cloud_only") as meross:
                assert len(meross.devices) == 25
                await look_on(meross, HOUR_S)
                assert all(one.states for one in meross.devices.values())
                assert all(one.is_available for one in meross.devices.values())
            assert home.cloud.ban_reason is None
        assert home.cloud.sign_ins == 1
        assert all(home.cloud.messages[uuid] >= 24 for uuid in home.cloud.devices)


async def test_in_the_local_network_restarts_hardly_cost_anything(tmp_path: Path):
    async with a_house(tmp_path / "meross.json") as home:
        for _ in range(6):
            async with home.account() as meross:
                await look_on(meross, 20)
                assert all(one.states for one in meross.devices.values())
                assert all(one.is_available for one in meross.devices.values())
            await anyio.sleep(HOUR_S - 20)
        assert home.cloud.sign_ins == 1
        # Where it is in the local network.
        assert set(home.cloud.messages.values()) == {1}


async def talk(home: House, **arguments: Any) -> int:
    """Ask a plug each second for an hour, and tell how often it answered."""
    answers = 0
    # One that is banned is told so.
    with anyio.move_on_after(HOUR_S), suppress(AccountBanned):
        async with home.account(policy="cloud_only", **arguments) as meross:
            while not home.cloud.is_banned:
                try:
                    await meross.device("Device 0").request("Appliance.System.Runtime")
                except StructiotError:
                    pass
                else:
                    answers += 1
                await anyio.sleep(1)
    return answers


async def test_a_program_that_asks_each_second_is_held_back_by_default(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", ["mss310"]) as home:
        for _ in range(3):
            assert 150 < await talk(home) < 200
            assert home.cloud.ban_reason is None


async def test_without_a_rate_limiter_it_has_the_account_banned(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", ["mss310"]) as home:
        assert await talk(home, rate_limiter=None) <= 200
        assert "200 are allowed" in (home.cloud.ban_reason or "")
