"""An account in the simulated cloud, with simulated devices: `open_meross`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.meross.account import Meross
from structiot.meross.account_events import (
    DeviceAdded,
    DeviceOffline,
    DeviceRemoved,
    DeviceRenamed,
)
from structiot.meross.opening import open_meross
from structiot.meross.wire.cloud import Path
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.payloads import items_of
from structiot.meross.wire.system import read_all
from structiot.model import LightState, StateChange
from structiot.sim.meross import (
    MerossApiCall,
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

EMAIL, PASSWORD = "user@example.com", "correct horse"


@dataclass
class House:
    """A cloud, and devices that are connected to it."""

    cloud: MerossCloudSim
    sims: list[MerossSim]
    environment: Environment

    def account(self, **arguments: Any) -> AbstractAsyncContextManager[Meross]:
        return open_meross(
            url=self.cloud.url,
            environment=self.environment,
            **{"email": EMAIL, "password": PASSWORD, **arguments},
        )


@asynccontextmanager
async def house(
    models: Sequence[str] = ("mss310",), **of_cloud: Any
) -> AsyncGenerator[House]:
    environment = Environment(network=MemoryNetwork())
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(
                EMAIL, PASSWORD, host="cloud", environment=environment, **of_cloud
            )
        )
        sims = []
        for number, model in enumerate(models):
            uuid = f"{number:020}48e1e9aabb{number:02x}"
            sim = await stack.enter_async_context(
                sim_meross_device(
                    f"192.168.1.{60 + number}",
                    model=model,
                    uuid=uuid,
                    name=f"Device {number}",
                    cloud=cloud,
                    environment=environment,
                )
            )
            sims.append(sim)
        await anyio.sleep(5)
        yield House(cloud, sims, environment)


async def known(account: Meross, name: str = "Device 0", within_s: float = 60):
    """Wait until a device is known by its abilities."""
    with anyio.fail_after(within_s):
        while not account.device(name).about.abilities:  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.1)
    return account.device(name)


def lists(cloud: MerossCloudSim) -> list[MerossApiCall]:
    return [call for call in cloud.requests if call.path == Path.DEVICES]


def bind_of(uuid: str) -> Envelope:
    return Envelope(
        namespace="Appliance.Control.Bind",
        method=Method.SET,
        message_id="0" * 32,
        sender=f"/appliance/{uuid}/publish",
    )


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
async def test_a_plug_is_switched_and_its_button_told(policy: str):
    async with house() as home, home.account(policy=policy) as meross:
        plug = await known(meross)
        async with plug.events() as events, meross.notifications() as notes:
            await plug.turn_on()
            assert home.sims[0].device.digest()["togglex"][0]["onoff"] == 1
            await anyio.sleep(1)
            await home.sims[0].press()
            with anyio.fail_after(5):
                async for note in notes:
                    items = items_of(note.data, "togglex")
                    if [item["onoff"] for item in items] == [0]:
                        break
            assert note.device is plug
            assert note.namespace == "Appliance.Control.ToggleX"
            with anyio.fail_after(5):
                async for event in events:
                    if isinstance(event, StateChange) and event.state is False:
                        break
            assert event.key == "switch"


async def test_devices_are_found_by_what_they_are():
    async with house(["mss310", "msl120"]) as home, home.account() as meross:
        await known(meross, "device 0")
        lamp = await known(meross, "Device 1")
        assert meross.find(type="MSL120") == [lamp]
        assert meross.find(ability="Appliance.Control.Light") == [lamp]
        assert meross.find(name="device 1") == [lamp]
        assert len(meross.find()) == len(meross.devices) == 2
        assert meross.device(home.sims[1].uuid) is lamp
        with pytest.raises(UsageError, match="no device is called 'Devise 1'"):
            meross.device("Devise 1")


async def test_devices_come_go_and_are_renamed():
    async with house() as home, home.account() as meross:
        plug = await known(meross)
        async with meross.events() as events:
            assert await anext(events) == DeviceAdded(plug)
            home.cloud.rename(plug.info.id, "Kettle")
            await meross.refresh()
            assert await anext(events) == DeviceRenamed(plug, "Device 0")
            assert plug.info.name == "Kettle"
            home.cloud.register(uuid=32 * "c", name="Late")
            await meross.refresh()
            late = meross.device("Late")
            assert await anext(events) == DeviceAdded(late)
            assert await anext(events) == DeviceOffline(late, late.availability.reason)
            home.cloud.unbind(plug.info.id)
            with anyio.fail_after(5):
                assert await anext(events) == DeviceRemoved(plug)
            assert list(meross.devices) == [32 * "c"]


async def test_a_hub_and_what_hangs_on_it():
    async with house(["msh300hk"]) as home, home.account() as meross:
        hub = await known(meross)
        async with hub.events():
            await anyio.sleep(30)
            assert len(hub.subdevices) == len(home.sims[0].subdevices)
            for sub in hub.subdevices.values():
                assert sub.states
                assert sub.info.via == hub.info.id


async def test_a_device_of_another_key_costs_nobody_but_itself():
    async with house(["mss310", "msl120"]) as home, home.account() as meross:
        plug, lamp = await known(meross), await known(meross, "Device 1")
        async with plug.events(), lamp.events():
            await anyio.sleep(20)
            plug.route.policy = "lan_only"
            home.sims[0].pair("f" * 32, "654321")
            await anyio.sleep(120)
            assert not plug.is_available
            assert "key" in plug.availability.reason
            asked = len(home.sims[0].requests)
            await anyio.sleep(600)
            assert len(home.sims[0].requests) == asked
            assert lamp.is_available
            await lamp.command("light", LightState(is_on=True))


async def test_a_device_that_is_off_is_hardly_asked():
    async with house(["mss310", "msl120"]) as home:
        async with home.account(policy="cloud_only") as meross:
            plug = await known(meross)
            async with plug.events():
                await home.sims[0].unplug()
                await anyio.sleep(600)
                assert not plug.is_available
                before = home.cloud.messages[plug.info.id]
                await anyio.sleep(3600)
                assert home.cloud.messages[plug.info.id] - before <= 20
                await home.sims[0].plug_in()
                await anyio.sleep(60)
                assert plug.is_available


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
@pytest.mark.parametrize("status", [2, 7])
async def test_devices_that_are_off_do_not_delay_the_one_that_is_there(policy, status):
    """Each takes ten seconds; the cloud may say of none that it is off."""
    async with house([]) as home:
        for number in range(100):
            uuid = f"{number:020}48e1e9cc{number:04x}"
            home.cloud.register(uuid=uuid, name=f"Off {number}").status = status
        async with (
            sim_meross_device(
                "192.168.1.60", cloud=home.cloud, environment=home.environment
            ) as sim,
            home.account(policy=policy) as meross,
        ):
            begun_at = anyio.current_time()
            await meross.devices[sim.uuid].turn_on()
            assert anyio.current_time() - begun_at < 45


async def test_a_device_that_is_removed_and_added_while_it_is_asked_is_known():
    async with house() as home, home.account(policy="cloud_only") as meross:
        (uuid,) = meross.devices
        home.sims[0].faults.delay_s = 5.0
        await anyio.sleep(2)
        unbind = "Appliance.Control.Unbind"
        meross.pushed(replace(bind_of(uuid), namespace=unbind, method=Method.PUSH))
        assert not meross.devices
        await meross.refresh()
        await anyio.sleep(20)
        await known(meross)


async def test_whoever_goes_through_the_devices_may_wait_meanwhile():
    """Those that are removed by then are closed, which is said in words."""
    async with house(["mss310", "msl120", "mss310"]) as home, home.account() as meross:
        for name in ("Device 0", "Device 1", "Device 2"):
            await known(meross, name)
        done: list[str] = []
        closed: list[str] = []
        for device in meross.devices.values():
            if not done:
                home.cloud.unbind(home.sims[2].uuid)
                await meross.refresh()
            await anyio.sleep(1)
            try:
                await device.turn_on()
            except UsageError as exc:
                closed.append(str(exc))
            else:
                done.append(device.info.name)
        assert done == ["Device 0", "Device 1"]
        assert len(closed) == 1
        assert "closed" in closed[0]
        assert len(meross.devices) == 2


async def test_whoever_binds_without_end_has_the_list_asked_for_once_a_minute():
    async with house() as home, home.account() as meross:
        plug = await known(meross)
        await anyio.sleep(300)
        before = len(lists(home.cloud))
        for _ in range(600):
            meross.pushed(bind_of(plug.info.id))
            await anyio.sleep(1)
        assert 9 <= len(lists(home.cloud)) - before <= 12


async def test_a_new_list_leaves_a_device_as_it_was_known():
    async with house() as home, home.account() as meross:
        plug = await known(meross)
        async with plug.events():
            await anyio.sleep(30)
            before = plug.features
            assert plug.about.zone is not None
            home.cloud.rename(plug.info.id, "Kettle")
            await meross.refresh()
            assert plug.info.name == "Kettle"
            assert plug.features == before
            assert plug.about.zone is not None


async def test_a_device_that_moves_is_found_at_its_new_address():
    async with house() as home, home.account() as meross:
        plug = await known(meross)
        async with plug.events():
            await anyio.sleep(20)
            assert plug.route.lan is not None
            await home.sims[0].move("192.168.1.99")
            await anyio.sleep(1800)
            assert plug.route.lan.host == "192.168.1.99"
            assert plug.route.last_transport == "lan"


SCOPED = ("fe80::1%eth0", "fe80::1%a b", f"fe80::1%{'x' * 100}")


@pytest.mark.parametrize("said", SCOPED)
async def test_an_address_with_an_interface_ends_no_account(said: str):
    """The interface would be the device's own, and it may be any text."""
    async with house(["mss310", "msl120"]) as home:
        home.sims[0].device.lan_host = said
        async with home.account() as meross:
            plug, lamp = await known(meross), await known(meross, "Device 1")
            async with plug.events(), lamp.events():
                await anyio.sleep(600)
                await lamp.turn_on()
                await plug.turn_on()
                assert plug.route.lan is None


@pytest.mark.parametrize(
    "said",
    ["8.8.8.8", "router.lan", "http://x/", "0.0.0.0", "224.0.0.1", *SCOPED, 7, None],
)
def test_an_address_that_is_none_of_the_local_network_is_not_gone_to(said: object):
    firmware = {"innerIp": said}
    assert read_all({"all": {"system": {"firmware": firmware}}}).lan_host is None
