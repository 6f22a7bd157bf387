"""`structiot connector store`: what is in a device store, and what is taken out."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from structiot.connector import Device, DeviceStore


@pytest.fixture
def store(in_a_folder_of_its_own: Path) -> Path:
    path = in_a_folder_of_its_own / "devices.sqlite"
    lamp = Device("lamp-1", "iot#lamp", "Lamp")
    lamp.add_tag("room", "kitchen")
    with DeviceStore(path) as devices:
        devices.add(lamp)
        devices.add(Device("fan-1", "iot#fan", "Fan \x1b[2J"))
    return path


def ids(path: Path) -> list[str]:
    with DeviceStore(path) as devices:
        return [*devices.devices()]


def test_the_devices_are_a_table_or_json(call, store):
    said = call("store", "devices.sqlite")
    assert [line.split() for line in said.splitlines()] == [
        ["id", "type", "name", "tags"],
        ["lamp-1", "iot#lamp", "Lamp", "room:kitchen"],
        ["fan-1", "iot#fan", "Fan", "?[2J"],
    ]
    assert json.loads(call("store", "devices.sqlite", "--json")) == [
        {
            "id": "lamp-1",
            "type": "iot#lamp",
            "name": "Lamp",
            "tags": ["room:kitchen"],
        },
        {"id": "fan-1", "type": "iot#fan", "name": "Fan \x1b[2J", "tags": []},
    ]


def test_devices_are_removed_all_or_none(call, store):
    said = call("store", str(store), "lamp-1", "nobody", "--remove", status=2)
    assert said == f"structiot: there is no device nobody in {store}\n"
    assert "--remove goes with ID" in call("store", str(store), "--remove", status=2)
    assert ids(store) == ["lamp-1", "fan-1"]
    assert "fan" not in call("store", str(store), "lamp-1")
    assert "lamp-1" in call("store", str(store), "lamp-1", "--remove")
    assert ids(store) == ["fan-1"]


def test_a_file_of_the_original_client_is_taken_over(call, tmp_path):
    with sqlite3.connect(tmp_path / "old.sqlite") as connection:
        connection.execute(
            "CREATE TABLE devices (id TEXT PRIMARY KEY, type TEXT, name TEXT, tags TEXT)"
        )
        connection.execute("INSERT INTO devices VALUES ('a', 'b', 'c', 'd:e')")
    connection.close()
    (device,) = json.loads(call("store", "old.sqlite", "--json"))
    assert device == {"id": "a", "type": "b", "name": "c", "tags": ["d:e"]}


def test_what_is_no_store_is_said_and_left_alone(call, tmp_path):
    (tmp_path / "notes.txt").write_text("no database at all, but long enough")
    assert "notes.txt cannot be used" in call("store", "notes.txt", status=2)
    assert (tmp_path / "notes.txt").read_text().startswith("no database")
    assert "does not exist" in call("store", "nothing.sqlite", status=2)
    assert not (tmp_path / "nothing.sqlite").exists()


def test_shells_are_offered_what_can_be_removed(complete, store):
    assert complete("connector store devices.sqlite ") == [
        "lamp-1 Lamp",
        "fan-1 Fan ?[2J",
    ]
    assert complete("connector store devices.sqlite fan-1 l") == ["lamp-1 Lamp"]
    assert complete("connector store nothing.sqlite ") == []
    assert ids(store) == ["lamp-1", "fan-1"]
