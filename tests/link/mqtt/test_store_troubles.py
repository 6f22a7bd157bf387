"""What goes wrong with a client's store: full disks, others at the file, odd clocks.

Threads write the file, so the clock is real. A full disk is a limit for the size of files,
which the system keeps as it keeps the size of a disk.
"""

from __future__ import annotations

import asyncio
import resource
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import AbstractAsyncContextManager, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from types import FrameType
from typing import Any

import anyio
import pytest

from structiot.errors import ConfigError, UsageError
from structiot.mqtt import (
    MqttClient,
)
from structiot.mqtt.wire.messages import Message, Pubrec, Pubrel
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import open_client

WAIT_S = 10.0
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "session.sqlite"


def stored(
    broker: FakeBroker, store: Path, **config: Any
) -> AbstractAsyncContextManager[MqttClient]:
    config = {"goodbye_s": 0.1, "reconnect_retries": -1, **config}
    return open_client(broker, store=store, cleansession=False, **config)


@contextmanager
def full_disk(store: Path) -> Iterator[None]:
    """Let no file grow beyond what the store's journal is now."""
    size = Path(f"{store}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


async def finish_restored(client: MqttClient) -> list[bytes]:
    payloads = [receipt.payload for receipt in client.restored]
    with anyio.fail_after(WAIT_S):
        for receipt in client.restored:
            await receipt.wait()
    return payloads


# -- a disk that is full ---------------------------------------------------------------


async def test_a_full_disk_holds_up_what_needs_the_store_and_nothing_else(
    broker, store: Path, caplog: pytest.LogCaptureFixture
):
    async with stored(broker, store) as client, anyio.create_task_group() as tg:
        connection = broker.connection
        with full_disk(store):
            tg.start_soon(client.publish, "t", b"kept", 1)
            with anyio.fail_after(WAIT_S):
                while not client.counters.store_failures:
                    await client.publish("t", b"once")
                    await connection.next(Message)
                    await client.ping()
            assert b"kept" not in [m.payload for m in connection.of(Message)]
        with anyio.fail_after(WAIT_S):
            while (await connection.next(Message)).payload != b"kept":
                pass
    assert len(broker.connections) == 1
    told = [entry.getMessage() for entry in caplog.records if entry.levelno > 20]
    assert "cannot write to the store" in told[0]
    assert "is written again" in told[1]
    assert len(told) == 2


async def test_what_cannot_be_written_when_the_client_leaves_is_an_error(
    broker, store: Path
):
    async def publish(client: MqttClient) -> None:
        with pytest.raises(UsageError, match="cannot write to the store"):
            await client.publish("t", b"x" * 100_000, qos=1)

    broker.ignore(Message)
    async with anyio.create_task_group() as tg:
        with pytest.raises(UsageError, match="cannot write to the store"):
            async with stored(broker, store) as client:
                await client.publish_soon("t", b"written")
                with full_disk(store):
                    tg.start_soon(publish, client)
                    while not client.counters.store_failures:
                        await client.ping()
                    await client.disconnect()
    assert [m.payload for m in broker.connection.of(Message)] == [b"written"]
    broker.oblige()
    async with stored(broker, store) as client:
        assert await finish_restored(client) == [b"written"]


async def test_a_batch_that_failed_is_written_with_what_came_later(broker, store: Path):
    broker.ignore(Message)
    async with stored(broker, store) as client:
        async with anyio.create_task_group() as tg:
            with full_disk(store):
                for number in range(3):
                    tg.start_soon(client.publish_soon, "t", b"%d" % number)
                    while client.counters.store_failures <= number:
                        await client.ping()
    broker.oblige()
    async with stored(broker, store) as client:
        assert sorted(await finish_restored(client)) == [b"0", b"1", b"2"]


# -- others at the file ----------------------------------------------------------------

HOLD_IT = """
import sys, anyio
from structiot.mqtt import open_mqttclient
async def main():
    config = {"store": sys.argv[1], "cleansession": False, "reconnect_retries": -1}
    async with open_mqttclient("mqtt://127.0.0.1:1", "tester", config, wait_connected=False):
        print("open", flush=True)
        await anyio.sleep_forever()
anyio.run(main)
"""


async def test_a_store_in_use_by_another_program_is_refused_until_that_ends(
    broker, store: Path
):
    command = [sys.executable, "-c", HOLD_IT, str(store)]
    process = await anyio.to_thread.run_sync(
        lambda: subprocess.Popen(command, stdout=subprocess.PIPE)
    )
    try:
        assert process.stdout is not None
        with process.stdout as said:
            assert await anyio.to_thread.run_sync(said.readline) == b"open\n"
            with pytest.raises(ConfigError, match="in use by another program"):
                async with stored(broker, store):
                    pytest.fail("two programs use it")
    finally:
        process.kill()
        await anyio.to_thread.run_sync(process.wait)
    async with stored(broker, store) as client:
        await client.publish("t", b"x", qos=1)


async def test_two_clients_of_one_program_may_share_a_store_under_two_ids(
    broker, store: Path
):
    async with stored(broker, store) as one:
        with pytest.raises(ConfigError, match="another client with the id 'tester'"):
            async with stored(broker, store):
                pytest.fail("two clients are one")
        async with stored(broker, store, client_id="other") as two:
            await one.publish("t", b"x", qos=1)
            await two.publish("t", b"x", qos=1)


READ_IT = """
import contextlib, sqlite3, sys
with contextlib.closing(sqlite3.connect(sys.argv[1])) as file:
    file.execute("SELECT * FROM flows").fetchall()
"""


async def test_somebody_who_reads_a_store_of_two_clients_takes_nothing_away(
    broker, store: Path
):
    """SQLite's locks are the process's: whoever closes the file by hand gives them back."""
    async with stored(broker, store) as one:
        await one.publish("t", b"x", qos=1)
        async with stored(broker, store, client_id="other"):
            await anyio.run_process([sys.executable, "-c", READ_IT, str(store)])
            with anyio.fail_after(WAIT_S):
                await one.publish("t", b"y", qos=1)


@pytest.mark.parametrize("what", ["deleted", "replaced", "deleted with its journal"])
async def test_a_store_that_was_deleted_under_us_is_an_error(
    broker, store: Path, what: str
):
    with pytest.raises(UsageError, match="was deleted or replaced"):
        async with stored(broker, store) as client:
            await client.publish("t", b"x", qos=1)
            await anyio.Path(store).unlink()
            if what == "replaced":
                await anyio.Path(store).write_bytes(b"")
            elif what == "deleted with its journal":
                await anyio.Path(f"{store}-wal").unlink()
            await client.publish("t", b"y", qos=1)
            pytest.fail("nobody will find that message")


async def test_native_timeouts_let_one_thread_at_a_time_into_the_file(
    broker, store: Path, anyio_backend_name: str
):
    if anyio_backend_name != "asyncio":
        return

    def inside() -> int:
        stacks = [files_of(frame) for frame in sys._current_frames().values()]
        return sum(any("mqtt/link/store.py" in file for file in one) for one in stacks)

    async with stored(broker, store) as client:
        with closing(sqlite3.connect(store, isolation_level=None)) as other:
            # As long as somebody else writes, so long does our writing take.
            other.execute("BEGIN IMMEDIATE")
            for number in range(5):
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await client.publish("t", b"%d" % number, qos=2)
                assert inside() <= 1
        with anyio.fail_after(WAIT_S):
            await client.publish("t", b"5", qos=2)
    assert [m.payload for m in broker.connection.of(Message)] == [
        b"%d" % number for number in range(6)
    ]
    async with stored(broker, store) as client:
        assert client.restored == []


@pytest.mark.each_backend
@pytest.mark.parametrize("times", [1, 2, 3])
async def test_a_block_that_is_cancelled_natively_keeps_what_it_accepted(
    broker, store: Path, anyio_backend_name: str, times: int
):
    if anyio_backend_name != "asyncio":
        return
    broker.keeps_sessions = True
    broker.ignore(Message)
    accepted = asyncio.Event()

    async def flow() -> None:
        async with stored(broker, store, goodbye_s=1) as client:
            for number in range(5):
                await client.publish_soon("t", b"%d" % number, qos=2)
            accepted.set()
            await anyio.sleep_forever()

    task = asyncio.ensure_future(flow())
    await accepted.wait()
    for _ in range(times):
        task.cancel()
        await broker.connection.next(Message)
    with pytest.raises(asyncio.CancelledError):
        await task
    broker.oblige()
    async with stored(broker, store) as client:
        assert await finish_restored(client) == [b"%d" % number for number in range(5)]


def files_of(frame: FrameType | None) -> list[str]:
    """The files of the functions that a thread is in."""
    files = []
    while frame is not None:
        files.append(frame.f_code.co_filename)
        frame = frame.f_back
    return files


# -- what was taken and not yet acknowledged -------------------------------------------


async def test_what_was_taken_out_of_turn_is_not_handed_out_again(broker, store: Path):
    broker.keeps_sessions = True
    async with stored(broker, store) as client:
        await client.subscribe([("late", 2)])
        async with client.subscription("t", qos=2) as messages:
            # Nobody takes the first, so the second cannot be acknowledged.
            await broker.connection.send(
                Message("late", b"1", qos=2, packet_id=1),
                Message("t", b"2", qos=2, packet_id=2),
            )
            await anext(messages)
            assert broker.connection.of(Pubrec) == []
            broker.connection.reset()
    async with stored(broker, store) as client:
        async with client.subscription("t", qos=2) as messages:
            await broker.connection.send(
                Message("t", b"2", qos=2, packet_id=2, dup=True)
            )
            assert (await broker.connection.next(Pubrec)).packet_id == 2
            await broker.connection.send(Pubrel(packet_id=2))
            await broker.connection.send(Message("t", b"3", qos=2, packet_id=2))
            assert (await anext(messages)).payload == b"3"


async def test_another_message_under_an_id_that_was_taken_is_handed_out(
    broker, store: Path
):
    broker.keeps_sessions = True
    async with stored(broker, store) as client:
        await client.subscribe([("late", 2)])
        async with client.subscription("t", qos=2) as messages:
            await broker.connection.send(
                Message("late", b"1", qos=2, packet_id=1),
                Message("t", b"2", qos=2, packet_id=2),
            )
            await anext(messages)
            broker.connection.reset()
    async with stored(broker, store) as client:
        async with client.subscription("t", qos=2) as messages:
            # The broker has let the other expire meanwhile.
            await broker.connection.send(Message("t", b"new", qos=2, packet_id=2))
            assert (await anext(messages)).payload == b"new"


async def test_a_file_of_the_first_version_is_read(broker, store: Path):
    broker.stop()
    async with stored(broker, store, wait_connected=False) as client:
        await client.publish_soon("t", b"x", qos=1)
    with closing(sqlite3.connect(store)) as file:
        file.executescript(
            "ALTER TABLE flows DROP COLUMN written_utc;"
            "ALTER TABLE flows DROP COLUMN expires_utc;"
            "ALTER TABLE received DROP COLUMN is_acknowledged;"
            "PRAGMA user_version = 1;"
        )
    await broker.start()
    async with stored(broker, store) as client:
        assert await finish_restored(client) == [b"x"]
