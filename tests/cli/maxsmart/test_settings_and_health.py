"""`structiot maxsmart rename|clock|ids|health`: words, JSON, and what goes wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import datetime

import pytest

from structiot.cli.main import run_program
from structiot.sim import FAMILIES

pytestmark = pytest.mark.e2e


def pairs(text: str) -> dict[str, str]:
    """Read lines of a name and what it stands for, at least two spaces between."""
    found = (line.partition("  ") for line in text.splitlines() if line)
    return {name.strip(): value.strip() for name, _, value in found}


def test_a_port_and_the_strip_are_renamed(strip, call):
    assert call("rename", *strip.where, "2", "TV & Büro +1") == ""
    said = call("rename", *strip.where, "0", "Work", "--json")
    assert json.loads(said) == {"port": 0, "name": "Work"}
    assert (strip.sim.name, strip.sim.port_names[1]) == ("Work", "TV & Büro +1")
    assert "TV & Büro +1" in call("state", *strip.where, "2")


def test_a_name_that_the_device_cuts_is_said(simulate, capsys, backend):
    short = replace(FAMILIES["mh_strip_130"], name_limit=4, is_name_cut=True)
    strip = simulate(short)
    arguments = ["rename", *strip.where, "1", "Heater"]
    assert run_program(["maxsmart", *arguments, "--backend", backend]) == 0
    assert capsys.readouterr().err == "the device made 'Heat' of it\n"


@pytest.mark.parametrize("name", ["", "   ", "x" * 22, "a\nb"])
def test_a_name_that_no_device_takes_is_refused_before_it_is_sent(strip, call, name):
    assert call("rename", *strip.where, "1", name, status=2).startswith("structiot: ")
    assert 201 not in [request.number for request in strip.sim.requests]


def test_firmware_that_cannot_be_renamed_names_those_that_can(simulate, call):
    strip = simulate("revogi_511", name="Desk")
    said = call("rename", *strip.where, "1", "Lamp", status=1)
    assert said.startswith("structiot: Desk (127.0.0.1), firmware 5.11, has no names ")
    assert said.endswith("; known to have them: firmware 1.30, 3.36\n")


def test_the_clock_is_shown_beside_ones_own(strip, call):
    shown = pairs(call("clock", *strip.where))
    assert list(shown) == ["device", "this machine", "difference"]
    times = [datetime.fromisoformat(shown[name]) for name in ("device", "this machine")]
    assert abs((times[0] - times[1]).total_seconds()) < 3
    assert shown["difference"] == "none"


def test_a_clock_that_is_wrong_is_measured_and_set(strip, call):
    # It ignores the time in the question who it is, but for the last time.
    strip.sim.faults.drop_next(1000, on="discovery")
    strip.portal.call(strip.sim.set_local_time, datetime(2024, 5, 1, 13, 45, 10))  # noqa: DTZ001
    told = json.loads(call("clock", *strip.where, "--json"))
    assert told["device_time"].startswith("2024-05-01T13:45:1")
    assert told["offset_s"] < -3600
    shown = pairs(call("clock", *strip.where))
    assert shown["difference"].endswith(" s slow")
    strip.sim.faults.clear()
    told = json.loads(call("clock", *strip.where, "--set", "--json"))
    assert abs(told["offset_s"]) < 3


def test_a_clock_that_cannot_be_read_can_be_set(simulate, call):
    strip = simulate("revogi_511")
    said = call("clock", *strip.where, status=1)
    assert said.endswith("; known to have them: firmware 1.30, 3.36\n")
    shown = pairs(call("clock", *strip.where, "--set"))
    assert shown["device"] == "set; it does not tell its time"
    assert shown["difference"] == "-"


def test_identifiers_are_ranked_by_trust(strip, call):
    lines = [line.split() for line in call("ids", *strip.where).splitlines()]
    assert [line[0] for line in lines[1:5]] == ["cpu", "mac", "serial", "address"]
    assert lines[3] == [
        "serial",
        "SWP6000000000001",
        "discovery",
        "sn_SWP6000000000001",
    ]
    assert lines[-1] == ["reports", "to", "www.maxsmart.ch"]
    told = json.loads(call("ids", *strip.where, "--json"))
    assert told["best"] == told["ranked"][0]
    assert told["best"]["text"] == f"cpu_{told['cpu_id']}"
    assert told["plc_key"] == "***"


def test_firmware_without_identifiers_has_those_of_discovery(simulate, call):
    strip = simulate("revogi_336")
    told = json.loads(call("ids", *strip.where, "--json"))
    assert (told["cpu_id"], told["best"]["kind"]) == (None, "mac")


@pytest.mark.parametrize(
    ("family", "protocol"), [("mh_strip_130", "HTTP"), ("revogi_511", "UDP V3")]
)
def test_health_is_measured(simulate, call, family: str, protocol: str):
    strip = simulate(family, name="Desk")
    shown = pairs(call("health", *strip.where))
    assert shown["state"] == "answers"
    assert shown["protocol"] == protocol
    assert shown["latency"].endswith(" ms")
    told = json.loads(call("health", *strip.where, "--json"))
    assert (told["is_reachable"], told["error"]) == (True, None)
    assert 0 < told["latency_s"] < 2


def test_ill_health_is_a_failure_in_the_same_shape(strip, call, capsys, backend):
    good = json.loads(call("health", *strip.where, "--json"))
    place = ["127.0.0.1", "--http-port", "9", "--udp-port", "9"]
    gone = ["health", *place, "--timeout", "0.5"]
    command = ["maxsmart", *gone, "--json", "--backend", backend]
    assert run_program(command) == 1
    captured = capsys.readouterr()
    bad = json.loads(captured.out)
    assert captured.err == ""
    assert bad.keys() == good.keys()
    assert (bad["host"], bad["is_reachable"]) == ("127.0.0.1", False)
    assert "silent for 0.5 s" in bad["error"]
    assert "silent for 0.5 s" in call(*gone, status=1)


def test_a_device_that_falls_ill_while_it_is_asked_is_a_failure(strip, capsys, backend):
    # The first answer, by which it is opened, is a good one.
    strip.sim.faults.delay_next(0.0, on="511")
    strip.sim.faults.lie_next("watt_short", 20, on="511")
    command = ["maxsmart", "health", *strip.where, "--backend", backend]
    assert run_program(command) == 1
    shown = pairs(capsys.readouterr().out)
    assert "5 elements of `watt` for 6 switches" in shown["state"]
    assert shown["name"] == "Desk"
