"""A cloud that is away at opening: after a power cut the router has no internet yet."""

from __future__ import annotations

from pathlib import Path

import anyio
import pytest

from structiot.errors import ConnectFailed, ReplyTimeout
from structiot.meross.account_events import AccountEvent, DeviceAdded, DeviceRemoved
from structiot.meross.credentials import MemoryStore
from structiot.meross.errors import TooOften, WrongPassword
from structiot.sim.shared.faults import Fault, FaultKind
from tests.link.meross.test_account_restarts import MODELS, known
from tests.year.test_meross_day import House, a_house

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(60)]

HOUR_S = 3_600.0


async def go_offline(home: House) -> None:
    """Have the router be without the internet."""
    await home.cloud.unplug()
    for broker in home.cloud.brokers:
        await broker.unplug()


async def go_online(home: House) -> None:
    await home.cloud.plug_in()
    for broker in home.cloud.brokers:
        await broker.plug_in()


def name_subdevices(home: House) -> None:
    """Have the cloud know what hangs on the hub, by names that a user gave."""
    hub = home.cloud.devices[home.sims[2].uuid]
    hub.subdevices = [
        {
            "subDeviceId": sub_id,
            "subDeviceType": kind,
            "subDeviceName": f"Room {number}",
        }
        for number, (kind, sub_id) in enumerate(home.sims[2].model.subdevices)
    ]


async def learn(home: House) -> None:
    """Have an account be used once, so that its devices are known."""
    async with home.account() as meross:
        await known(meross)


async def test_without_the_internet_what_is_in_the_local_network_works(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        name_subdevices(home)
        async with home.account() as meross:
            await known(meross)
            await anyio.sleep(1)
            hub = meross.device("Device 2")
            called = {one.info.name for one in hub.subdevices.values()}
            assert all(name.startswith("Room ") for name in called)
        await go_offline(home)
        begun_at = anyio.current_time()
        async with home.account() as meross:
            assert anyio.current_time() - begun_at <= 5
            assert isinstance(meross.list_error, ConnectFailed)
            names = sorted(one.info.name for one in meross.devices.values())
            assert names == [f"Device {number}" for number in range(4)]
            plug = meross.device("Device 0")
            await plug.turn_on()
            assert home.sims[0].device.digest()["togglex"][0]["onoff"] == 1
            hub = meross.device("Device 2")
            await hub.known()
            await anyio.sleep(1)
            # As their user calls them, which the cloud alone knows.
            assert {one.info.name for one in hub.subdevices.values()} == called
            await anyio.sleep(3 * HOUR_S)
            await plug.turn_off()
            assert plug.is_available
    lists = [one for one in caplog.messages if "list of devices" in one]
    assert len(lists) == 1
    assert "has listed it before, and may be otherwise: 4 devices" in caplog.text


async def test_the_list_is_made_true_soon_after_the_internet_is_back(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS) as home:
        await learn(home)
        await go_offline(home)
        home.cloud.unbind(home.sims[3].uuid)
        home.cloud.rename(home.sims[0].uuid, "Kettle")
        home.cloud.register(uuid="f" * 32, name="New", device_type="mss310")
        async with home.account() as meross, meross.events() as events:
            await anyio.sleep(2 * HOUR_S)
            await go_online(home)
            seen: list[AccountEvent] = []
            with anyio.fail_after(300):
                async for event in events:
                    seen.append(event)
                    if (
                        isinstance(event, DeviceAdded)
                        and event.device.info.name == "New"
                    ):
                        break
            assert any(isinstance(event, DeviceRemoved) for event in seen)
            assert meross.list_error is None
            names = sorted(one.info.name for one in meross.devices.values())
            assert names == ["Device 1", "Device 2", "Kettle", "New"]
        assert home.cloud.sign_ins == 1


@pytest.mark.parametrize("fault", ["silent", "busy"])
async def test_a_cloud_that_answers_nothing_useful_is_not_waited_for(
    tmp_path: Path, fault: str
):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        await learn(home)
        kind = FaultKind.DROP if fault == "silent" else FaultKind.REFUSE
        home.cloud.faults.always(Fault(kind=kind, on="http"))
        asked = len(home.cloud.requests)
        begun_at = anyio.current_time()
        async with home.account() as meross:
            assert anyio.current_time() - begun_at <= 5
            await meross.device("Device 0").turn_on()
            await anyio.sleep(12 * HOUR_S)
            error = ReplyTimeout if fault == "silent" else TooOften
            assert isinstance(meross.list_error, error)
            # Four an hour, when it has been away for long.
            assert len(home.cloud.requests) - asked < 12 * 6
            home.cloud.faults.clear()
            await anyio.sleep(0.5 * HOUR_S)
            assert meross.list_error is None


async def test_without_a_way_around_the_cloud_or_a_list_opening_fails(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        async with home.account() as meross:
            await known(meross)
        await go_offline(home)
        for arguments in (
            {"policy": "cloud_only"},
            {"store": MemoryStore()},
            {"store": tmp_path / "another.json"},
            {"state_file": tmp_path / "another.state"},
        ):
            with pytest.raises(ConnectFailed):
                async with home.account(**arguments):
                    pytest.fail("nothing is known")


async def test_who_is_refused_when_the_cloud_is_back_is_tried_once(tmp_path: Path):
    async with a_house(tmp_path / "meross.json", MODELS[:1]) as home:
        await learn(home)
        home.cloud.revoke_tokens()
        await go_offline(home)
        with pytest.raises(WrongPassword):
            async with home.account(password="another") as meross:
                await meross.device("Device 0").turn_on()
                await go_online(home)
                await anyio.sleep(HOUR_S)
        asked = len(home.cloud.requests)
        # It is remembered, and nobody is asked; nor is it told as a cloud that is away.
        with pytest.raises(WrongPassword):
            async with home.account(password="another"):
                pytest.fail("it was refused")
        assert len(home.cloud.requests) == asked
