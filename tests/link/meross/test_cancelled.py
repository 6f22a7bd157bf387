"""Cancelled at every checkpoint: nothing is left, and every message sent is counted."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from itertools import count
from pathlib import Path

import anyio
import pytest

from structiot import Environment
from structiot.errors import StructiotError
from structiot.meross import (
    Credentials,
    FileStore,
    Meross,
    MerossDevice,
)
from structiot.meross.opening import open_meross, open_meross_lan
from structiot.meross.wire.payloads import items_of
from structiot.sim.meross import sim_meross_cloud, sim_meross_device
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.meross.test_account import EMAIL, PASSWORD, House, house, known

pytestmark = pytest.mark.virtual_time

HOST = "192.168.1.60"
KEY = "0123456789abcdef0123456789abcdef"
CODE = "918273"


def is_on(home: House) -> bool:
    return bool(home.sims[0].device.digest()["togglex"][0]["onoff"])


def check_budget(meross: Meross, home: House) -> None:
    """Every message that has reached the cloud is counted."""
    uuid = home.sims[0].uuid
    sent = home.cloud.messages[uuid]
    assert sent
    assert meross.budget.of(uuid).used >= sent
    calls = meross.stats(timedelta(hours=1)).performed
    assert calls.by_transport["cloud"] >= sent


async def check_restart(home: House, store: Path) -> None:
    """It still is by whoever opens the account then, without another sign-in."""
    uuid = home.sims[0].uuid
    sent, sign_ins = home.cloud.messages[uuid], home.cloud.sign_ins
    assert sent
    async with home.account(store=store, rate_limiter=None) as meross:
        assert meross.budget.of(uuid).used >= sent
        assert home.cloud.sign_ins == sign_ins
        assert await known(meross)


@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_a_sign_in_and_its_store(steps_of, tmp_path, stride: int):
    """Another region, a one-time code, a token in a file, and the budget beside it."""
    environment = Environment(network=MemoryNetwork())
    numbers = count()
    made: list[Path] = []
    async with sim_meross_cloud(
        EMAIL,
        PASSWORD,
        host="cloud",
        redirect_from="other.cloud",
        mfa_code=CODE,
        max_tokens=5000,
        environment=environment,
    ) as cloud:

        async def mfa() -> str:
            await anyio.sleep(1)
            return CODE

        class Store(FileStore):
            async def save(self, credentials: Credentials) -> None:
                made.append(self.path)
                await super().save(credentials)

        async def flow() -> None:
            folder = tmp_path / str(next(numbers))
            for _ in range(2):
                async with open_meross(
                    email=EMAIL,
                    password=PASSWORD,
                    mfa=mfa,
                    store=Store(folder / "token.json"),
                    url=cloud.redirecting_url,
                    environment=environment,
                ):
                    pass

        assert await cancel_sweep(flow, steps_of=steps_of, stride=stride) > 20
        rounds = next(numbers)
        assert cloud.sign_ins <= rounds
        # A token that was made and read is kept, and nothing unknown lies beside it.
        assert len(made) == len(set(made)) > 3
        for number in range(rounds):
            path = tmp_path / str(number) / "token.json"
            names = {one.name for one in path.parent.glob("*")}
            assert names <= {path.name, path.with_suffix(".state").name}
            credentials = await FileStore(path).load()
            assert (credentials is not None) == (path in made)
        before = cloud.sign_ins
        async with open_meross(store=made[-1], url=cloud.url, environment=environment):
            assert cloud.sign_ins == before


@pytest.mark.parametrize("way", ["lan", "cloud", "from lan to cloud"])
@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_a_command(way, steps_of, tmp_path, stride: int):
    store = tmp_path / "token.json"
    policy = "cloud_only" if way == "cloud" else "lan_first"
    expected = "lan" if way == "lan" else "cloud"
    async with house() as home:
        async with home.account(
            policy=policy, rate_limiter=None, store=store
        ) as meross:
            plug = await known(meross)
            if way == "from lan to cloud":
                home.sims[0].faults.always(Fault(kind=FaultKind.HANG_UP, on="http"))

            async def flow() -> None:
                # Failures of earlier rounds are forgotten.
                plug.route.lan = plug.route.lan
                await plug.turn_on()
                assert is_on(home)
                await plug.turn_off()
                assert not is_on(home)
                assert plug.route.last_transport == expected

            before = home.cloud.messages[plug.info.id]
            assert await cancel_sweep(flow, steps_of=steps_of, stride=stride) > 4
            sent = home.cloud.messages[plug.info.id] - before
            assert (sent > 0) == (way != "lan")
            check_budget(meross, home)
            await plug.turn_on()
            assert is_on(home)
        await check_restart(home, store)


@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_notifications_and_events(steps_of, tmp_path, stride: int):
    async with (
        house() as home,
        home.account(policy="cloud_only", store=tmp_path / "token.json") as meross,
    ):
        plug = await known(meross)

        async def flow() -> None:
            async with (
                meross.notifications() as notes,
                plug.notifications() as own,
                plug.events() as events,
                meross.events() as come_and_gone,
            ):
                with anyio.CancelScope(shield=True):
                    await home.sims[0].press()
                note = await anext(notes)
                assert note == await anext(own)
                state = items_of(note.data, "togglex")[0]["onoff"]
                await anext(events)
                await anext(come_and_gone)
            assert plug.states["switch"] is (state == 1)

        assert await cancel_sweep(flow, steps_of=steps_of, stride=stride) > 1
        check_budget(meross, home)


@pytest.mark.parametrize("models", [["mss310"], ["msh300hk"]], ids=str)
@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
async def test_an_account_is_opened_used_and_left(
    models, policy, tmp_path, stride: int
):
    store = tmp_path / "token.json"
    async with house(models) as home:

        async def flow() -> None:
            async with home.account(
                policy=policy, store=store, rate_limiter=None, retry_refused=True
            ) as meross:
                device = await known(meross)
                async with device.events() as events, meross.notifications():
                    await anext(events)
                    await device.request("Appliance.System.Runtime")
                    await meross.refresh()

        assert await cancel_sweep(flow, stride=stride) > 10
        # Those that were cut short before there was a token have each made one.
        assert home.cloud.sign_ins <= 10
        await check_restart(home, store)


async def test_an_account_is_left_in_the_middle_of_what_its_tasks_do(
    tmp_path, stride: int
):
    store = tmp_path / "token.json"
    async with house() as home:

        async def flow() -> None:
            async with home.account(
                store=store, rate_limiter=None, retry_refused=True
            ) as meross:
                plug = await known(meross)
                async with plug.readings() as readings:
                    await anext(readings)

        assert await cancel_sweep(flow, steps_of="all", stride=stride) > 100
        await check_restart(home, store)


@pytest.mark.parametrize("model", ["mss310", "mss110", "msh300hk"])
@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_a_device_in_the_local_network(model, steps_of, stride: int):
    environment = Environment(network=MemoryNetwork())

    async def use(device: MerossDevice) -> None:
        async with device.events() as events:
            await anext(events)
            with suppress(StructiotError):
                await device.turn_on()
            await device.request("Appliance.System.Runtime")

    async def flow() -> None:
        async with open_meross_lan(HOST, key=KEY, environment=environment) as device:
            await use(device)

    async with sim_meross_device(HOST, model=model, key=KEY, environment=environment):
        assert await cancel_sweep(flow, steps_of=steps_of, stride=stride) > 10
        async with open_meross_lan(HOST, key=KEY, environment=environment) as device:
            await use(device)
