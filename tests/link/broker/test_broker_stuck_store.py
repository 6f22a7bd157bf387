"""A store that cannot be written, is removed or is somebody else's: rows B28 and B30."""

from __future__ import annotations

import gc
import logging
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.errors import ConfigError
from structiot.mqtt.broker.connection import ClientConnection
from structiot.mqtt.broker.core.records import Batch
from structiot.mqtt.broker.store import BrokerStore
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
    Puback,
    Pubrec,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import ConnectProperties
from tests.link.broker.raw import Place, RawClient, broker_place
from tests.wire.broker.clients import lasting

pytestmark = pytest.mark.virtual_time
versions = pytest.mark.parametrize("version", [4, 5])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.sqlite"


class Disk:
    """May be full."""

    is_full = False


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    disk = Disk()
    apply = BrokerStore.apply

    def apply_if_not_full(store: BrokerStore, batch: Batch) -> None:
        if disk.is_full:
            raise sqlite3.OperationalError("database or disk is full")
        apply(store, batch)

    monkeypatch.setattr(BrokerStore, "apply", apply_if_not_full)
    yield disk
    disk.is_full = False


async def nothing_comes(client: RawClient) -> bool:
    with anyio.move_on_after(5) as scope:
        await client.next()
    return scope.cancelled_caught


@versions
async def test_b30_a_full_disk_holds_up_only_what_needs_the_store(
    file: Path, version: int, disk: Disk
):
    async with broker_place(store=file) as place:
        lasting_one = await place.client("lasting", version, **lasting(version))
        await lasting_one.subscribe("a", "b", qos=1)
        publisher = await place.client("p", version)
        disk.is_full = True
        await publisher.send(
            Message("a", b"1", qos=1, packet_id=1),
            Message("a", b"2", qos=2, packet_id=2),
            Pingreq(),
        )
        # What the publisher is owed waits, but it sees that the broker lives.
        assert isinstance(await publisher.next(), Pingresp)
        assert await lasting_one.is_alive()
        # Who leaves nothing behind notices nothing.
        other = await place.client("other", version)
        await other.subscribe("b", qos=1)
        await publisher.send(Message("b", b"live"))
        assert await other.payloads(1) == [b"live"]
        assert await lasting_one.payloads(1) == [b"live"]
        await other.send(Message("c", b"3", qos=1, packet_id=3))
        assert (await other.expect(Puback)).packet_id == 3
        # Who is to be remembered waits, and nothing comes before its CONNACK.
        late = await place.raw(version)
        await late.send(connect_packet("late", version))
        await late.send(Pingreq())
        await publisher.send(Message("b", b"live"))
        assert await nothing_comes(late)
        disk.is_full = False
        assert isinstance(await late.next(), Connack)
        assert isinstance(await late.next(), Pingresp)
        assert isinstance(await publisher.next(), Puback)
        assert isinstance(await publisher.next(), Pubrec)
        assert await lasting_one.payloads(3) == [b"live", b"1", b"2"]


