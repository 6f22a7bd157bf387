"""The broker's SQLite store: row B30 of the conformance table.

What is written down and what comes back is shown in tests/wire/broker; a killed process
in tests/e2e. Here: the file, and that no byte leaves before it is safe.
"""

from __future__ import annotations

import sqlite3
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.lowlevel
import anyio.to_thread
import pytest

from structiot.errors import ConfigError
from structiot.mqtt.broker.core.records import Batch
from structiot.mqtt.broker.store import BrokerStore
from structiot.mqtt.wire.messages import Message, Puback, Pubrec, Pubrel
from tests.link.broker.raw import Place, RawClient, broker_place
from tests.wire.broker.clients import lasting
from tests.wire.broker.paper import OFFSET_S, KeptHouse, PaperStore

pytestmark = pytest.mark.virtual_time
versions = pytest.mark.parametrize("version", [4, 5])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.sqlite"


async def lasting_client(place: Place, name: str, version: int) -> RawClient:
    client = await place.raw(version)
    connack = await client.connect(name, **lasting(version))
    assert not connack.reason
    return client


@versions
async def test_b30_sessions_and_retained_messages_survive_a_restart(
    file: Path, version: int
):
    async with broker_place(store=file) as place:
        client = await lasting_client(place, "s", version)
        await client.subscribe("a", qos=2)
        await client.stream.aclose()
        publisher = await place.client("p", version)
        await publisher.send(
            Message("a", b"waits", qos=1, packet_id=1),
            Message("r", b"kept", retain=True),
        )
        await publisher.expect(Puback)
    async with broker_place(store=file) as place:
        client = await lasting_client(place, "s", version)
        assert await client.payloads(1) == [b"waits"]
        await client.subscribe("r")
        assert await client.payloads(1) == [b"kept"]


async def test_b30_what_new_limits_forbid_is_given_up_and_said(
    file: Path, caplog: pytest.LogCaptureFixture
):
    escape = "\N{ESCAPE}"
    topics = ["a", "a/b/c", escape]
    async with broker_place(store=file, allows_control_characters=True) as place:
        client = await lasting_client(place, "s", 5)
        publisher = await place.client("p", 5)
        for topic in topics:
            await client.subscribe(topic)
        for topic in topics:
            await publisher.send(Message(topic, b"x", retain=True, qos=1, packet_id=1))
            await publisher.expect(Puback)
    async with broker_place(store=file, topic_levels=2):
        assert "4 filters and retained messages are given up" in caplog.text
    caplog.clear()
    # They do not come back with the limits.
    async with broker_place(store=file, allows_control_characters=True) as place:
        publisher = await place.client("p", 5)
        for topic in topics:
            await publisher.send(Message(topic, b"y", qos=1, packet_id=1))
            is_heard = not (await publisher.expect(Puback)).reason
            assert is_heard == (topic == "a")
        await publisher.subscribe("#")
        assert await publisher.payloads(1) == [b"x"]
    assert "given up" not in caplog.text


@versions
async def test_b30_an_acknowledgement_leaves_only_after_the_commit(
    file: Path, version: int, monkeypatch: pytest.MonkeyPatch
):
    written: list[Batch] = []
    may_commit = True
    apply = BrokerStore.apply

    def slow_apply(store: BrokerStore, batch: Batch) -> None:
        if not may_commit:
            raise sqlite3.OperationalError("database or disk is full")
        apply(store, batch)
        written.append(batch)

    monkeypatch.setattr(BrokerStore, "apply", slow_apply)
    async with broker_place(store=file) as place:
        subscriber = await lasting_client(place, "s", version)
        await subscriber.subscribe("a", qos=2)
        publisher = await lasting_client(place, "p", version)
        may_commit = False
        await publisher.send(
            Message("a", b"1", qos=1, packet_id=1),
            Message("a", b"2", qos=2, packet_id=2),
        )
        with anyio.move_on_after(10) as scope:
            await publisher.next()
        assert scope.cancelled_caught
        with anyio.move_on_after(10) as scope:
            await subscriber.next()
        assert scope.cancelled_caught
        may_commit = True
        assert isinstance(await publisher.next(), Puback)
        assert isinstance(await publisher.next(), Pubrec)
        assert [row.payload for row in written[-1].messages] == [b"1", b"2"]
        assert await subscriber.payloads(2) == [b"1", b"2"]


