"""Device managers: ours, and those of whoever uses the library, as the connector calls them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from structiot.connector import Device, DevicePool, DeviceStore
from structiot.connector.device_manager import ManagedDevices
from structiot.errors import ConfigError, UsageError


class Plain:
    def __init__(self) -> None:
        self.kept: dict[str, Device] = {}

    def add(self, device: Device) -> None:
        self.kept[device.id] = device

    update = add

    def remove(self, device_id: str) -> None:
        self.kept.pop(device_id, None)

    def get(self, device_id: str) -> Device | None:
        return self.kept.get(device_id)

    def devices(self) -> tuple[Device, ...]:
        return tuple(self.kept.values())


class Async:
    def __init__(self) -> None:
        self.kept: dict[str, Device] = {}

    async def add(self, device: Device) -> None:
        await anyio.lowlevel.checkpoint()
        self.kept[device.id] = device

    update = add

    async def remove(self, device_id: str) -> None:
        await anyio.lowlevel.checkpoint()
        self.kept.pop(device_id, None)

    async def get(self, device_id: str) -> Device | None:
        await anyio.lowlevel.checkpoint()
        return self.kept.get(device_id)

    async def devices(self) -> list[Device]:
        await anyio.lowlevel.checkpoint()
        return [*self.kept.values()]


def of_static_methods() -> type:
    kept: dict[str, Device] = {}

    class Static:
        @staticmethod
        def add(device: Device) -> None:
            kept[device.id] = device

        @staticmethod
        def update(device: Device) -> None:
            kept[device.id] = device

        @staticmethod
        def remove(device_id: str) -> None:
            kept.pop(device_id, None)

        @staticmethod
        async def get(device_id: str) -> Device | None:
            return kept.get(device_id)

        # As the README shows them.
        def devices() -> dict[str, Device]:  # type: ignore[misc]
            return kept

    return Static


def of_class_methods() -> type:
    class Classy:
        kept: dict[str, Device] = {}  # noqa: RUF012

        @classmethod
        def add(cls, device: Device) -> None:
            cls.kept[device.id] = device

        @classmethod
        def update(cls, device: Device) -> None:
            cls.kept[device.id] = device

        @classmethod
        def remove(cls, device_id: str) -> None:
            cls.kept.pop(device_id, None)

        @classmethod
        def get(cls, device_id: str) -> Device | None:
            return cls.kept.get(device_id)

        @classmethod
        def devices(cls) -> dict[str, Device]:
            return cls.kept

    return Classy


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeviceStore]:
    with DeviceStore(tmp_path / "devices.sqlite") as made:
        yield made


MAKERS: list[Callable[[Path], Any]] = [
    lambda _: Plain(),
    lambda _: Async(),
    lambda _: of_static_methods(),
    lambda _: of_class_methods(),
    lambda _: DevicePool(),
    lambda folder: DeviceStore(folder / "devices.sqlite"),
]
NAMES = ["plain", "async", "static", "class", "pool", "store"]


@pytest.fixture(params=MAKERS, ids=NAMES)
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Any:
    return request.param(tmp_path)


async def test_a_manager_of_any_kind_keeps_devices(manager: Any):
    managed = ManagedDevices(manager)
    lamp, fan = Device("dev1", "t", "Lamp"), Device("dev2", "t", "Fan")
    lamp.add_tag("room", "kitchen")
    await managed.add(lamp)
    await managed.add(fan)
    lamp.name = "Leuchte"
    await managed.update(lamp)
    found = await managed.get("dev1")
    assert found is not None
    assert found.hash == lamp.hash
    assert [one.id for one in await managed.devices()] == ["dev1", "dev2"]
    await managed.remove("dev1")
    assert await managed.get("dev1") is None
    assert [one.id for one in await managed.devices()] == ["dev2"]


@pytest.mark.parametrize(
    ("manager", "text"),
    [
        (None, "no add and no update"),
        (DevicePool, r"give an object, DevicePool\(\)"),
        (DeviceStore, r"give an object, DeviceStore\(\)"),
        ({}, "no add and no remove and no devices"),
    ],
)
def test_what_is_no_manager_is_refused(manager: Any, text: str):
    with pytest.raises(UsageError, match=text):
        ManagedDevices(manager)


@pytest.mark.parametrize("told", [None, 7, "dev1", ["dev1"], {"dev1": None}])
async def test_what_a_manager_gives_is_looked_at(told: object):
    plain = Plain()
    plain.devices = lambda: told  # type: ignore[method-assign,assignment,return-value]
    with pytest.raises(UsageError):
        await ManagedDevices(plain).devices()


async def test_of_two_devices_with_one_id_the_last_counts():
    one, two = Device("dev1", "t", "one"), Device("dev1", "t", "two")
    plain = Plain()
    plain.devices = lambda: (one, two)  # type: ignore[method-assign]
    assert await ManagedDevices(plain).devices() == [two]


async def test_what_a_manager_raises_comes_as_it_is():
    class Failing(Plain):
        def add(self, device: Device) -> None:
            raise KeyError(device.id)

    with pytest.raises(KeyError, match="dev1"):
        await ManagedDevices(Failing()).add(Device("dev1", "t", "n"))


async def test_a_blocking_manager_is_called_in_a_thread_one_call_at_a_time():
    class Blocking(Plain):
        blocking = True
        inside = 0
        most = 0
        threads: set[int] = set()  # noqa: RUF012

        def add(self, device: Device) -> None:
            self.threads.add(threading.get_ident())
            self.inside += 1
            self.most = max(self.most, self.inside)
            super().add(device)
            self.inside -= 1

    manager = Blocking()
    managed = ManagedDevices(manager)
    async with anyio.create_task_group() as tg:
        for number in range(20):
            tg.start_soon(managed.add, Device(f"dev{number}", "t", "n"))
    assert len(manager.kept) == 20
    assert manager.most == 1
    assert threading.get_ident() not in manager.threads


@pytest.mark.parametrize("maker", MAKERS[4:], ids=NAMES[4:])
def test_what_cannot_be_done_is_left_and_logged(
    tmp_path: Path, maker: Callable[[Path], Any], caplog: pytest.LogCaptureFixture
):
    manager = maker(tmp_path)
    caplog.set_level(logging.WARNING)
    manager.add(Device("dev1", "t", "first"))
    manager.add(Device("dev1", "t", "second"))
    manager.update(Device("dev2", "t", "n"))
    manager.remove("dev3")
    assert {k: v.name for k, v in manager.devices().items()} == {"dev1": "first"}
    told = [record.getMessage() for record in caplog.records]
    assert told == [
        "there is a device dev1 already",
        "no device dev2 to be updated",
        "no device dev3 to be removed",
    ]
    manager.remove(Device("dev1", "t", "first"))
    assert manager.devices() == {}


@pytest.mark.parametrize("maker", MAKERS[4:], ids=NAMES[4:])
def test_what_is_no_device_is_not_kept(tmp_path: Path, maker: Callable[[Path], Any]):
    manager = maker(tmp_path)
    for call in (manager.add, manager.update):
        with pytest.raises(UsageError, match="device is Device"):
            call("dev1")
    with pytest.raises(UsageError, match="device is Device or str"):
        manager.remove(7)
    assert manager.devices() == {}


@pytest.mark.parametrize("maker", MAKERS[4:], ids=NAMES[4:])
async def test_many_threads_may_use_a_manager_at_once(
    tmp_path: Path, maker: Callable[[Path], Any]
):
    manager = await anyio.to_thread.run_sync(maker, tmp_path)

    def work(number: int) -> None:
        device = Device(f"dev{number}", "t", "n")
        for turn in range(5):
            manager.add(device)
            device.name = f"n{turn}"
            manager.update(device)
            assert manager.get(device.id).name == device.name
            manager.devices()
            manager.remove(device)
        manager.add(device)

    async with anyio.create_task_group() as tg:
        for number in range(8):
            tg.start_soon(anyio.to_thread.run_sync, work, number)
    kept = await anyio.to_thread.run_sync(manager.devices)
    assert sorted(kept) == [f"dev{number}" for number in range(8)]


async def test_a_store_that_fails_says_so_to_whoever_calls(store: DeviceStore):
    managed = ManagedDevices(store)
    store.path.unlink()
    with pytest.raises(ConfigError, match="deleted or replaced"):
        await managed.add(Device("dev1", "t", "n"))
