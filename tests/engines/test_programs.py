"""Whole programs run unchanged on either engine."""

from __future__ import annotations

import functools
import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import anyio.to_thread
import pytest

from tests._support.examples import BROKER, ROOT, printed_on_each, read_example
from tests._support.interpreter import PYTHON

pytestmark = pytest.mark.e2e

RUN_S = 15
RUNNER = str(Path(__file__).with_name("run_on_engine.py"))
ENGINES = ROOT / "examples" / "14_mqtt_engines.py"
# distmqtt's own examples: only what they import has changed, and what was wrong in them.
ITS_OWN = [
    ROOT / "examples" / name
    for name in (
        "10_mqtt_deliver_message.py",
        "11_mqtt_dispatcher.py",
        "12_mqtt_publish.py",
        "13_mqtt_configuration.py",
    )
]


async def printed_by(command: Sequence[str], folder: Path) -> str:
    """Run a program; give what it prints."""
    run = functools.partial(
        subprocess.run,
        command,
        check=False,
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT), "PYTHONWARNINGS": "error"},
        capture_output=True,
        text=True,
        timeout=RUN_S,
    )
    done = await anyio.to_thread.run_sync(run)
    assert done.returncode == 0, done.stderr
    return str(done.stdout)


async def test_one_program_prints_the_same_on_either_engine(
    mosquitto, engine: str, anyio_backend_name: str, tmp_path: Path
):
    example = read_example(ENGINES)
    *_, command = example.commands([anyio_backend_name], mosquitto.uri)
    assert command[-1] == "structiot"
    all_printed = await printed_by([*command[:-1], engine], tmp_path)
    (printed,) = printed_on_each([anyio_backend_name], all_printed)
    assert example.difference(printed, mosquitto.uri) == ""


@pytest.mark.parametrize("path", ITS_OWN, ids=lambda path: path.stem)
async def test_a_program_of_distmqtt_runs_on_either_engine(
    mosquitto, engine: str, anyio_backend_name: str, path: Path, tmp_path: Path
):
    example = read_example(path)
    assert example.runs == ((), (BROKER,))
    command = [*PYTHON, "-P", RUNNER, engine, anyio_backend_name, str(path)]
    printed = await printed_by([*command, mosquitto.uri], tmp_path)
    assert example.difference(printed, mosquitto.uri) == ""
