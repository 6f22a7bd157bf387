"""`structiot maxsmart watch`: a live table, lines or JSON, until a signal."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys

import pytest

from tests._support.terminal import terminal

pytestmark = pytest.mark.e2e


@pytest.mark.parametrize(
    ("backend", "number"), [("asyncio", signal.SIGTERM), ("trio", signal.SIGINT)]
)
def test_readings_are_written_as_json_until_a_signal(strip, backend, number):
    command = [sys.executable, "-m", "structiot", "maxsmart", "watch", *strip.where]
    process = subprocess.Popen(
        [*command, "--every", "0.5", "--backend", backend, "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    lines = [json.loads(process.stdout.readline()) for _ in range(12)]
    process.send_signal(number)
    _, err = process.communicate(timeout=10)
    assert (err, process.returncode) == ("", 0)
    assert [line["port"] for line in lines] == [1, 2, 3, 4, 5, 6] * 2
    assert [line["power_w"] for line in lines[:6]] == [10, 0, 30.5, 1.25, 0, 1200]


@pytest.mark.parametrize(
    ("backend", "number"), [("asyncio", signal.SIGINT), ("trio", signal.SIGTERM)]
)
def test_a_terminal_shows_a_table_that_changes(strip, backend, number):
    options = ["--every", "0.5", "--backend", backend]
    with terminal("maxsmart", "watch", *strip.where, *options) as screen:
        screen.wait_for("1241.8 W in all")
        assert "Desk at 127.0.0.1, firmware 1.30, every 0.5 s" in screen.text
        strip.set(6, is_on=False)
        screen.wait_for("6 Port 6 off 0.0 W 0.00 A 1200.0 W")
        screen.wait_for("\n41.8 W in all")
        strip.unplug()
        screen.wait_for("away since ")
        strip.plug_in()
        screen.wait_for("W in all")
        assert screen.end(number) == 0
    # The table makes room for what was logged.
    assert re.search(r"\x1b\[2K[0-9:]{8} WARNING: Desk .* is away: .*\n", screen.raw)
    # The cursor is to be seen again.
    assert screen.raw.rstrip().endswith("\x1b[?25h")
