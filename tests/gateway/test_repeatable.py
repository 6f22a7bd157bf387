"""The same seed and the same clock give the same house, byte for byte."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).with_name("repeatable_run.py")


def run(backend: str, seed: int, hash_seed: str) -> bytes:
    done = subprocess.run(
        [sys.executable, str(PROGRAM), backend, str(seed)],
        capture_output=True,
        check=True,
        env={**os.environ, "PYTHONHASHSEED": hash_seed},
    )
    return done.stdout


@pytest.mark.timeout(60)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@pytest.mark.thorough
def test_two_runs_in_fresh_processes_are_alike_byte_for_byte(backend: str):
    first, second = run(backend, 7, "1"), run(backend, 7, "424242")
    assert first == second
    assert b"DriverUpdate" in first
    assert b"device='desk', event=Availability(is_available=False" in first
    assert b"CommandDone(device='kitchen', entity='port_2'" in first
    # Devices live by the same clock as the gateway: no other date is in it.
    assert first.count(b"datetime.datetime(") == first.count(
        b"datetime(2026, 1, 1, 0, "
    )
    assert run(backend, 8, "1") != first
