"""A disk that is really full, and every other file that is written: later all goes on."""

from __future__ import annotations

import logging
import re
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random

import anyio
import anyio.to_thread
import pytest

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.redact import Secret
from structiot.cli.doctor.bundle import write_bundle
from structiot.cli.doctor.examine import Report
from structiot.connector import Device, DeviceStore
from structiot.errors import ConfigError
from structiot.gateway import open_gateway
from structiot.gateway.drivers import with_driver
from structiot.gateway.state_file import StateFile
from structiot.meross import FileStore
from structiot.meross.account_state import open_account_state
from structiot.meross.credentials import Credentials
from structiot.model import DeviceInfo, Sensor
from structiot.mqtt.broker import open_broker
from tests.gateway.broker_watch import watching
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of
from tests.gateway.support import ScriptedDevice
from tests.hostile.test_full_disk import (  # noqa: F401
    Disk,
    disk,
    short_files,
    small_tmpfs,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def credentials(*, token: str) -> Credentials:
    return Credentials(token=Secret(token), key=Secret("k"), user_id="1")


def about(said: list[str], name: str) -> list[str]:
    return [line for line in said if name in line]


async def kept_by(path: Path) -> dict[str, dict[str, object]]:
    async with open_account_state(path) as state:
        return await state.kept("")


async def until_in(caplog: pytest.LogCaptureFixture, text: str) -> None:
    with anyio.fail_after(20):
        while not any(re.search(text, line) for line in caplog.messages):  # noqa: ASYNC110
            await anyio.sleep(0.05)


@pytest.mark.parametrize("is_new", [True, False])
async def test_an_account_that_begins_on_a_full_disk_keeps_what_it_can_later(
    disk: Disk,  # noqa: F811
    caplog,
    is_new: bool,
):
    caplog.set_level(logging.INFO, "structiot.meross")
    path = disk.folder / "meross.state"
    if not is_new:
        async with open_account_state(path) as state:
            await state.keep("first", {"n": 1})
    disk.fill()
    async with open_account_state(path) as state:
        for number in range(3):
            await state.note("plug")
            await state.keep("second", {"n": number})
        disk.heal()
        await until_in(caplog, "is written again")
        assert await state.kept("second") == {"": {"n": 2}}
    assert len(about(caplog.messages, "cannot be used")) == 1
    assert len(caplog.messages) == 2
    wanted = {"second": {"n": 2}} if is_new else {"first": {"n": 1}, "second": {"n": 2}}
    assert await kept_by(path) == wanted


async def test_an_account_goes_on_while_its_file_cannot_grow(
    disk: Disk,  # noqa: F811
    caplog,
):
    caplog.set_level(logging.INFO, "structiot.meross")
    path = disk.folder / "meross.state"
    async with open_account_state(path) as state:
        await state.keep("first", {"n": 1})
        disk.fill()
        for number in range(9):
            await state.note("plug")
            await state.keep(f"long{number}", {"n": "x" * 30_000})
        assert await state.kept("first") == {"": {"n": 1}}
        disk.heal()
        await until_in(caplog, "is written again")
    assert len(caplog.messages) == 2
    assert len(await kept_by(path)) == 10


async def test_a_state_file_is_written_when_there_is_room_again(
    disk: Disk,  # noqa: F811
    caplog,
):
    caplog.set_level(logging.INFO, "structiot.gateway")
    path = disk.folder / "state.json"
    state = await StateFile.open(path)
    async with service_group() as tasks:
        tasks.start_soon(state.run)
        disk.fill()
        state.section("devices")["long"] = "x" * 100_000
        state.save_soon()
        await until_in(caplog, "cannot be written")
        # What was half written takes no room.
        assert {one.name for one in disk.folder.iterdir()} <= {
            ".state.json.lock",
            "ballast",
        }
        await anyio.sleep(1.5)
        # Nothing more changes.
        disk.heal()
        await until_in(caplog, "is written again")
    assert len(caplog.messages) == 2
    state.close()
    again = await StateFile.open(path)
    assert again.section("devices")["long"] == "x" * 100_000
    again.close()


def test_devices_that_cannot_be_kept_are_told_and_can_be_later(disk: Disk):  # noqa: F811
    path = disk.folder / "devices.sqlite"
    with DeviceStore(path) as store:
        disk.fill()
        with pytest.raises(ConfigError, match="cannot be written"):
            store.add(Device("a", "t", "n" * 50_000))
        assert store.devices() == {}
        disk.heal()
        store.add(Device("a", "t", "n" * 50_000))
    with DeviceStore(path) as store:
        assert [*store.devices()] == ["a"]


async def test_a_token_that_cannot_be_kept_leaves_the_one_before(
    disk: Disk,  # noqa: F811
):
    store = FileStore(disk.folder / "token.json")
    first = credentials(token="first")
    await store.save(first)
    disk.fill()
    with pytest.raises(ConfigError, match="cannot be written"):
        await store.save(credentials(token="x" * 50_000))
    assert await store.load() == first
    disk.heal()
    await store.save(credentials(token="second"))
    assert await store.load() == credentials(token="second")
    assert [one.name for one in disk.folder.glob("*.new")] == []


def test_a_bundle_for_which_there_is_no_room_is_told(disk: Disk):  # noqa: F811
    file = disk.folder / "bundle.zip"
    log = disk.folder / "log"
    log.write_text(Random(1).randbytes(20_000).hex())
    config = disk.folder / "structiot.toml"
    config.write_text("maxsmart = {}\n")
    report = Report(path=str(config))
    disk.fill()
    with pytest.raises(ConfigError, match="cannot be written"):
        write_bundle(file, report, log)
    assert not file.exists()
    disk.heal()
    write_bundle(file, report, log)
    assert file.stat().st_size > 1_000


SAID = {
    "history.sqlite": ["is not written", "is written again"],
    "broker.sqlite": ["cannot write to", "nothing waits for", "is written again"],
}


async def test_a_gateway_that_starts_on_a_full_disk_serves_and_keeps_later(
    disk: Disk,  # noqa: F811
    caplog,
):
    caplog.set_level(logging.INFO, "structiot")
    store = disk.folder / "broker.sqlite"
    info = DeviceInfo(id="P1", system="toy", name="Plug", serial="P1")
    plug = ScriptedDevice(info, [Sensor(key="power", unit="W")])

    async def does(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(plug, name="plug"))
        driver.registry.started()
        await anyio.sleep_forever()

    config = {
        "toy": {},
        "gateway": {"state_file": str(disk.folder / "state.json")},
        "broker": {"listen": ["mqtt://127.0.0.1:0"], "store": str(store)},
        "history": {"path": str(disk.folder / "history.sqlite"), "commit_s": 1},
    }
    for number in range(3):
        caplog.clear()
        if number == 1:
            disk.fill()
        async with AsyncExitStack() as stack:
            stack.enter_context(with_driver("toy", scripted(does)))
            gateway = await stack.enter_async_context(
                open_gateway(config, environment=Environment())
            )
            assert gateway.broker is not None
            uri = gateway.broker.uri
            async with watching(uri, "structiot/#") as watch:
                plug.tell_state("power", float(number))
                await watch.until_is("structiot/plug/power/state", f"{number}.0")
                await watch.until_is("structiot/plug/availability", "online")
                if number == 1:
                    disk.heal()
                    for name in SAID:
                        await until_in(caplog, f"{name} is written again")
        lines = [one.message for one in caplog.records if one.levelno > logging.INFO]
        assert number == 1 or lines == []
        for name, texts in SAID.items() if number == 1 else ():
            found = [line for line in lines if name in line]
            assert len(found) == len(texts), lines
            for line, text in zip(found, texts, strict=True):
                assert text in line
    async with open_broker("mqtt://127.0.0.1:0", store=store) as broker:
        kept = {one.topic: one.payload for one in broker.core.retained}
    assert kept["structiot/plug/power/state"] == b"2.0"
