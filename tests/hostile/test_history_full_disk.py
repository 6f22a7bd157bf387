"""A disk that is really full: the gateway goes on without its history, and says so."""

from __future__ import annotations

import sqlite3
from contextlib import AsyncExitStack, closing
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from structiot import Environment
from structiot.gateway import HistoryFailing, HistoryWritten, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import DeviceInfo, Sensor
from tests.gateway.history_house import of
from tests.gateway.memory_house import followed, of_kind
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of
from tests.gateway.support import ScriptedDevice

# Both kinds of full disks.
from tests.hostile.test_full_disk import (  # noqa: F401
    Disk,
    disk,
    short_files,
    small_tmpfs,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]


def counted(path: Path) -> set[float]:
    with closing(sqlite3.connect(path)) as file:
        (verdict,) = file.execute("PRAGMA integrity_check").fetchone()
        assert verdict == "ok"
        return {value for (value,) in file.execute("SELECT value FROM figures")}


async def test_a_full_disk_holds_up_nothing_and_is_said_once(
    disk: Disk,  # noqa: F811
    caplog: pytest.LogCaptureFixture,
):
    path = disk.folder / "history.sqlite"
    sensors = [Sensor(key=f"s{number}", unit="W") for number in range(50)]
    info = DeviceInfo(id="P1", system="toy", name="Plug", serial="P1")
    plug = ScriptedDevice(info, sensors)

    async def does(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(plug, name="plug"))
        driver.registry.started()
        await anyio.sleep_forever()

    config = {
        "toy": {},
        "broker": {"listen": ["mqtt://127.0.0.1:0"]},
        "history": {"path": str(path), "commit_s": 1},
    }
    async with AsyncExitStack() as stack:
        stack.enter_context(with_driver("toy", scripted(does)))
        gateway = await stack.enter_async_context(
            open_gateway(config, environment=Environment())
        )
        seen = await stack.enter_async_context(followed(gateway))
        history = of(gateway)
        value = 0.0
        with anyio.fail_after(10):
            while not any(one.is_available for one in gateway.devices.values()):  # noqa: ASYNC110
                await anyio.sleep(0.05)

        async def until(is_writing: bool) -> None:
            nonlocal value
            with anyio.fail_after(30):
                while history.status().is_writing is not is_writing:
                    value += 1
                    for sensor in sensors:
                        plug.tell_state(sensor.key, value)
                    await anyio.sleep(0.2)
                    assert gateway.devices["plug"].states["s0"] == value

        await until(True)
        disk.fill()
        await until(False)
        status = history.status()
        assert status.reason
        assert status.waiting
        disk.heal()
        await until(True)
    found = await anyio.to_thread.run_sync(counted, path)
    assert {1.0, value} <= found
    lines = [one.message for one in caplog.records if "the history" in one.message]
    assert len(lines) == 2, lines
    assert "not written" in lines[0]
    assert "written again" in lines[1]
    kinds = (HistoryWritten, HistoryFailing, HistoryWritten)
    told = [*of_kind(seen, HistoryWritten), *of_kind(seen, HistoryFailing)]
    assert len(told) == len(kinds)
