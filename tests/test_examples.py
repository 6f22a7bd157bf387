"""Each example runs on both backends, as it is, and prints what its docstring says."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from structiot import load_config
from tests._support.examples import BROKER, ROOT, printed_on_each, read_example

EXAMPLES = sorted((ROOT / "examples").glob("*.py"))
MAX_LINES = 60
# One after the other: an example has addresses of its own, and so can run beside other
# ones, but not beside itself.
BACKENDS = ("asyncio", "trio")
# Only ends what hangs: on a busy machine, an import of matplotlib alone takes seconds.
RUN_S = 120


@pytest.mark.e2e
@pytest.mark.timeout(2 * RUN_S + 10)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_prints_what_its_docstring_says(
    path: Path, request: pytest.FixtureRequest, tmp_path: Path
):
    example = read_example(path)
    broker_uri = BROKER
    if example.needs_broker:
        broker_uri = request.getfixturevalue("mosquitto").uri
    for command in example.commands(BACKENDS, broker_uri):
        run = subprocess.run(
            command,
            check=False,
            cwd=tmp_path,
            env={**os.environ, "NO_COLOR": "1", "PYTHONWARNINGS": "error"},
            capture_output=True,
            text=True,
            timeout=RUN_S,
        )
        assert (command, run.returncode, run.stderr) == (command, 0, "")
        for printed in printed_on_each(BACKENDS, run.stdout):
            assert example.difference(printed, broker_uri) == "", command


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_an_example_fits_on_a_screen(path: Path):
    assert len(path.read_text("utf-8").splitlines()) < MAX_LINES


def test_the_example_configuration_is_valid():
    config = load_config(ROOT / "examples" / "structiot.toml")
    assert config.maxsmart is not None
    assert [device.name for device in config.maxsmart.devices] == [
        "kitchen",
        "workshop",
    ]
