"""The database of a Mosquitto, golden and damaged: row L4 of the conformance table."""

from __future__ import annotations

import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from structiot.cli.main import run_program
from structiot.errors import ConfigError, UsageError
from structiot.mqtt.broker import import_mosquitto
from structiot.mqtt.broker.core.records import properties_from
from structiot.mqtt.broker.mosquitto_db import QUEUED, SavedDelivery, parse_db
from tests._support.sources import ROOT

# Written by Mosquitto 2.0.11.
GOLDEN = ROOT / "tests/golden/mqtt/mosquitto-2.0.11.db"
DATA = GOLDEN.read_bytes()
HEAD_BYTES = 23
DELIVERY, RETAIN = 3, 4


def chunk_ends() -> list[int]:
    ends, at = [], HEAD_BYTES
    while at < len(DATA):
        at += 8 + int.from_bytes(DATA[at + 4 : at + 8])
        ends.append(at)
    return ends


def test_l4_a_database_of_mosquitto_is_read():
    state = parse_db(DATA)
    assert [(one.client_id, one.username, one.expiry_s) for one in state.clients] == [
        ("old3", "ann", 0xFFFF_FFFF),
        ("new5", "ann", 3600),
    ]
    assert state.clients[0].expires_at_s == 0
    assert {
        (one.client_id, one.topic_filter, one.qos, one.options, one.identifier)
        for one in state.subscriptions
    } == {
        ("old3", "home/#", 1, 0, None),
        ("old3", "x/+", 1, 0, None),
        ("new5", "home/#", 2, 0, 7),
    }
    messages = {one.topic: one for one in state.messages.values()}
    assert {topic: one.payload for topic, one in messages.items()} == {
        "home/a": b"kept",
        "home/b": b"five",
        "sh/1": b"shared",
    }
    five = properties_from(messages["home/b"].properties)
    assert five is not None
    assert (five.content_type, five.user_properties) == ("text/plain", (("k", "v"),))
    assert messages["home/b"].expires_at_s == 1795996417
    kept = [state.messages[number].topic for number in state.retained]
    assert kept == ["home/a", "home/b"]
    first, *_, last = state.deliveries
    assert replace(first, message=0) == SavedDelivery(
        client_id="old3",
        message=0,
        packet_id=1,
        qos=1,
        state=QUEUED,
        retain=False,
        is_incoming=False,
        properties=None,
    )
    shared = properties_from(last.properties)
    assert shared is not None
    assert shared.subscription_ids == (7,)


def test_l4_a_database_that_is_cut_off_says_where():
    whole = {HEAD_BYTES, *chunk_ends()} - {HEAD_BYTES}
    for size in range(len(DATA)):
        if size in whole:
            parse_db(DATA[:size])
            continue
        with pytest.raises(ConfigError) as caught:
            parse_db(DATA[:size])
        if size > HEAD_BYTES:
            assert str(caught.value).startswith(f"it is cut off at byte {size}")


def test_l4_a_database_with_a_wrong_byte_is_read_or_refused_and_nothing_else():
    said = []
    for at in range(len(DATA)):
        for wrong in (0x01, 0x80, 0xFF):
            damaged = bytearray(DATA)
            damaged[at] ^= wrong
            try:
                parse_db(bytes(damaged))
            except ConfigError as exc:
                said.append(str(exc))
    assert len(said) > len(DATA)
    assert "".join(said).isprintable()


def cut_out(*kinds: int) -> bytes:
    """Give the database without chunks of some kinds."""
    pieces, start = [DATA[:HEAD_BYTES]], HEAD_BYTES
    for end in chunk_ends():
        if int.from_bytes(DATA[start : start + 4]) not in kinds:
            pieces.append(DATA[start:end])
        start = end
    return b"".join(pieces)


