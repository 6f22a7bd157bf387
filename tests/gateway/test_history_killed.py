"""A program that is killed at any moment: its history opens, and has what was committed."""

from __future__ import annotations

import random
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.gateway.history_writer import next_number, whole

pytestmark = pytest.mark.e2e
SCRIPT = [sys.executable, "-m", "tests.gateway.history_writer"]


def kill_once(path: Path, first: int, after_s: float) -> int:
    """Give the last commit that it has told of before it was killed."""
    arguments = [*SCRIPT, str(path), str(first), "0"]
    with subprocess.Popen(arguments, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        told = writer.stdout.readline()
        time.sleep(after_s)
        writer.kill()
        told += writer.stdout.read()
    return int(told.decode().rsplit("\n", 2)[-2])


def kills(path: Path, times: int) -> None:
    chance, first = random.Random(7), 0
    for _ in range(times):
        committed = kill_once(path, first, chance.uniform(0, 0.05))
        assert whole(path, committed) == ""
        first = next_number(path)


def test_killed_at_random_moments(tmp_path: Path):
    kills(tmp_path / "history.sqlite", 2)


@pytest.mark.thorough
@pytest.mark.timeout(600)
def test_killed_two_hundred_times(tmp_path: Path):
    for number in range(20):
        kills(tmp_path / f"history{number}.sqlite", 10)
