"""Files that cannot be used: a clear error, and they are left as they were.

A full disk is a limit for the size of files, which the system keeps as it keeps the size
of a disk.
"""

from __future__ import annotations

import resource
import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from structiot.connector import Device, DeviceStore
from structiot.errors import ConfigError


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Give the file of a store with two hundred devices."""
    made = tmp_path / "devices.sqlite"
    with DeviceStore(made) as store:
        for number in range(200):
            store.add(Device(f"dev{number}", "iot#type-1", "n" * 100))
    return made


def overwrite(at: int, data: bytes) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(at)
            file.write(data)

    return work


def execute(statement: str) -> Callable[[Path], None]:
    def work(path: Path) -> None:
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(statement)

    return work


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (overwrite(4096 * 2, b"\xff" * 4096), "it is damaged"),
        (overwrite(100, b"\xff" * 400), "it is damaged"),
        (overwrite(0, b"\0" * 16_384), "it is damaged|no database"),
        (lambda path: path.write_bytes(b"SQLite format 3\0"), "it is damaged"),
        (lambda path: path.write_bytes(b"\x89PNG" * 500), "it is no database"),
        (lambda path: path.write_text("[CONNECTOR]\n"), "it is no database"),
        (lambda path: path.chmod(0o400), "it is read-only"),
        (execute("PRAGMA user_version=2"), "of version 2, and only 1 is known"),
        (execute("PRAGMA application_id=7"), "the database of another program"),
        (execute("CREATE TABLE other (a)"), "none of ours"),
        (execute("ALTER TABLE devices ADD COLUMN owner TEXT"), "not as we make it"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
def test_a_file_that_cannot_be_used_is_left_as_it_was(
    path: Path, change: Callable[[Path], None], text: str
):
    change(path)
    before, mode = path.read_bytes(), path.stat().st_mode
    with pytest.raises(ConfigError, match=text) as caught:
        DeviceStore(path)
    assert str(path) in str(caught.value)
    assert path.read_bytes() == before
    assert path.stat().st_mode == mode
    # Who only reads somebody else's leaves a journal behind, which is empty.
    endings = {one.name.removeprefix(path.name) for one in path.parent.iterdir()}
    assert endings <= {"", "-wal", "-shm"}


def test_a_damaged_file_of_the_original_client_is_left_as_it_was(path: Path):
    execute("PRAGMA application_id=0")(path)
    execute("PRAGMA user_version=0")(path)
    execute("PRAGMA journal_mode=DELETE")(path)
    overwrite(4096 * 2, b"\xff" * 4096)(path)
    before = path.read_bytes()
    with pytest.raises(ConfigError, match="is left alone"):
        DeviceStore(path)
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("", "it is no file"),
        ("devices.sqlite/below", "cannot be opened"),
        ("\0", "cannot be opened"),
    ],
)
def test_a_place_where_no_file_can_be_is_told(path: Path, name: str, text: str):
    with pytest.raises(ConfigError, match=text):
        DeviceStore(path.parent / name)


def test_a_file_that_others_could_read_is_closed_to_them(path: Path):
    path.chmod(0o644)
    with DeviceStore(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


@contextmanager
def full_disk(path: Path) -> Iterator[None]:
    """Let no file grow beyond what the store's journal is now."""
    size = Path(f"{path}-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def test_on_a_full_disk_nothing_changes_and_later_all_goes_on(path: Path):
    with DeviceStore(path) as store:
        store.add(Device("first", "t", "n"))
        before = {k: v.hash for k, v in store.devices().items()}
        with full_disk(path):
            for call in (store.add, store.update, store.remove):
                with pytest.raises(ConfigError, match="cannot be written"):
                    call(Device("first" if call != store.add else "second", "t", "o"))
            assert {k: v.hash for k, v in store.devices().items()} == before
        store.add(Device("second", "t", "n"))
    with DeviceStore(path) as store:
        assert [*store.devices()] == [*before, "second"]


def test_a_file_that_is_being_written_for_long_is_told_and_usable_later(path: Path):
    with DeviceStore(path) as store:
        with closing(sqlite3.connect(path)) as other:
            other.execute("BEGIN IMMEDIATE")
            with pytest.raises(ConfigError, match="database is locked"):
                store.remove("dev1")
            # Who reads is not hindered.
            assert len(store.devices()) == 200
        store.remove("dev1")
        assert len(store.devices()) == 199


def test_a_file_that_becomes_damaged_is_told(path: Path):
    with DeviceStore(path) as store, closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA quick_check")
        overwrite(4096, b"\xff" * (path.stat().st_size - 4096))(path)
        # So that all is read anew.
        other.execute("PRAGMA user_version=1")
        with pytest.raises(ConfigError, match="it is damaged"):
            store.devices()


@pytest.mark.parametrize("is_replaced", [True, False])
def test_a_file_that_is_taken_away_is_told(path: Path, *, is_replaced: bool):
    with DeviceStore(path) as store:
        other = path.with_name("other")
        path.replace(other)
        if is_replaced:
            path.write_bytes(other.read_bytes())
        for call in (store.devices, lambda: store.remove("dev1")):
            with pytest.raises(ConfigError, match="deleted or replaced"):
                call()
