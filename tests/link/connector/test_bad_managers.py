"""Device managers that raise, dawdle, or talk nonsense, at any of their five methods.

Who asks for something gets what went wrong; the connector goes on, and what the device
manager holds in the end is what the platform has in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from itertools import count
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from structiot.connector import Device, DevicePool, Waiting
from structiot.connector.device_manager import ManagedDevices
from structiot.errors import ConfigError, LinkLost, UsageError
from structiot.sim import SeplPlatformSim
from tests.link.connector.gateways import (
    TYPE,
    gateway,
    handlers,
    lamp,
    lamps,
    until,
    until_state,
)
from tests.link.connector.senergy_house import connector_of, senergy

pytestmark = pytest.mark.virtual_time

METHODS = ("add", "update", "remove", "get", "devices")
ERRORS = [
    ZeroDivisionError("no"),
    LinkLost("its own link is lost"),
    ConfigError("its store is damaged"),
    UsageError("it is closed"),
    TimeoutError(),
    ExceptionGroup("two", [ValueError("one"), KeyError("other")]),
]


class Moody(DevicePool):
    """Behaves as it was told to, and otherwise well.

    Attributes:
        before: What happens by method before it does something, and after that.
        after: The same.
    """

    def __init__(self, number: int = 0) -> None:
        super().__init__()
        self.before: dict[str, Callable[[], Any]] = {}
        self.after: dict[str, Callable[[], Any]] = {}
        for one in range(1, number + 1):
            super().add(lamp(one))

    async def add(self, device: Device) -> None:  # type: ignore[override]
        await self._do("add", lambda: DevicePool.add(self, device))

    async def update(self, device: Device) -> None:  # type: ignore[override]
        await self._do("update", lambda: DevicePool.update(self, device))

    async def remove(self, device: Device | str) -> None:  # type: ignore[override]
        await self._do("remove", lambda: DevicePool.remove(self, device))

    async def get(self, device_id: str) -> Any:  # type: ignore[override]
        return await self._do("get", lambda: DevicePool.get(self, device_id))

    async def devices(self) -> Any:  # type: ignore[override]
        return await self._do("devices", lambda: DevicePool.devices(self))

    @property
    def held(self) -> Mapping[str, Device]:
        return DevicePool.devices(self)

    async def _do(self, name: str, work: Callable[[], Any]) -> Any:
        await anyio.lowlevel.checkpoint()
        told = None
        if name in self.before:
            told = await called(self.before[name])
        result = work()
        if name in self.after:
            told = await called(self.after[name])
        return result if told is None else told


async def called(what: Callable[[], Any]) -> Any:
    told = what()
    return await told if hasattr(told, "__await__") else told


def raising(error: BaseException, *, times: float = float("inf")) -> Callable[[], None]:
    turns = count(1)

    def work() -> None:
        if next(turns) <= times:
            raise error

    return work


async def until_same(platform: SeplPlatformSim, devices: Moody) -> None:
    """Wait until the platform has online what the device manager has, as it has it."""

    def is_same() -> bool:
        there = {one.uri: one.name for one in platform.devices if one.is_online}
        return there == {key: one.name for key, one in devices.held.items()}

    await until(is_same, within_s=2000)


async def changed(connector: Any) -> None:
    """Change something of each kind, whatever comes of it."""
    renamed = lamp(1)
    renamed.name = "Leuchte"
    with suppress(Exception):
        await connector.add(lamp(7))
    with suppress(Exception):
        await connector.update(renamed)
    with suppress(Exception):
        await connector.disconnect("lamp-2")
    with suppress(Exception):
        await connector.delete("lamp-3")


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("method", METHODS)
async def test_whatever_it_raises_and_when_nothing_is_lost(
    method: str, *, is_after: bool, error: Exception, caplog: pytest.LogCaptureFixture
):
    devices = Moody(4)
    async with gateway(devices=devices) as (platform, connector):
        moods = devices.after if is_after else devices.before
        moods[method] = raising(error)
        await changed(connector)
        await platform.drop()
        await until_state(connector, Waiting)
        with anyio.fail_after(60):
            await connector.wait_ready()
        assert await connector.event("lamp-4", "state", "1")
        moods.clear()
        await until_same(platform, devices)
        # What was committed is what there is, so that the next connection sends nothing.
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        assert handlers(platform, 3) == ["handshake"]
    assert "Traceback" not in caplog.text


@pytest.mark.parametrize("is_after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("call", ["add", "update", "disconnect", "delete"])
async def test_who_asks_gets_what_it_raises_and_it_is_made_up_for(
    call: str, *, is_after: bool
):
    devices = Moody(2)
    async with gateway(devices=devices) as (platform, connector):
        method = call if call in METHODS else "remove"
        moods = devices.after if is_after else devices.before
        moods[method] = raising(LinkLost("its own"), times=1)
        device = lamp(3) if call == "add" else lamp(1)
        device.name = "Other"
        with pytest.raises(LinkLost, match="its own"):
            await getattr(connector, call)(device)
        await until_same(platform, devices)
        assert len(platform.log) == 1


async def test_where_it_cannot_tell_of_one_it_is_asked_for_all(
    caplog: pytest.LogCaptureFixture,
):
    devices = Moody(1)
    async with gateway(devices=devices) as (platform, connector):
        devices.before["get"] = raising(KeyError("lamp-2"))
        assert await connector.add(lamp(2))
        assert await connector.delete("lamp-1")
        assert connector.devices.keys() == {"lamp-2"}
        await until_same(platform, devices)
    assert caplog.text.count("as get fails: KeyError: 'lamp-2'") == 1


@pytest.mark.parametrize(
    "nonsense",
    [7, "lamp-1", b"x", ["lamp-1"], {"lamp-1": None}, lamp(9), object(), iter(())],
    ids=lambda one: type(one).__name__,
)
@pytest.mark.parametrize("method", METHODS)
async def test_nonsense_is_told_and_costs_nothing(method: str, nonsense: object):
    devices = Moody(4)
    async with gateway(devices=devices) as (platform, connector):
        devices.after[method] = lambda: nonsense
        await changed(connector)
        await platform.drop()
        await until_state(connector, Waiting)
        with anyio.fail_after(60):
            await connector.wait_ready()
        devices.after.clear()
        await until_same(platform, devices)


@pytest.mark.parametrize("device_id", ["lamp-1", "lamp-2"])
async def test_another_device_than_that_asked_for_is_nonsense(device_id: str):
    devices = Moody(2)
    devices.after["get"] = lambda: lamp(3)
    with pytest.raises(UsageError, match="gives the device 'lamp-3'"):
        await ManagedDevices(devices).get(device_id)


async def test_what_has_no_end_is_no_list_of_devices():
    devices = Moody(1)
    devices.after["devices"] = lambda: (lamp(one) for one in count())
    with pytest.raises(UsageError, match="gives a generator"):
        await ManagedDevices(devices).devices()


async def test_a_failing_manager_is_said_once_a_minute(
    caplog: pytest.LogCaptureFixture,
):
    devices = Moody(2)
    async with gateway(devices=devices) as (platform, connector):
        devices.before["devices"] = raising(ConfigError("its store is damaged"))
        for _ in range(3):
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
            assert connector.devices.keys() == {"lamp-1", "lamp-2"}
        said = "what it had before is offered: ConfigError: its store is damaged"
        assert caplog.text.count(said) == 1


async def test_a_manager_that_fails_for_hours_does_not_keep_the_loop_busy(
    watched_loop: Any,
):
    devices = Moody(2)
    async with gateway(devices=devices) as (_, connector), watched_loop(0.05):
        asked = count()
        for method in ("get", "devices"):
            devices.before[method] = lambda: next(asked) and None
            devices.after[method] = raising(ZeroDivisionError())
        with pytest.raises(ZeroDivisionError):
            await connector.update(lamp(1))
        await anyio.sleep(2 * 3600)
        assert 20 < next(asked) < 120


# ---------------------------------------------------------------- slow ones


async def test_one_that_never_answers_is_waited_for_30_s_and_no_connection_longer():
    devices = Moody(2)
    async with gateway(devices=devices) as (platform, connector):
        devices.before["devices"] = anyio.sleep_forever
        await platform.drop()
        await until_state(connector, Waiting)
        began = anyio.current_time()
        await connector.wait_ready()
        assert 30 <= anyio.current_time() - began < 40
        assert await connector.event("lamp-1", "state", "1")
        devices.before.clear()
        assert await connector.add(lamp(3))
        await until_same(platform, devices)


@pytest.mark.parametrize("method", METHODS)
async def test_a_slow_one_holds_up_who_asks_and_nobody_else(method: str):
    devices = Moody(4)
    async with gateway(devices=devices) as (platform, connector):
        devices.before[method] = lambda: anyio.sleep(5)
        devices.after[method] = lambda: anyio.sleep(5)
        async with anyio.create_task_group() as tg:
            tg.start_soon(changed, connector)
            for number in range(20):
                with anyio.fail_after(0.5):
                    assert await connector.event("lamp-4", "state", number)
                await anyio.sleep(1)
        await until_same(platform, devices)


async def test_changes_at_once_of_a_slow_one_end_as_the_manager_has_them():
    """An answer of the manager that is older than another one does not count."""
    devices = Moody()
    delays = iter([9.0, 1.0, 5.0, 0.0] * 10)
    async with gateway(devices=devices) as (platform, connector):
        devices.after["get"] = lambda: anyio.sleep(next(delays))
        async with anyio.create_task_group() as tg:
            for _ in range(4):
                tg.start_soon(connector.add, lamp(1))
                await anyio.sleep(0.3)
                tg.start_soon(connector.delete, "lamp-1")
                await anyio.sleep(0.3)
        assert connector.devices == devices.held
        await until_same(platform, devices)


# ---------------------------------------------------------------- devices of one's own


class Broken(Device):
    """A device whose class raises where it is asked."""

    where = ""

    def _ask(self, what: str) -> None:
        if what == self.where:
            raise ZeroDivisionError("no level")

    @property
    def hash(self) -> str:
        self._ask("hash")
        return super().hash

    @property
    def tags(self) -> list[str]:
        self._ask("tags")
        return [*super().tags, *([7] if self.where == "odd" else [])]  # type: ignore[list-item]


@pytest.mark.parametrize("where", ["hash", "tags"])
async def test_a_device_that_does_not_say_what_it_is_costs_itself(where: str):
    broken = Broken("broken", TYPE, "Broken")
    devices = lamps(2)
    devices.add(broken)
    async with gateway(devices=devices) as (platform, connector):
        broken.where = where
        await platform.drop()
        await until_state(connector, Waiting)
        platform.forget_hashes()
        with anyio.fail_after(60):
            await connector.wait_ready()
        assert connector.refused["broken"].text.endswith("no level")
        assert await connector.update(broken) is False
        assert await connector.event("lamp-2", "state", "1")
        broken.where = ""
        await until(lambda: not connector.refused)
        assert platform.device("broken").is_online


@pytest.mark.parametrize("where", ["tags", "odd"])
async def test_nor_does_it_cost_another_at_senergy(where: str):
    broken = Broken("broken", "lamp", "Broken")
    broken.where = where
    devices = DevicePool()
    devices.add(broken)
    devices.add(Device("dev1", "lamp", "Lamp"))
    async with senergy() as platform, connector_of(platform, devices) as connector:
        assert "does not say what it is" in connector.refused["broken"].text
        assert platform.online == {"dev1"}
        broken.where = ""
        await until(lambda: platform.online == {"dev1", "broken"})


# ---------------------------------------------------------------- behind our back


async def test_what_was_changed_in_the_manager_alone_comes_with_the_next_connection():
    """It is in no commit before, for then it would never be told."""
    devices = lamps(2)
    async with gateway(devices=devices) as (platform, connector):
        devices.add(lamp(7))
        devices.get("lamp-1").name = "Leuchte"  # type: ignore[union-attr]
        devices.remove("lamp-2")
        assert await connector.add(lamp(3))
        await platform.drop()
        await until_state(connector, Waiting)
        await connector.wait_ready()
        there = {one.uri: one.name for one in platform.devices if one.is_online}
        assert there == {
            "lamp-1": "Leuchte",
            "lamp-3": "Lamp 3",
            "lamp-7": "Lamp 7",
        }


async def test_opening_raises_what_the_manager_gives_instead_of_devices():
    devices = Moody()
    devices.after["devices"] = lambda: 7
    with pytest.raises(UsageError, match=r"Moody.devices\(\) gives a int"):
        async with gateway(devices=devices):
            pass