async def test_b30_what_comes_during_a_commit_waits_for_the_next(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    begun, may_end = threading.Event(), threading.Event()
    is_full = False
    apply = BrokerStore.apply

    def slow_apply(store: BrokerStore, batch: Batch) -> None:
        if is_full:
            raise sqlite3.OperationalError("database or disk is full")
        apply(store, batch)
        if batch.messages:
            begun.set()
            may_end.wait(10)

    async with broker_place(store=file) as place:
        subscriber = await lasting_client(place, "s", 4)
        await subscriber.subscribe("a", qos=1)
        publisher = await lasting_client(place, "p", 4)
        monkeypatch.setattr(BrokerStore, "apply", slow_apply)
        await publisher.send(Message("a", b"1", qos=1, packet_id=1))
        await anyio.to_thread.run_sync(begun.wait, 10)
        await publisher.send(Message("a", b"2", qos=1, packet_id=2))
        while place.server.core.received < 2:
            await anyio.lowlevel.checkpoint()
        is_full = True
        may_end.set()
        assert (await publisher.expect(Puback)).packet_id == 1
        with anyio.move_on_after(10) as scope:
            await publisher.next()
        assert scope.cancelled_caught
        is_full = False
        assert (await publisher.expect(Puback)).packet_id == 2
        assert await subscriber.payloads(2) == [b"1", b"2"]


async def test_b30_a_store_that_fails_is_told_once_and_tried_again(
    file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
):
    failures = iter([True] * 5)
    apply = BrokerStore.apply

    def failing_apply(store: BrokerStore, batch: Batch) -> None:
        if next(failures, False):
            raise sqlite3.OperationalError("database or disk is full")
        apply(store, batch)

    monkeypatch.setattr(BrokerStore, "apply", failing_apply)
    async with broker_place(store=file) as place:
        await lasting_client(place, "s", 5)
        assert anyio.current_time() == 5
    texts = [record.message for record in caplog.records if "store" in record.message]
    assert len(texts) == 2
    assert "disk is full" in texts[0]
    assert "again" in texts[1]


async def test_b30_qos_0_and_pings_flow_with_a_store(file: Path):
    async with broker_place(store=file) as place:
        client = await place.subscriber("a")
        for _ in range(3):
            await client.send(Message("a", b"own"))
            assert await client.payloads(1) == [b"own"]
            assert await client.is_alive()


@versions
async def test_b30_many_messages_at_once_are_committed_in_few_batches(
    file: Path, version: int, monkeypatch: pytest.MonkeyPatch
):
    batches: list[Batch] = []
    apply = BrokerStore.apply

    def counted(store: BrokerStore, batch: Batch) -> None:
        batches.append(batch)
        apply(store, batch)

    monkeypatch.setattr(BrokerStore, "apply", counted)
    async with broker_place(store=file) as place:
        subscriber = await lasting_client(place, "s", version)
        await subscriber.subscribe("a", qos=1)
        publisher = await place.client("p", version)
        await publisher.send(
            *(Message("a", b"x", qos=1, packet_id=n) for n in range(1, 1001))
        )
        for _ in range(1000):
            await publisher.expect(Puback)
        assert len(batches) < 40


async def test_b30_the_broker_does_not_read_on_while_much_waits_for_the_store(
    file: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("structiot.mqtt.broker.store_writer.MANY_CHANGES", 10)
    async with broker_place(store=file) as place:
        subscriber = await lasting_client(place, "s", 4)
        await subscriber.subscribe("a", qos=1)
        publisher = await place.client("p")
        await publisher.send(
            *(Message("a", b"x", qos=1, packet_id=n) for n in range(1, 501))
        )
        for _ in range(500):
            await publisher.expect(Puback)


def mode_of(file: Path) -> int:
    return stat.S_IMODE(file.stat().st_mode)


async def test_b30_the_file_is_for_its_owner_alone(file: Path):
    async with broker_place(store=file):
        assert mode_of(file) == 0o600


async def test_b30_two_brokers_cannot_have_one_store(file: Path):
    async with broker_place(store=file):
        with pytest.raises(ConfigError, match="locked"):
            async with broker_place(store=file):
                pass


def content_of(file: Path) -> bytes:
    return b"" if file.is_dir() else file.read_bytes()


def damage(file: Path) -> None:
    """Overwrite all but the first and the last page."""
    data = bytearray(file.read_bytes())
    data[4096:-4096] = b"\xa5" * (len(data) - 8192)
    file.write_bytes(data)


def other_schema(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE of_somebody_else (x)")
    connection.close()


@pytest.mark.parametrize(
    ("prepare", "hint"),
    [
        (lambda path: path.write_bytes(b"this is no database" * 100), "not a database"),
        (other_schema, "not the store"),
        (lambda path: path.mkdir(), "cannot open"),
    ],
)
async def test_b30_a_file_that_is_no_store_is_refused_and_left_alone(
    file: Path, prepare: Callable[[Path], Any], hint: str
):
    prepare(file)
    before = content_of(file)
    with pytest.raises(ConfigError, match=hint):
        async with broker_place(store=file):
            pass
    assert content_of(file) == before


async def test_b30_a_damaged_store_is_refused_by_name(file: Path):
    async with broker_place(store=file) as place:
        for number in range(200):
            place.server.publish(f"r/{number}", bytes(1000), retain=True)
        assert await (await place.client()).is_alive()
    damage(file)
    with pytest.raises(ConfigError, match=str(file)):
        async with broker_place(store=file):
            pass


def test_b30_sqlite_does_with_a_batch_what_paper_does(file: Path):
    house = KeptHouse()
    store = BrokerStore(file)
    both = Both(house.paper, store)
    house.paper = both  # type: ignore[assignment]
    clients = [house.subscriber("#", qos=2, client_id=n, **lasting(4)) for n in "ab"]
    house.commit()
    house.publish("x", b"1", qos=2, retain=True)
    clients[0].publish("y", b"2", qos=2, packet_id=9)
    house.commit()
    clients[0].send(Pubrec(packet_id=1), Pubrel(packet_id=9))
    clients[1].send(Puback(packet_id=3))
    clients[1].unsubscribe("#")
    house.publish("x", b"", retain=True)
    house.commit()
    house.client("a", clean_start=True)
    house.commit()
    store.close()
    store.close()


class Both:
    """Paper and SQLite, which have to agree."""

    def __init__(self, paper: PaperStore, store: BrokerStore) -> None:
        self._paper = paper
        self._store = store

    def apply(self, batch: Batch) -> None:
        self._paper.apply(batch)
        self._store.apply(batch)
        paper, found = self._paper.load(), self._store.load()
        assert found == paper
        assert OFFSET_S > 0


def test_b30_a_batch_that_fails_changes_nothing(file: Path):
    store = BrokerStore(file)
    batch = Batch(erased=["a"])
    batch.sessions.append((1, 2, 3))  # type: ignore[arg-type]
    with pytest.raises(sqlite3.Error):
        store.apply(batch)
    store.apply(Batch())
    assert store.load().sessions == []
    store.close()


async def test_b30_a_path_that_no_file_can_have_is_a_config_error():
    with pytest.raises(ConfigError, match=r"cannot open the store a.b: .*null"):
        async with broker_place(store="a\0b"):
            raise AssertionError("not reached")
