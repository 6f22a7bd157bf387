"""What is an error without workers is one in them, and in the programs that tests run."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests._support.interpreter import PYTHON
from tests._support.sources import ROOT

COMPARES = 'def test_it():\n    assert b"a" != str("a")\n'


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("flags", "outcome"), [(["-bb"], "1 failed"), ([], "1 passed")], ids=str
)
def test_a_worker_has_the_flags_of_who_started_it(
    flags: list[str], outcome: str, pytester: pytest.Pytester, monkeypatch
):
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    pytester.makepyfile(COMPARES)
    plugins = ["-p", "tests._support.workers", "-p", "no:cacheprovider"]
    command = [sys.executable, *flags, "-m", "pytest", "-n1", *plugins]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert outcome in done.stdout


def test_a_program_that_a_test_runs_has_them_too():
    show = [*PYTHON, "-c", "import sys; print(sys.flags.bytes_warning)"]
    shown = subprocess.run(show, capture_output=True, text=True, check=True)
    assert shown.stdout == f"{sys.flags.bytes_warning}\n"
