"""An SQLite file of ours that this process has open more than once."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from structiot._kit.sqlite_file import open_sqlite_file

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
