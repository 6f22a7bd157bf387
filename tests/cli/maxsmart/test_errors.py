"""What the program says when there is no device to talk to: who, where, what to do."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing

import pytest

pytestmark = pytest.mark.e2e

ADVICE = "is it on, and in this network? `structiot maxsmart discover` finds devices"


@pytest.fixture
def silent() -> Iterator[list[str]]:
    """The place of somebody who accepts connections and never says a word."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]
        yield ["127.0.0.1", "--http-port", str(port), "--udp-port", "9"]


def test_a_refused_connection_is_named_with_host_and_ports(call):
    where = ["127.0.0.1", "--http-port", "9", "--udp-port", "9"]
    said = call("state", *where, status=1)
    place = "127.0.0.1 (TCP 9, UDP 9)"
    refused = "cannot connect to 127.0.0.1:9: connection refused"
    assert said == f"structiot: no MaxSmart device at {place}: {refused}; {ADVICE}\n"


def test_a_name_that_nobody_has_is_named(call):
    said = call("on", "no-such-strip.invalid", "1", status=1)
    place = "no-such-strip.invalid (TCP 80, UDP 8888)"
    assert said.startswith(f"structiot: no MaxSmart device at {place}: ")
    assert said.endswith(f"; {ADVICE}\n")
    assert said.count("\n") == 1


def test_silence_ends_within_its_deadline(call, silent):
    said = call("info", *silent, "--timeout", "0.3", status=1)
    assert "(TCP " in said
    assert said.endswith(f": silent for 0.3 s; {ADVICE}\n")


def test_another_kind_of_server_is_told_from_a_device(call, simulate):
    strip = simulate()
    strip.sim.faults.lie_next("html", 20, on="http")
    said = call("power", *strip.where, status=1)
    assert said.startswith("structiot: reply: ")
    assert "Traceback" not in said
    assert said.count("\n") == 1


@pytest.mark.parametrize("option", ["--http-port", "--udp-port"])
@pytest.mark.parametrize("port", ["0", "65536", "http"])
def test_a_bad_network_port_is_a_wrong_use(call, option: str, port: str):
    said = call("info", "127.0.0.1", option, port, status=2)
    assert f"Invalid value for '{option}'" in said


@pytest.mark.parametrize("command", ["info", "on", "off", "state", "power", "watch"])
def test_a_host_is_needed(call, command: str):
    assert "Missing argument 'HOST'" in call(command, status=2)


def test_a_name_that_the_output_cannot_write_is_no_failure(simulate):
    strip = simulate(name="Büro ☕")
    command = [sys.executable, "-m", "structiot", "maxsmart", "info", *strip.where]
    done = subprocess.run(
        command,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stderr, done.returncode) == ("", 0)
    assert "B?ro ?" in done.stdout