def with_version(number: int) -> bytes:
    return DATA[:19] + number.to_bytes(4) + DATA[HEAD_BYTES:]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "it is no database of Mosquitto"),
        (b"SQLite format 3\0" * 9, "it is no database of Mosquitto"),
        (with_version(5), "it is of version 5, and 6, of Mosquitto 2"),
        (DATA[:HEAD_BYTES], "cut off in its head"),
        (DATA[:-1], f"cut off at byte {len(DATA) - 1}"),
        (cut_out(1), "has no place there"),
        (cut_out(2), "is named and is not there"),
        (DATA.replace(b"home/#", b"hom#/#"), "a subscription that cannot be"),
        (DATA.replace(b"home/a", b"home/+"), "a message that cannot be"),
        (DATA.replace(b"\x02\x0b\x07", b"\x02\x0b\x00"), "must not be"),
        (DATA[: HEAD_BYTES + 8] + b"\0" * 9 + b"\x04" + DATA[HEAD_BYTES + 18 :], "4 b"),
    ],
)
def test_l4_of_a_damaged_database_nothing_is_made(
    tmp_path: Path, data: bytes, said: str
):
    db = tmp_path / "mosquitto.db"
    db.write_bytes(data)
    with pytest.raises(ConfigError, match=said) as caught:
        import_mosquitto(db, tmp_path / "broker.sqlite")
    assert str(db) in str(caught.value)
    assert list(tmp_path.iterdir()) == [db]


def test_l4_what_belongs_to_sessions_that_do_not_last_is_left_out(tmp_path: Path):
    db, store = tmp_path / "mosquitto.db", tmp_path / "broker.sqlite"
    db.write_bytes(cut_out(6))
    imported = import_mosquitto(str(db), str(store))
    assert (imported.sessions, imported.retained) == (0, 2)
    assert imported.left_out == 8
    assert store.stat().st_mode & 0o777 == 0o600


def test_l4_no_file_is_written_over(tmp_path: Path):
    store = tmp_path / "broker.sqlite"
    store.write_text("precious")
    with pytest.raises(ConfigError, match=f"^{store} is there already"):
        import_mosquitto(GOLDEN, store)
    assert store.read_text() == "precious"


def test_l4_a_file_that_comes_meanwhile_is_not_written_over(tmp_path: Path):
    store = tmp_path / "broker.sqlite"
    to_make = [store]

    def somebody_is_quicker(event: str, _: object) -> None:
        # It cannot be taken away again.
        if event == "sqlite3.connect" and to_make:
            to_make.pop().write_text("precious")

    sys.addaudithook(somebody_is_quicker)
    with pytest.raises(ConfigError, match=f"^{store} is there already; name one"):
        import_mosquitto(GOLDEN, store)
    assert store.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [store]


def test_l4_what_an_attempt_has_left_that_was_killed_is_in_nobodys_way(tmp_path: Path):
    (tmp_path / "broker.sqlite.being-imported").write_text("half of it")
    import_mosquitto(GOLDEN, tmp_path / "broker.sqlite")
    assert [one.name for one in tmp_path.iterdir()] == ["broker.sqlite"]


@pytest.mark.parametrize("path", ["nowhere/x", "\0"])
def test_l4_files_that_cannot_be_are_named(tmp_path: Path, path: str):
    with pytest.raises(ConfigError, match="cannot read"):
        import_mosquitto(path, tmp_path / "store")
    with pytest.raises(ConfigError, match=r"cannot write|cannot open"):
        import_mosquitto(GOLDEN, tmp_path / path)
    with pytest.raises(UsageError, match="db is str or Path"):
        import_mosquitto(b"x", tmp_path / path)  # type: ignore[arg-type]


def test_l4_the_command_says_what_has_come_over(tmp_path: Path, capsys):
    store = tmp_path / "broker.sqlite"
    command = ["mqtt", "import-mosquitto", str(GOLDEN), str(store)]
    assert run_program(command) == 0
    said = capsys.readouterr().out
    assert said == (
        f"{store}: 2 sessions, 3 subscriptions, 5 messages under way, "
        "2 retained messages\n"
    )
    with sqlite3.connect(store) as connection:
        (count,) = connection.execute("SELECT count(*) FROM deliveries").fetchone()
    connection.close()
    assert count == 5
    assert run_program(command) == 2
    assert "is there already" in capsys.readouterr().err
