"""An SQLite file of ours: open more than once, of some version, damaged or read-only."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from structiot._kit.sqlite_file import open_sqlite_file
from structiot.errors import ConfigError

SCHEMA = "CREATE TABLE IF NOT EXISTS words (word TEXT PRIMARY KEY);"
READ = "import sqlite3, sys; [*sqlite3.connect(sys.argv[1]).execute('SELECT * FROM words')]"


def opened(file: Path) -> closing[sqlite3.Connection]:
    return closing(open_sqlite_file(file, SCHEMA, program_id=1))


def test_another_program_that_comes_and_goes_takes_nothing_away(tmp_path: Path):
    """SQLite's locks are the process's: whoever closes the file by hand gives them back."""
    file = tmp_path / "words.sqlite"
    journal = Path(f"{file}-wal")
    with opened(file) as connection:
        connection.execute("INSERT INTO words VALUES ('one')")
        with opened(file):
            pass
        before = journal.stat().st_ino
        # Who believes that nobody else has it open takes the journal away.
        subprocess.run([sys.executable, "-c", READ, str(file)], check=True)
        assert journal.stat().st_ino == before
        connection.execute("INSERT INTO words VALUES ('two')")
        with closing(sqlite3.connect(file)) as other:
            found = {word for (word,) in other.execute("SELECT word FROM words")}
    assert found == {"one", "two"}


def test_a_file_says_of_which_version_it_is(tmp_path: Path):
    file = tmp_path / "words.sqlite"
    for version in (0, 3, 3):
        made = open_sqlite_file(file, SCHEMA, program_id=1, version=version)
        with closing(made) as connection:
            told = [*connection.execute("PRAGMA user_version")]
        assert told == [(version,)]
    with pytest.raises(ConfigError, match="of version 3, and only 2 is known"):
        open_sqlite_file(file, SCHEMA, program_id=1, version=2)


def test_what_is_damaged_behind_the_head_is_found_before_anything_is_written(
    tmp_path: Path,
):
    file = tmp_path / "words.sqlite"
    with opened(file) as connection:
        words = [(f"{number:0100}",) for number in range(200)]
        connection.executemany("INSERT INTO words VALUES (?)", words)
    damaged = file.read_bytes()[:8192] + b"\xff" * 4096 + file.read_bytes()[12_288:]
    file.write_bytes(damaged)
    with pytest.raises(sqlite3.DatabaseError):
        opened(file)
    assert file.read_bytes() == damaged


def test_a_read_only_file_stays_one(tmp_path: Path):
    file = tmp_path / "words.sqlite"
    with opened(file):
        pass
    file.chmod(0o444)
    with pytest.raises(PermissionError, match="read-only"):
        opened(file)
    assert file.stat().st_mode & 0o777 == 0o444
