"""C54, C91, C92, C93: what outlives the process, in one SQLite file.

Killed processes are in tests/faults_long; here a client leaves what it has, and another
with the same store and id takes over. Threads write the file, so the clock is real.
"""

from __future__ import annotations

import logging
import re
import sqlite3
from collections.abc import Iterable
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.errors import ConfigError, LinkLost
from structiot.mqtt import MqttClient
from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.flows.flow import PUBLISHED, RELEASED
from structiot.mqtt.wire.messages import (
    Message,
    Packet,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
)
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import open_client

WAIT_S = 5.0


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "session.sqlite"


def stored(
    broker: FakeBroker, store: Path, **config: Any
) -> AbstractAsyncContextManager[MqttClient]:
    config.setdefault("goodbye_s", 0.1)
    return open_client(broker, store=store, cleansession=False, **config)


async def test_what_was_not_acknowledged_goes_out_again_in_order_before_anything_new(
    broker, store: Path
):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with stored(broker, store) as client:
        for number, qos in enumerate((1, 2, 1)):
            await client.publish_soon(f"t/{number}", b"%d" % number, qos=qos)
        for _ in range(3):
            await broker.connection.next(Message)
    broker.oblige()
    async with stored(broker, store) as client:
        await client.publish("t/new", b"new", qos=1)
        with anyio.fail_after(WAIT_S):
            for receipt in client.restored:
                await receipt.wait()
        assert [receipt.topic for receipt in client.restored] == ["t/0", "t/1", "t/2"]
    sent = broker.connection.of(Message)
    assert [(m.payload, m.dup, m.packet_id) for m in sent] == [
        (b"0", True, 1),
        (b"1", True, 2),
        (b"2", True, 3),
        (b"new", False, 4),
    ]
    async with stored(broker, store) as client:
        assert client.restored == []


async def test_what_was_never_sent_is_sent_by_the_next_process(broker, store: Path):
    broker.stop()
    async with stored(broker, store, wait_connected=False) as client:
        for number in range(3):
            await client.publish_soon("t", b"%d" % number, qos=2)
    await broker.start()
    async with stored(broker, store) as client:
        with anyio.fail_after(WAIT_S):
            for receipt in client.restored:
                await receipt.wait()
    assert [m.payload for m in broker.connection.of(Message)] == [b"0", b"1", b"2"]


async def test_a_released_message_goes_on_with_its_release(broker, store: Path):
    broker.keeps_sessions = True
    broker.ignore(Pubrel)
    async with stored(broker, store) as client:
        await client.publish_soon("t", b"x", qos=2)
        await broker.connection.next(Pubrel)
    broker.oblige()
    async with stored(broker, store) as client:
        [receipt] = client.restored
        with anyio.fail_after(WAIT_S):
            await receipt.wait()
    assert broker.connection.of(Message) == []
    assert len(broker.connection.of(Pubrel)) == 1


async def test_qos_2_is_delivered_once_over_two_processes(broker, store: Path):
    broker.keeps_sessions = True
    broker.ignore(Pubrec)
    message = Message("t", b"x", qos=2, packet_id=77)
    async with stored(broker, store) as client:
        async with client.subscription("t", qos=2) as messages:
            await broker.connection.send(message)
            await anext(messages)
            await broker.connection.next(Pubrec)
    async with stored(broker, store) as client:
        async with client.subscription("t", qos=2) as messages:
            again = Message("t", b"x", qos=2, packet_id=77, dup=True)
            await broker.connection.send(again)
            await broker.connection.next(Pubrec)
            await broker.connection.send(Pubrel(packet_id=77))
            await broker.connection.next(Pubcomp)
            await broker.connection.send(Message("t", b"new", qos=2, packet_id=77))
            assert (await anext(messages)).payload == b"new"
            assert client.counters.repeated == 1


async def test_a_lost_session_takes_its_known_ids_with_it(broker, store: Path):
    broker.ignore(Pubrec)
    message = Message("t", b"x", qos=2, packet_id=77)
    for _ in range(2):
        # The broker knows nothing of the first client when the second comes.
        async with stored(broker, store) as client:
            async with client.subscription("t", qos=2) as messages:
                await broker.connection.send(message)
                assert (await anext(messages)).payload == b"x"
                await broker.connection.next(Pubrec)


async def test_ids_of_the_store_are_not_given_twice(broker, store: Path):
    broker.keeps_sessions = True
    broker.ignore(Message)
    async with stored(broker, store) as client:
        for _ in range(3):
            await client.publish_soon("t", b"old", qos=1)
            await broker.connection.next(Message)
    async with stored(broker, store) as client:
        for _ in range(3):
            await client.publish_soon("t", b"new", qos=1)
        for _ in range(6):
            await broker.connection.next(Message)
        sent = broker.connection.of(Message)
        assert sorted(m.packet_id for m in sent) == [1, 2, 3, 4, 5, 6]
        async with client.subscription("t"):
            pass
        await broker.connection.send(*(Puback(packet_id=n) for n in range(1, 7)))
        with anyio.fail_after(WAIT_S):
            for receipt in client.restored:
                await receipt.wait()


