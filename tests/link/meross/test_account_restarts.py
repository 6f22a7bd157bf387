"""What an account remembers for the next opening, and what it does not ask again."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from structiot.errors import ConfigError
from structiot.meross.account import Meross
from structiot.meross.account_events import (
    AccountEvent,
    DeviceAdded,
    DeviceBound,
    DeviceOffline,
    DeviceOnline,
)
from structiot.meross.account_state import open_account_state
from structiot.meross.credential_stores import FileStore
from structiot.meross.credentials import MemoryStore
from structiot.meross.default_files import default_file
from structiot.meross.errors import WrongPassword
from structiot.meross.link.route import Policy
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.system import ABILITY, ALL
from structiot.model import StateChange
from structiot.sim.meross import MerossSim, sim_meross_device
from structiot.testing import MemoryNetwork
from tests.year.test_meross_day import EMAIL, House, a_house

pytestmark = pytest.mark.virtual_time

MODELS = ["mss310", "msl120", "msh300hk", "mss110"]


async def known(meross: Meross) -> None:
    """Wait until all devices have told what they can, and their states."""
    with anyio.fail_after(60):
        for device in meross.devices.values():
            await device.known()
            assert device.about.abilities
            assert device.states


def asked(home: House, namespace: str) -> list[str]:
    """Give which devices were asked this, in the order of their names."""
    return [
        sim.uuid
        for sim in home.sims
        for one in sim.requests
        if one.asked.namespace == namespace
    ]


def update(sim: MerossSim, firmware: str) -> None:
    sim.device.model = replace(sim.model, firmware=firmware)


def forget_requests(home: House) -> None:
    for sim in home.sims:
        sim.requests.clear()


async def test_through_the_cloud_a_restart_costs_one_question_a_device(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        async with home.account(policy="cloud_only") as meross:
            await known(meross)
            before = {uuid: one.about for uuid, one in meross.devices.items()}
        forget_requests(home)
        sent = sum(home.cloud.messages.values())
        async with home.account(policy="cloud_only") as meross:
            for uuid, device in meross.devices.items():
                assert device.about.abilities == before[uuid].abilities
                assert device.info.model == before[uuid].model
                assert device.entities
            await known(meross)
            await anyio.sleep(60)
        assert asked(home, ALL) == [sim.uuid for sim in home.sims]
        assert asked(home, ABILITY) == []
        assert sum(home.cloud.messages.values()) == sent + len(home.sims)


async def test_in_the_local_network_a_restart_costs_the_budget_nothing(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        async with home.account() as meross:
            await known(meross)
            # Where it is in the local network the cloud has said, and no more.
            assert set(home.cloud.messages.values()) == {1}
        forget_requests(home)
        async with home.account() as meross:
            await known(meross)
            await meross.device("Device 0").turn_on()
            assert meross.device("Device 3").route.lan is not None
        assert set(home.cloud.messages.values()) == {1}
        assert asked(home, ABILITY) == []


async def test_with_another_firmware_a_device_is_asked_again_what_it_can(
    tmp_path: Path,
):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        async with home.account(policy="cloud_only") as meross:
            await known(meross)
            forget_requests(home)
            update(home.sims[0], "9.9.9")
            home.cloud.devices[home.sims[0].uuid].firmware = "9.9.9"
            await meross.refresh()
            await anyio.sleep(10)
            assert meross.device("Device 0").about.system.firmware == "9.9.9"
            assert asked(home, ABILITY) == [home.sims[0].uuid]
        update(home.sims[0], "10.0.0")
        await anyio.sleep(60)
        async with home.account(policy="cloud_only") as meross:
            await anyio.sleep(10)
            assert asked(home, ABILITY) == [home.sims[0].uuid]
            await known(meross)
        assert asked(home, ABILITY) == [home.sims[0].uuid] * 2


@pytest.mark.parametrize(
    "kept",
    [{}, {"all": 7, "ability": []}, {"all": {"system": {"hardware": {"uuid": 7}}}},
     {"all": {"system": {"hardware": {"uuid": None}, "firmware": "x"}}}],
)  # fmt: skip
async def test_what_is_remembered_of_a_device_may_hold_anything(
    kept: dict[str, object], tmp_path: Path
):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        uuid = home.sims[0].uuid
        async with open_account_state(
            tmp_path / "meross.state", environment=home.environment
        ) as state:
            await state.keep(f"device/{uuid}", kept)
            await state.keep("device/of another account", kept)
        async with home.account() as meross:
            await known(meross)
        async with open_account_state(
            tmp_path / "meross.state", environment=home.environment
        ) as state:
            assert list(await state.kept("device/")) == [uuid]


@pytest.mark.parametrize("is_watched", [False, True])
async def test_a_device_at_another_address_is_found_by_one_question(
    is_watched: bool, tmp_path: Path
):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        async with home.account() as meross, anyio.create_task_group() as tg:
            await known(meross)
            plug = meross.device("Device 0")

            async def watch() -> None:
                async with plug.changes() as changes:
                    async for _ in changes:
                        pass

            if is_watched:
                tg.start_soon(watch)
            await anyio.sleep(30)
            sent = home.cloud.messages[plug.info.id]
            await home.sims[0].move("192.168.1.99")
            if is_watched:
                await anyio.sleep(45)
            else:
                await plug.turn_on()
                await anyio.sleep(10)
            await plug.turn_off()
            assert plug.route.lan is not None
            assert plug.route.lan.host == "192.168.1.99"
            assert plug.route.last_transport == "lan"
            assert home.cloud.messages[plug.info.id] - sent <= 4
            tg.cancel_scope.cancel()


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
async def test_in_each_program_what_is_known_has_told_its_states(
    policy: Policy, tmp_path: Path
):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        for _ in range(3):
            async with home.account(policy=policy) as meross:
                assert not meross.device("Device 1").states
                await known(meross)
                assert "light" in meross.device("Device 1").states
                hub = meross.device("Device 2")
                assert len(hub.subdevices) == 6
                assert all(one.states for one in hub.subdevices.values())
            await anyio.sleep(60)


async def test_a_command_for_one_device_asks_no_other(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        async with home.account(policy="cloud_only") as meross:
            await known(meross)
        await anyio.sleep(60)
        forget_requests(home)
        async with home.account(policy="cloud_only") as meross:
            await meross.device("Device 0").turn_on()
            await anyio.sleep(60)
        assert [bool(sim.requests) for sim in home.sims] == [True, False, False, False]


async def test_one_program_right_after_another_is_told_how_things_are(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", ["mss310"]) as home:
        told: set[str] = set()
        for _ in range(3):
            told.clear()
            async with home.account(policy="cloud_only") as meross:
                with anyio.move_on_after(50):
                    async with meross.device("Device 0").events() as events:
                        async for event in events:
                            if isinstance(event, StateChange):
                                told.add(event.key)
                            if {"switch", "power_w"} <= told:
                                break
            assert "switch" in told
        # What is less looked at has waited for room, and was not given up.
        assert "power_w" in told


async def test_a_store_that_cannot_be_written_is_refused_before_anybody_signs_in(
    tmp_path: Path,
):
    async with a_house(tmp_path / "meross.json", []) as home:
        await anyio.to_thread.run_sync((tmp_path / "file").write_text, "no folder")
        with pytest.raises(ConfigError, match="cannot be written"):
            async with home.account(store=tmp_path / "file" / "meross.json"):
                pass
        assert home.cloud.sign_ins == 0


# ---------------------------------------------------------------- the default files


async def test_by_default_the_token_is_kept_with_a_network_in_memory():
    async with a_house(Path("not used"), []) as home:
        for _ in range(3):
            async with home.account(store="default"):
                pass
        async with home.account(store="default", email=EMAIL.upper()):
            pass
        # There is only one, so nobody need say which.
        async with home.account(store="default", email=None, password=None):
            pass
        assert home.cloud.sign_ins == 1
        with pytest.raises(WrongPassword):
            async with home.account(store="default", email="other@example.com"):
                pass
        path = default_file(EMAIL, url=home.cloud.url, network=home.environment.network)
        await anyio.to_thread.run_sync(look_at_files, path)
        with pytest.raises(ConfigError, match="tokens of 2 accounts: give email="):
            async with home.account(store="default", email=None):
                pass


def look_at_files(path: Path) -> None:
    files = sorted(path.parent.iterdir())
    # Of the account, and what was refused to the other.
    assert [one.suffix for one in files].count(".json") == 1
    assert [one.suffix for one in files].count(".state") == 2
    assert path in files
    assert {one.stat().st_mode & 0o777 for one in files} == {0o600}
    assert EMAIL not in str(files)
    (path.parent / "meross-0123456789abcdef.json").write_text("{}")


def test_what_is_kept_with_a_network_in_memory_is_gone_with_the_program():
    network = MemoryNetwork()
    assert default_file(EMAIL, network=network) == default_file(EMAIL, network=network)
    program = (
        "from structiot.meross.default_files import default_file\n"
        "from structiot.testing import MemoryNetwork\n"
        "path = default_file('someone', network=MemoryNetwork())\n"
        "path.write_text('{}')\n"
        "print(path)"
    )
    told = subprocess.run(
        [sys.executable, "-c", program], check=True, capture_output=True, text=True
    )
    path = Path(told.stdout.strip())
    assert path.name.startswith("meross-")
    assert not path.parent.exists()


def test_an_account_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/state")
    ours = default_file(EMAIL)
    assert ours.parent == Path("/state/structiot")
    assert FileStore(email=EMAIL).path == ours
    for url in ("https://iotx-eu.meross.com", "https://eu-iot.meross.com:443"):
        assert default_file(EMAIL.upper(), url=url) == ours
    others = [
        default_file("other@example.com"),
        default_file(EMAIL, url="http://127.0.0.1:8080"),
        default_file(EMAIL, url="https://meross.com.example.org"),
        default_file(EMAIL, url="https://notmeross.com"),
        default_file(EMAIL, url="http://[no server"),
        default_file(EMAIL, network=MemoryNetwork()),
    ]
    assert len({ours, *others}) == 7


@pytest.mark.parametrize("store", [None, MemoryStore])
async def test_without_a_store_nothing_is_kept(
    store: type[MemoryStore] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    async with a_house(tmp_path / "not used", []) as home:
        async with home.account(store=store() if store else None):
            pass
        assert home.cloud.sign_ins == 1
        files = await anyio.to_thread.run_sync(os.listdir, tmp_path)
        assert files == []


async def test_a_program_started_over_and_over_with_a_wrong_password_asks_once(
    tmp_path: Path,
):
    async with a_house(tmp_path / "meross.json", []) as home:
        for _ in range(20):
            with pytest.raises(WrongPassword):
                async with home.account(password="wrong"):
                    pass
            await anyio.sleep(10)
        assert len(home.cloud.requests) == 1
        async with home.account():
            assert home.cloud.sign_ins == 1


# ---------------------------------------------------------------- events


async def take(events: object, kind: type[AccountEvent]) -> AccountEvent:
    with anyio.fail_after(120):
        async for event in events:  # type: ignore[attr-defined]
            if isinstance(event, kind):
                return event
    raise AssertionError(f"no {kind}")


async def test_a_device_that_is_bound_goes_and_is_back(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        async with home.account() as meross, meross.events() as events:
            plug = meross.device("Device 0")
            assert await anext(events) == DeviceAdded(plug)
            await known(meross)
            await home.sims[0].unplug()
            event = await take(events, DeviceOffline)
            assert isinstance(event, DeviceOffline)
            assert event.device is plug
            assert event.reason
            await home.sims[0].plug_in()
            assert await take(events, DeviceOnline) == DeviceOnline(plug)
            async with new_device(home) as sim:
                assert (await take(events, DeviceAdded)).device.info.id == sim.uuid
                event = await anext(events)
                assert event == DeviceBound(meross.device(sim.uuid))


def new_device(home: House) -> AbstractAsyncContextManager[MerossSim]:
    uuid = 20 * "9" + "48e1e9aabbff"
    home.cloud.register(uuid=uuid, name="New")
    broker = home.cloud.broker_of(uuid)
    return sim_meross_device(
        "192.168.1.250",
        uuid=uuid,
        key=home.cloud.key,
        user_id=home.cloud.user_id,
        broker=(broker.host, broker.port, None),
        environment=home.environment,
    )


@pytest.mark.parametrize(("sender", "most"), [("7" * 32, 3), ("", 0)])
async def test_a_device_of_nobody_has_the_list_asked_for_a_few_times(
    sender: str, most: int, tmp_path: Path
):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        async with home.account() as meross:
            await anyio.sleep(120)
            asked_before = len(home.cloud.requests)
            for _ in range(600):
                meross.pushed(
                    Envelope(
                        namespace="Appliance.System.Report",
                        method=Method.PUSH,
                        message_id="0" * 32,
                        sender=f"/appliance/{sender}/publish",
                    )
                )
                await anyio.sleep(1)
            found = len(home.cloud.requests) - asked_before
            assert min(most, 1) <= found <= most
