"""Devices in a file: what it keeps, and the original client's file."""

from __future__ import annotations

import logging
import sqlite3
import stat
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from structiot.connector import Device, DeviceStore
from structiot.errors import UsageError
from tests._support.interpreter import PYTHON

# As the original client makes it (reference 8.4).
ORIGINAL = "CREATE TABLE devices (id TEXT PRIMARY KEY, type TEXT, name TEXT, tags TEXT)"
ODD = 'q" OR "1"="1'

# Kills itself before the n-th call of SQLite or the system, for each n, until all is done.
KILL = """
import os, posix, shutil, signal, sys
from pathlib import Path
from structiot.connector import Device, DeviceStore

folder, original = Path(sys.argv[1]), Path(sys.argv[2])

def work(path):
    with DeviceStore(path) as store:
        store.add(Device("new", "t", "n"))
        store.update(Device("dev1", "t", "changed"))
        store.remove("dev2")

def is_killed(number, path):
    child = os.fork()
    if child:
        return os.WIFSIGNALED(os.waitpid(child, 0)[1])
    left = number
    def count(frame, event, arg):
        nonlocal left
        if event == "c_call":
            owner = getattr(arg, '__self__', None)
            left -= owner is posix or type(owner).__module__ == "sqlite3"
        if left == 0:
            os.kill(os.getpid(), signal.SIGKILL)
    sys.setprofile(count)
    work(path)
    os._exit(0)

def kept(path):
    with DeviceStore(path) as store:
        return " ".join(f"{one.id}={one.name}" for one in store.devices().values())

number, is_going_on = 0, True
while is_going_on:
    number += 1
    path = folder / f"{number}.sqlite"
    if original.exists():
        shutil.copyfile(original, path)
    is_going_on = is_killed(number, path)
    print(kept(path))
"""


def original_file(path: Path, *rows: tuple[object, ...]) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(ORIGINAL)
        connection.executemany("INSERT INTO devices VALUES (?, ?, ?, ?)", rows)


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DeviceStore]:
    with DeviceStore(tmp_path / "devices.sqlite") as made:
        yield made


def test_devices_are_there_again_when_the_file_is_opened_anew(tmp_path: Path):
    path = tmp_path / "below" / "devices.sqlite"
    lamp = Device("dev1", "iot#type-1", "Lämp")
    lamp.add_tag("room", "kitchen")
    lamp.add_tag("floor", "1")
    lamp.add_tag("", "")
    odd = Device(ODD, "\0", 'a "b";:\n')
    with DeviceStore(path) as store:
        store.add(lamp)
        store.add(odd)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with DeviceStore(path) as store:
        kept = store.devices()
        assert {k: v.hash for k, v in kept.items()} == {
            "dev1": lamp.hash,
            ODD: odd.hash,
        }
        assert kept["dev1"].tags == lamp.tags
        store.remove(ODD)
        assert [*store.devices()] == ["dev1"]


def test_each_look_up_gives_an_object_of_its_own(store: DeviceStore):
    store.add(Device("dev1", "t", "n"))
    one, two = store.get("dev1"), store.get("dev1")
    assert one is not None
    assert one is not two
    one.name = "other"
    assert store.devices()["dev1"].name == "n"
    assert store.get("dev2") is None
    with pytest.raises(UsageError, match="device_id is str"):
        store.get(7)  # type: ignore[arg-type]


def test_a_file_without_tags_is_read_without_a_line_in_the_log(
    store: DeviceStore, caplog: pytest.LogCaptureFixture
):
    store.add(Device("dev1", "t", "n"))
    assert store.devices()["dev1"].tags == []
    assert caplog.records == []


def test_a_device_of_another_class_is_not_kept(store: DeviceStore):
    class Lamp(Device):
        pass

    for call in (store.add, store.update):
        with pytest.raises(UsageError, match="plain devices only, not a Lamp"):
            call(Lamp("dev1", "t", "n"))
    assert store.devices() == {}


def test_a_closed_store_says_so(tmp_path: Path):
    store = DeviceStore(tmp_path / "devices.sqlite")
    store.close()
    store.close()
    for call in (store.devices, lambda: store.add(Device("dev1", "t", "n"))):
        with pytest.raises(UsageError, match="is closed"):
            call()
    assert repr(store) == f"DeviceStore('{tmp_path}/devices.sqlite')"


def test_a_store_that_nobody_holds_is_closed(tmp_path: Path):
    path = tmp_path / "devices.sqlite"
    DeviceStore(path).add(Device("dev1", "t", "n"))
    assert not Path(f"{path}-wal").exists()


def test_two_stores_may_have_the_same_file(store: DeviceStore):
    with DeviceStore(store.path) as other:
        other.add(Device("dev1", "t", "n"))
        assert [*store.devices()] == ["dev1"]
    store.remove("dev1")
    with DeviceStore(store.path) as other:
        assert other.devices() == {}


# ----------------------------------------------------------- the original client's file


def test_a_file_of_the_original_client_is_taken_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "devices.sqlite"
    original_file(
        path,
        ("dev1", "iot#type-1", "Lamp", "room:kitchen;floor:1"),
        ("dev2", "iot#type-1", "Fan", ""),
        ("dev3", "iot#type-1", "Old", None),
    )
    with DeviceStore(path) as store:
        kept = store.devices()
        store.add(Device("dev4", "t", "New"))
    assert kept["dev1"].hash == "4a07394c8cb64e57ad1bf193a8a2c23d12174dd7"
    assert kept["dev2"].hash == "3741cd4d27166c74a4983bf482f171e3f9d2c93a"
    assert kept["dev3"].tags == []
    assert caplog.records == []
    # The original can go on with it.
    with closing(sqlite3.connect(path)) as connection:
        rows = connection.execute('SELECT * FROM devices WHERE id="dev4"').fetchall()
    assert rows == [("dev4", "t", "New", "")]


def test_a_row_that_is_no_device_costs_itself_and_is_told_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
):
    path = tmp_path / "devices.sqlite"
    original_file(
        path,
        (None, "t", "n", ""),
        ("", "t", "n", ""),
        ("a\nb", "t", None, ""),
        ("dev4", "t", "n", "no-colon"),
        ("dev5", "t", "n", "device_name:x"),
        ("dev6", "t", b"\xff", ""),
        ("dev7", "t", "n", 7),
        ("dev8", "t", "n", "a:b;"),
        ("dev9", "t", "n", "a:b"),
    )
    caplog.set_level(logging.WARNING)
    with DeviceStore(path) as store:
        assert [*store.devices()] == ["dev9"]
        assert [*store.devices()] == ["dev9"]
    told = [record.getMessage() for record in caplog.records]
    assert len(told) == 1
    assert "8 rows without a device: None: id is str" in told[0]


@pytest.mark.parametrize("is_original", [True, False], ids=["original", "new"])
def test_who_is_killed_at_any_step_leaves_what_was_there_before_or_after(
    tmp_path: Path, *, is_original: bool
):
    original = tmp_path / "original.sqlite"
    if is_original:
        rows = [("dev1", "t", "Lamp", ""), ("dev2", "t", "Fan", "")]
        original_file(original, *rows)
        states = [
            "dev1=Lamp dev2=Fan",
            "dev1=Lamp dev2=Fan new=n",
            "dev1=changed dev2=Fan new=n",
            "dev1=changed new=n",
        ]
    else:
        states = ["", "new=n"]
    done = subprocess.run(
        [*PYTHON, "-c", KILL, str(tmp_path), str(original)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=15,
    )
    found = done.stdout.splitlines()
    assert len(found) > 20
    assert [*dict.fromkeys(found)] == states
