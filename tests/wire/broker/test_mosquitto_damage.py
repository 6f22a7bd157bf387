"""Databases of a Mosquitto that a bad disk, or somebody else, has written: row L4."""

from __future__ import annotations

import os
import struct
from dataclasses import astuple
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot.errors import ConfigError
from structiot.mqtt.broker import import_mosquitto
from structiot.mqtt.broker.store import BrokerStore
from tests._support.sources import ROOT

DATA = (ROOT / "tests/golden/mqtt/mosquitto-2.0.11.db").read_bytes()
HEAD_BYTES = 23
MESSAGE, SUBSCRIPTION, CLIENT = 2, 5, 6


def chunks() -> list[bytes]:
    found, at = [], HEAD_BYTES
    while at < len(DATA):
        end = at + 8 + int.from_bytes(DATA[at + 4 : at + 8])
        found.append(DATA[at:end])
        at = end
    return found


def kind_of(chunk: bytes) -> int:
    return int.from_bytes(chunk[:4])


CHUNKS = chunks()


def made_of(some: list[bytes]) -> bytes:
    return DATA[:HEAD_BYTES] + b"".join(some)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Give the golden one with chunks twice, lost or moved, and other bytes in them."""
    rest = draw(st.lists(st.sampled_from(CHUNKS[1:]), max_size=12))
    data = bytearray(made_of(draw(st.sampled_from([CHUNKS, [CHUNKS[0], *rest]]))))
    for _ in range(draw(st.integers(0, 2))):
        at = draw(st.integers(HEAD_BYTES, len(data) - 1))
        data[at] = draw(st.sampled_from([0, 1, 2, 6, 9, 11, 0x23, 0x2B, 0x7F, 0xFF]))
    return bytes(data)


@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=damaged())
def test_l4_what_is_made_of_a_damaged_database_is_whole_or_not_there(
    tmp_path: Path, data: bytes
):
    db, store = tmp_path / "mosquitto.db", tmp_path / "broker.sqlite"
    db.write_bytes(data)
    imported, said = None, ""
    try:
        imported = import_mosquitto(db, store)
    except ConfigError as exc:
        said = str(exc)
    if imported is None:
        assert said.isprintable()
        assert list(tmp_path.iterdir()) == [db]
        return
    opened = BrokerStore(store)
    found = opened.load()
    rows = [
        len(found.sessions),
        len(found.subscriptions),
        len(found.deliveries),
        len(found.retained),
    ]
    opened.close()
    store.unlink()
    assert opened.bad_rows == 0
    assert [*astuple(imported)[:4]] == rows


@pytest.mark.parametrize(
    ("kind", "said"), [(CLIENT, "a client twice"), (SUBSCRIPTION, "a filter twice")]
)
def test_l4_what_is_there_twice_is_damage(tmp_path: Path, kind: int, said: str):
    db = tmp_path / "mosquitto.db"
    twice = next(one for one in CHUNKS if kind_of(one) == kind)
    db.write_bytes(made_of([*CHUNKS, twice]))
    with pytest.raises(ConfigError, match=said):
        import_mosquitto(db, tmp_path / "broker.sqlite")
    assert list(tmp_path.iterdir()) == [db]


def test_l4_lengths_of_four_gigabytes_cost_nothing(tmp_path: Path):
    db = tmp_path / "mosquitto.db"
    message = bytearray(next(one for one in CHUNKS if kind_of(one) == MESSAGE))
    message[24:28] = b"\xff\xff\xff\xff"
    long = struct.pack(">II", MESSAGE, 0xFFFF_FFFF)
    for data in (bytes(message), long):
        db.write_bytes(made_of([CHUNKS[0], data]))
        with pytest.raises(ConfigError, match=r"ends before|cut off"):
            import_mosquitto(db, tmp_path / "broker.sqlite")


def test_l4_a_pipe_or_a_device_is_no_database(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigError, match="no regular file"):
            import_mosquitto(path, tmp_path / "broker.sqlite")