@versions
async def test_a_store_that_stays_unwritable_is_waited_for_no_longer_than_is_wanted(
    file: Path,
    version: int,
    disk: Disk,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr("structiot.mqtt.broker.store_writer.MANY_CHANGES", 20)
    async with broker_place(store=file, store_patience_s=5) as place:
        lasting_one = await place.client("lasting", version, **lasting(version))
        await lasting_one.subscribe("a", qos=1)
        publisher = await place.client("p", version, **lasting(version))
        disk.is_full = True
        await publisher.send(Message("a", b"0", qos=1, packet_id=1, retain=True))
        assert await nothing_comes(publisher)
        assert (await publisher.expect(Puback)).packet_id == 1
        assert await lasting_one.payloads(1) == [b"0"]
        # From now on nobody waits, however much is told, as it is of the same topics.
        begun = anyio.current_time()
        for number in range(1, 101):
            await publisher.send(
                Message("b", b"%d" % number, qos=1, packet_id=number, retain=True)
            )
            assert (await publisher.expect(Puback)).packet_id == number
        assert anyio.current_time() - begun < 20
        late = await place.client("late", version, **lasting(version))
        assert await late.is_alive()
        # What is noted is bounded all the same.
        for number in range(1, 101):
            await publisher.send(
                Message(f"c/{number}", b"", qos=1, packet_id=number, retain=True)
            )
        heard = 0
        with anyio.move_on_after(50):
            while await publisher.next():
                heard += 1
        assert 10 < heard < 50
        disk.is_full = False
        for _ in range(heard, 100):
            await publisher.expect(Puback)
    lines = [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]
    for line, text in zip(lines, ("cannot write", "waits", "again"), strict=True):
        assert text in line
    async with broker_place(store=file) as place:
        new = await place.client("new", version)
        await new.subscribe("a", "b", qos=1)
        assert sorted(await new.payloads(2)) == [b"0", b"100"]


def connect_packet(name: str, version: int) -> Connect:
    options = lasting(version)
    properties = ConnectProperties(**options.pop("properties", {}))
    return Connect(client_id=name, version=version, properties=properties, **options)


async def test_b30_a_client_with_a_keep_alive_outlives_a_full_disk(
    file: Path, disk: Disk
):
    async with broker_place(store=file) as place:
        client = await place.client("c", 5, keep_alive_s=4, **lasting(5))
        disk.is_full = True
        await client.send(Message("a", b"x", qos=1, packet_id=1, retain=True))
        for _ in range(10):
            await anyio.sleep(3)
            assert await client.is_alive()
        disk.is_full = False
        assert isinstance(await client.next(), Puback)


async def test_b30_a_full_disk_is_said_once_counted_and_over(
    file: Path, disk: Disk, caplog: pytest.LogCaptureFixture
):
    async with broker_place(store=file) as place:
        client = await place.client("c", 5)
        disk.is_full = True
        await client.send(Message("a", b"x", qos=1, packet_id=1, retain=True))
        await anyio.sleep(20.5)
        watcher = await place.subscriber("$SYS/broker/store/failures")
        (failures,) = await watcher.payloads(1)
        assert int(failures) == 20
        disk.is_full = False
        await client.expect(Puback)
    lines = [one.message for one in caplog.records if one.levelno >= logging.WARNING]
    assert len(lines) == 2
    assert "disk is full" in lines[0]
    assert "written again" in lines[1]


async def test_b30_retained_messages_come_behind_the_answer_that_waits(
    file: Path, disk: Disk
):
    async with broker_place(store=file) as place:
        place.server.publish("a/1", b"old", retain=True)
        client = await place.client("c", 5, **lasting(5))
        disk.is_full = True
        request = SubscriptionRequest(topic_filter="a/#", qos=0)
        await client.send(Subscribe(packet_id=1, subscriptions=(request,)))
        assert await nothing_comes(client)
        place.server.publish("a/2", b"new", retain=True)
        assert await client.payloads(1) == [b"new"]
        disk.is_full = False
        assert isinstance(await client.next(), Suback)
        assert await client.payloads(1) == [b"old"]
        # What was delivered as it came is not told a second time.
        assert await nothing_comes(client)


@versions
async def test_b30_what_a_client_is_owed_comes_before_the_goodbye(
    file: Path, version: int
):
    async with broker_place(store=file) as place:
        subscriber = await place.client("s", version, **lasting(version))
        await subscriber.subscribe("a", qos=1)
        publisher = await place.client("p", version)
        message = encode(Message("a", b"1", qos=1, packet_id=1), version)
        await publisher.stream.send(message + b"\0\0")
        answer, *goodbye = await publisher.closed()
        assert answer == Puback(packet_id=1)
        assert [type(one) for one in goodbye] == [Disconnect][: version == 5]


async def test_b30_aliases_are_never_used_before_they_are_known(file: Path, disk: Disk):
    topics = [f"topic/{number}" for number in range(5)]
    async with broker_place(store=file) as place:
        properties = {"topic_alias_maximum": 10, "session_expiry_s": 60}
        client = await place.client("s", 5, clean_start=False, properties=properties)
        await client.subscribe("topic/#", qos=1)
        disk.is_full = True
        for topic in topics:
            place.server.publish(topic, b"waits", qos=1)
        for _ in range(2):
            for topic in topics:
                place.server.publish(topic, b"goes")
        # The decoder of the client would find an alias that stands for nothing.
        messages = [await client.expect(Message) for _ in range(10)]
        assert all(one.topic for one in messages[:5])
        assert not any(one.topic for one in messages[5:])
        disk.is_full = False
        waited = [await client.expect(Message) for _ in range(5)]
        assert [one.topic for one in waited] == topics


# -- the file

OPEN = """
import sys
from structiot.mqtt.broker.store import BrokerStore
BrokerStore(sys.argv[1])
"""


def remove(*paths: str) -> None:
    for path in paths:
        Path(path).unlink()


def move(source: Path, target: Path) -> None:
    for end in ("", "-wal"):
        Path(f"{source}{end}").rename(f"{target}{end}")


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


def open_elsewhere(file: Path) -> subprocess.CompletedProcess[str]:
    """Open the store in another process."""
    return subprocess.run(
        [sys.executable, "-c", OPEN, os.fspath(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )


async def publish(place: Place, number: int) -> None:
    publisher = await place.client("p", 4)
    await publisher.send(Message(f"r/{number}", b"x", qos=1, retain=True, packet_id=1))
    await publisher.expect(Puback)
    await publisher.stream.aclose()


async def retained(file: Path) -> list[str]:
    async with broker_place(store=file, sys_interval_s=None) as place:
        return sorted(item.topic for item in place.server.core.retained)


@pytest.mark.parametrize("ends", [("", "-wal"), ("",), ("-wal",)], ids=str)
async def test_b30_a_file_that_was_removed_is_written_anew_and_the_log_says_so(
    file: Path, caplog: pytest.LogCaptureFixture, ends: tuple[str, ...]
):
    async with broker_place(store=file) as place:
        await publish(place, 1)
        remove(*(f"{file}{end}" for end in ends))
        await publish(place, 2)
        assert mode_of(file) == 0o600
        await publish(place, 3)
    assert await retained(file) == ["r/1", "r/2", "r/3"]
    (line,) = [one.message for one in caplog.records if one.levelno >= logging.WARNING]
    assert "was removed while in use" in line
    assert sorted(one.name for one in file.parent.iterdir()) == [file.name]


async def test_b30_a_folder_that_is_gone_is_a_disk_that_cannot_be_written(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    folder, away = tmp_path / "folder", tmp_path / "away"
    folder.mkdir()
    file = folder / "broker.sqlite"
    async with broker_place(store=file) as place:
        await publish(place, 1)
        folder.rename(away)
        client = await place.client("c", 4)
        await client.send(Message("r/2", b"x", qos=1, retain=True, packet_id=1))
        assert await nothing_comes(client)
        assert "cannot write to the store" in caplog.text
        away.rename(folder)
        assert isinstance(await client.next(), Puback)
    assert await retained(file) == ["r/1", "r/2"]


async def test_b30_a_file_of_another_broker_in_its_place_ends_this_one(
    file: Path, tmp_path: Path
):
    with pytest.raises(ConfigError, match="is not the file any more"):
        async with broker_place(store=file) as place:
            await publish(place, 1)
            move(file, tmp_path / "moved.sqlite")
            async with broker_place(store=file) as other:
                await publish(other, 2)
                client = await place.client("p", 4)
                message = Message("r/3", b"x", qos=1, retain=True, packet_id=1)
                await client.send(message)
                await client.next()
                await anyio.sleep_forever()


async def test_b30_another_process_cannot_have_it_even_after_a_failed_attempt_here(
    file: Path,
):
    async with broker_place(store=file):
        with pytest.raises(ConfigError, match="locked"):
            async with broker_place(store=file):
                pass
        run = open_elsewhere(file)
    assert run.returncode == 1
    assert "locked" in run.stderr.splitlines()[-1]


def test_b30_a_path_that_cannot_be_is_a_config_error():
    with pytest.raises(ConfigError, match="cannot open the store"):
        BrokerStore("a\0b")


async def test_b28_on_a_full_disk_clients_that_have_gone_are_gone(
    file: Path, disk: Disk
):
    async with broker_place(store=file) as place:
        lasting_one = await place.client("c", 4, **lasting(4))
        disk.is_full = True
        await lasting_one.stream.aclose()
        connect = encode(Connect(client_id="c", clean_start=False), 4)
        for _ in range(30):
            stream = await place.stream()
            await stream.send(connect)
            await anyio.wait_all_tasks_blocked()
            await stream.aclose()
        await anyio.sleep(5)
        gc.collect()
        journal = place.server.core.journal
        assert journal is not None
        assert len(journal.bound) <= 1
        # Those that the batch waits for that is being written.
        kept = [one for one in gc.get_objects() if type(one) is ClientConnection]
        assert len(kept) < 5