async def test_sessions_of_other_clients_are_left_alone(broker, store: Path):
    broker.ignore(Message)
    for client_id in ("one", "two"):
        async with stored(broker, store, client_id=client_id) as client:
            assert client.restored == []
            await client.publish_soon("t", client_id.encode(), qos=1)
            await broker.connection.next(Message)
    broker.oblige()
    async with stored(broker, store, client_id="one") as client:
        assert [receipt.payload for receipt in client.restored] == [b"one"]


async def test_accepted_means_written_down(broker, store: Path):
    broker.stop()
    async with stored(broker, store, wait_connected=False) as client:
        await client.publish_soon("t", b"x", qos=1)
        with sqlite3.connect(store) as reading:
            rows = reading.execute("SELECT topic, payload FROM flows").fetchall()
        reading.close()
        assert rows == [("t", b"x")]


async def test_the_store_has_it_before_the_broker_is_told(
    broker: FakeBroker, store: Path
):
    written: list[tuple[str, list[Any]]] = []

    def look(connection: FakeConnection, packet: Packet) -> Iterable[Packet]:
        table = "received" if isinstance(packet, Pubrec) else "flows"
        columns = "packet_id" if table == "received" else "packet_id, stage"
        with sqlite3.connect(store) as reading:
            rows = reading.execute(f"SELECT {columns} FROM {table}").fetchall()
        reading.close()
        written.append((type(packet).__name__, rows))
        return broker.usual(packet)

    for kind in (Message, Pubrel, Pubrec):
        broker.answer(kind, look)
    async with stored(broker, store) as client:
        async with client.subscription("t", qos=2) as messages:
            await client.publish("t", b"x", qos=2)
            await broker.connection.send(Message("t", b"x", qos=2, packet_id=77))
            await anext(messages)
            await broker.connection.next(Pubcomp)
    assert written == [
        ("Message", [(2, PUBLISHED)]),
        ("Pubrel", [(2, RELEASED)]),
        ("Pubrec", [(77,)]),
    ]


@pytest.mark.parametrize("damage", ["cut", "garbage"])
async def test_a_damaged_store_is_told_of_and_set_aside(
    broker, store: Path, damage: str, caplog: pytest.LogCaptureFixture
):
    broker.ignore(Message)
    async with stored(broker, store) as client:
        for _ in range(50):
            await client.publish_soon("t", b"x" * 1000, qos=1)
    file = anyio.Path(store)
    whole = await file.read_bytes()
    harmed = {
        "cut": whole[: len(whole) // 2],
        "garbage": whole[:2000] + b"\xa5" * 20_000 + whole[22_000:],
    }[damage]
    await file.write_bytes(harmed)
    broker.oblige()
    with caplog.at_level(logging.WARNING, "structiot"):
        async with stored(broker, store) as client:
            assert client.restored == []
            await client.publish("t", b"fine", qos=1)
    aside = file.with_name("session.sqlite.damaged")
    assert await aside.read_bytes() == harmed
    assert str(aside) in caplog.text


@pytest.mark.parametrize("kind", ["text", "long text", "database", "broker"])
async def test_a_file_of_others_is_named_and_left_as_it_is(
    broker, tmp_path: Path, kind: str
):
    file = tmp_path / "notes.txt"
    match kind:
        case "text":
            file.write_text("milk, eggs\n")
        case "long text":
            file.write_text("milk, eggs\n" * 1000)
        case "database":
            with closing(sqlite3.connect(file)) as other:
                other.execute("CREATE TABLE milk (eggs)")
        case "broker":
            async with open_broker("mqtt://127.0.0.1:0", store=file):
                pass
    before = file.read_bytes()
    problem = f"{re.escape(str(file))}: (file is not a database|.* another program)"
    with pytest.raises(ConfigError, match=problem):
        async with stored(broker, file):
            pytest.fail("it is somebody else's")
    assert file.read_bytes() == before
    found = [entry.name async for entry in anyio.Path(tmp_path).iterdir()]
    assert set(found) <= {"notes.txt", "notes.txt-lock"}
    assert broker.attempts == []


async def test_a_store_that_cannot_be_opened_is_a_config_error(broker, tmp_path: Path):
    for problem in (tmp_path / "no" / "folder", tmp_path, Path("a\0b")):
        with pytest.raises(ConfigError, match="cannot open the store"):
            async with stored(broker, problem):
                pytest.fail("there is no such file")
    assert broker.attempts == []


async def test_the_file_is_for_its_owner_alone(broker, store: Path):
    async with stored(broker, store):
        assert (await anyio.Path(store).stat()).st_mode & 0o077 == 0


async def test_whoever_waits_when_the_client_leaves_is_told_and_the_message_kept(
    broker, store: Path
):
    broker.ignore(Message)
    with pytest.raises(LinkLost, match="closed"):
        async with stored(broker, store) as client:
            receipt = await client.publish_soon("t", b"x", qos=1)
            await client.disconnect()
            await receipt.wait()
    broker.oblige()
    async with stored(broker, store) as client:
        assert [receipt.payload for receipt in client.restored] == [b"x"]
