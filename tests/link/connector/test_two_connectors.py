"""Two connectors with one device store, or at one gateway: in one program, and in two."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from pathlib import Path

import anyio
import anyio.to_thread
import pytest

from structiot.connector import Connector, DeviceStore, Waiting, open_connector
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from tests.link.connector.gateways import (
    handlers,
    lamp,
    new_environment,
    until,
    until_state,
)
from tests.link.connector.senergy_house import SYNC_S, senergy

pytestmark = pytest.mark.virtual_time

# Adds and removes devices of its own beside others who do the same, and says what it saw.
WORK = """
import sys
from structiot.connector import Device, DeviceStore
path, name = sys.argv[1:]
sys.stdin.readline()
with DeviceStore(path) as store:
    for number in range(60):
        store.add(Device(f"{name}-{number}", "t", "first"))
        store.update(Device(f"{name}-{number}", "t", "second"))
        if number % 3 == 0:
            store.remove(f"{name}-{number}")
        assert len(store.devices()) >= number // 2
"""


@asynccontextmanager
async def two(
    store_path: Path, *, gid: str | None = None
) -> AsyncIterator[tuple[SeplPlatformSim, Connector, Connector]]:
    """A platform, and two connectors with stores of their own on one file."""
    environment = new_environment()
    one, other = [
        await anyio.to_thread.run_sync(DeviceStore, store_path) for _ in range(2)
    ]
    try:
        async with sim_sepl_platform(environment=environment) as platform:
            config = dict(platform.config)
            if gid is not None:
                # As both read it from one file.
                async with open_connector(
                    config, one, environment=environment, wait_ready=True
                ):
                    (config["gid"],) = platform.gateways
            async with (
                open_connector(
                    config, one, environment=environment, wait_ready=True
                ) as first,
                open_connector(
                    config, other, environment=environment, wait_ready=True
                ) as second,
            ):
                yield platform, first, second
    finally:
        one.close()
        other.close()


@pytest.mark.parametrize("gid", [None, "shared"], ids=["two gateways", "one gateway"])
async def test_both_offer_in_the_end_what_the_store_has(
    tmp_path: Path, gid: str | None
):
    async with two(tmp_path / "devices.sqlite", gid=gid) as (platform, first, second):
        for number in range(1, 6):
            assert await first.add(lamp(number))
            assert await second.add(lamp(number + 10))
        renamed = lamp(11)
        renamed.name = "Leuchte"
        assert await first.update(renamed)
        assert await second.delete("lamp-1")
        for _ in range(3):
            await platform.drop()
            await until_state(first, Waiting)
            await first.wait_ready()
            await second.wait_ready()
        wanted = {f"lamp-{number}" for number in (2, 3, 4, 5, *range(11, 16))}
        assert first.devices.keys() == second.devices.keys() == wanted
        for connector in (first, second):
            for device_id in ("lamp-2", "lamp-12"):
                assert await connector.event(device_id, "state", "1")
        there = {one.uri: one.name for one in platform.devices if one.is_online}
        assert there.keys() == wanted
        assert there["lamp-11"] == "Leuchte"
        # All is known to both by now.
        last = len(platform.log)
        await platform.drop()
        await until(lambda: not first.is_ready and not second.is_ready)
        await first.wait_ready()
        await second.wait_ready()
        assert handlers(platform)[-2:] == ["handshake", "handshake"]
        assert len(platform.log) > last


async def test_both_may_change_one_store_at_once(tmp_path: Path):
    async with two(tmp_path / "devices.sqlite") as (platform, first, second):
        async with anyio.create_task_group() as tg:
            for number in range(20):
                tg.start_soon(first.add, lamp(number))
                tg.start_soon(second.add, lamp(number))
                tg.start_soon(second.update, lamp(number))
        assert first.devices.keys() == second.devices.keys()
        assert len(first.devices) == 20
        assert sum(one.is_online for one in platform.devices) == 20


async def test_two_of_one_hub_take_turns_rarely_and_say_what_it_may_be(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    """The broker lets the later one in and the earlier go, and does not say why."""
    async with senergy() as platform:
        store = await anyio.to_thread.run_sync(DeviceStore, tmp_path / "d.sqlite")
        environment = platform.environment
        with store:
            async with open_connector(
                platform.config, store, environment=environment, wait_ready=True
            ) as first:
                assert await first.add(lamp(1))
                config = {**platform.config, "gid": next(iter(platform.hubs))}
                async with open_connector(config, store, environment=environment):
                    await anyio.sleep(900)
                # Every minute or so at last, and hardly ever as often as is forbidden.
                assert platform.broker.connections < 60
                assert all(one.status == 200 for one in platform.calls)
                assert caplog.text.count("is another program the hub urn:infai") == 2
                with anyio.fail_after(SYNC_S):
                    await first.wait_ready()
                assert platform.online == {"lamp-1"}


@pytest.mark.parametrize("is_original", [False, True], ids=["new", "original"])
def test_several_programs_may_begin_and_change_one_store_at_once(
    tmp_path: Path, *, is_original: bool
):
    path = tmp_path / "devices.sqlite"
    if is_original:
        with closing(sqlite3.connect(path, isolation_level=None)) as original:
            original.execute(
                "CREATE TABLE devices (id TEXT PRIMARY KEY, type TEXT, name TEXT, "
                "tags TEXT)"
            )
            original.execute("INSERT INTO devices VALUES ('old', 't', 'n', '')")
    names = ("a", "b", "c")
    programs = [
        subprocess.Popen(
            [sys.executable, "-c", WORK, str(path), name],
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for name in names
    ]
    for one in programs:
        assert one.stdin is not None
        one.stdin.write("\n")
        one.stdin.flush()
    said = [one.communicate(timeout=60)[1] for one in programs]
    assert [one.returncode for one in programs] == [0, 0, 0], said
    with DeviceStore(path) as store:
        kept = store.devices()
    wanted = {f"{name}-{n}" for name in names for n in range(60) if n % 3}
    assert kept.keys() == wanted | ({"old"} if is_original else set())
    assert all(one.name == "second" for one in kept.values() if one.id != "old")
    with closing(sqlite3.connect(path)) as file:
        assert file.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
