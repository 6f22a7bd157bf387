"""`structiot maxsmart` and `structiot sim` against each other, as a user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from structiot.cli.main import run_program

pytestmark = pytest.mark.e2e

PROGRAM = [sys.executable, "-m", "structiot"]


def simulated(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*PROGRAM, "sim", "maxsmart", "--json", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[str, str, int]:
    out, err = process.communicate(timeout=10)
    return out, err, process.returncode


@pytest.fixture(scope="module")
def strips() -> Iterator[list[dict[str, Any]]]:
    """Two strips of different firmware in a process of their own."""
    families = ["--family", "mh_strip_130", "--family", "mh_strip_211"]
    ports = ["--http-port", "0", "--udp-port", "0", "--host", "127.0.0.1"]
    process = simulated("--count", "1", *families[:2], *ports)
    other = simulated("--count", "1", *families[2:], *ports)
    assert process.stdout is not None
    assert other.stdout is not None
    found = json.loads(process.stdout.readline()) + json.loads(other.stdout.readline())
    yield found
    for each in (process, other):
        each.send_signal(signal.SIGINT)
        out, err, status = ended(each)
        assert (out, err, status) == ("", "", 0)


def place(strip: dict[str, Any]) -> list[str]:
    return [
        strip["host"],
        "--http-port",
        str(strip["http_port"]),
        "--udp-port",
        str(strip["udp_port"]),
    ]


@pytest.fixture(params=["asyncio", "trio"])
def call(request, capsys):
    """Call a command on each backend; give its output."""

    def call_it(*arguments: str, status: int = 0) -> str:
        assert run_program([*arguments, "--backend", request.param]) == status
        captured = capsys.readouterr()
        shown: str = captured.err if status else captured.out
        return shown

    return call_it


@pytest.mark.parametrize("index", [0, 1])
def test_a_port_is_switched_and_read(strips, call, index: int):
    where = place(strips[index])
    assert call("maxsmart", "off", *where, "2") == ""
    assert json.loads(call("maxsmart", "state", *where, "2", "--json")) == {"2": False}
    lines = call("maxsmart", "power", *where).splitlines()
    assert lines[0].split() == ["port", "name", "state", "power", "current"]
    assert lines[2].split()[:6] == ["2", "Port", "2", "off", "0.0", "W"]
    assert lines[7].split()[:2] == ["-", "total"]
    assert call("maxsmart", "on", *where) == ""
    states = json.loads(call("maxsmart", "state", *where, "--json"))
    assert states == {str(port): True for port in range(1, 7)}
    shown = call("maxsmart", "state", *where, "3").splitlines()
    assert [line.split() for line in shown] == [
        ["port", "name", "state"],
        ["3", "Port", "3", "on"],
    ]


def test_one_ports_power_is_read(strips, call):
    (reading,) = json.loads(call("maxsmart", "power", *place(strips[1]), "1", "--json"))
    assert (reading["port"], reading["device"]) == (1, strips[1]["serial"])
    assert reading["power_w"] > 0
    assert reading["at_utc"].endswith("+00:00")


def test_a_strip_says_who_it_is(strips, call):
    shown = call("maxsmart", "info", *place(strips[1]))
    assert strips[1]["serial"] in shown
    assert "2.11" in shown
    told = json.loads(call("maxsmart", "info", *place(strips[0]), "--json"))
    assert (told["serial"], told["firmware"]) == (strips[0]["serial"], "1.30")


def test_a_strip_is_discovered_by_its_address(strips, call):
    udp = ["--udp-port", str(strips[0]["udp_port"])]
    found = json.loads(call("maxsmart", "discover", "127.0.0.1", *udp, "--json"))
    assert [device["serial"] for device in found] == [strips[0]["serial"]]
    shown = call(
        "maxsmart", "discover", *udp, "--broadcast", "127.0.0.1", "--wait", "1"
    )
    assert shown.splitlines()[1].split()[0] == "127.0.0.1"
    assert strips[0]["serial"] in shown


def test_nobody_there_is_said_in_one_line(call):
    wait = ["--wait", "0.1", "--broadcast", "127.0.0.1"]
    assert call("maxsmart", "discover", *wait) == "no device answers\n"
    said = call("maxsmart", "discover", "127.0.0.1", *wait, status=1)
    assert said == "structiot: no MaxSmart device answers at 127.0.0.1\n"


def test_a_port_that_does_not_exist_is_refused(strips, call):
    said = call("maxsmart", "on", *place(strips[0]), "7", status=2)
    assert said.count("\n") == 1
    assert "has no port 7; its ports are 1 to 6" in said


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_readings_are_watched_until_a_signal(strips, backend: str):
    process = subprocess.Popen(
        [
            *(*PROGRAM, "maxsmart", "watch", *place(strips[0])),
            *("--every", "0.5", "--json", "--backend", backend),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    ports = [json.loads(process.stdout.readline())["port"] for _ in range(12)]
    assert ports == [1, 2, 3, 4, 5, 6] * 2
    process.send_signal(signal.SIGTERM)
    _, err, status = ended(process)
    assert (err, status) == ("", 0)


def test_a_taken_port_is_said_in_one_line(strips):
    where = ["--host", "127.0.0.1", "--udp-port", str(strips[0]["udp_port"])]
    out, err, status = ended(simulated(*where, "--http-port", "0"))
    taken = f"cannot bind UDP 127.0.0.1:{strips[0]['udp_port']}: address already in use"
    assert (out, err, status) == ("", f"structiot: {taken}\n", 1)
