"""`structiot maxsmart discover|info`: who is there, on a terminal, in a pipe, in JSON."""

from __future__ import annotations

import json

import pytest

from structiot.cli.main import run_program
from tests._support.terminal import terminal

pytestmark = pytest.mark.e2e

NAMES = ["Lamp", "Port 2", "Radio", "", "Port 5", "Heater"]


def test_a_device_is_asked_by_its_address(strip, call):
    (found,) = json.loads(call("discover", "127.0.0.1", *strip.udp, "--json"))
    assert found["serial"] == "SWP6000000000001"
    assert found["port_names"][5] == "Port 6"
    assert set(found) >= {"host", "name", "firmware", "mac", "port_count"}


def test_all_that_answer_stand_in_one_table(strip, call):
    for port, name in enumerate(NAMES, start=1):
        assert strip.sim.rename(port, name)
    where = ["--broadcast", "127.0.0.1", "--wait", "0.3"]
    lines = call("discover", *strip.udp, *where).splitlines()
    assert [line.split() for line in lines] == [
        ["address", "name", "serial", "firmware", "ports", "port", "names"],
        [
            *("127.0.0.1", "Desk", "SWP6000000000001", "1.30", "6"),
            *("Lamp,", "Radio,", "Heater"),
        ],
    ]


def test_the_addresses_to_ask_may_come_from_the_environment(strip, call, monkeypatch):
    monkeypatch.setenv("STRUCTIOT_MAXSMART_BROADCAST", "127.0.0.1")
    said = call("discover", *strip.udp, "--wait", "0.3", "--json")
    assert [one["name"] for one in json.loads(said)] == ["Desk"]


def test_who_is_asked_by_its_address_is_asked_alone(call):
    said = call("discover", "127.0.0.1", "--broadcast", "127.0.0.255", status=2)
    assert "--broadcast asks everybody, HOST one device" in said


def test_devices_are_asked_for_all_that_identifies_them(strip, call):
    where = [*strip.udp, "--http-port", str(strip.sim.http_port), "--identify"]
    (found,) = json.loads(call("discover", "127.0.0.1", *where, "--json"))
    known = found["identifiers"]
    assert len(known["cpu_id"]) == 24
    assert known["plc_key"] == "***"
    lines = call("discover", "127.0.0.1", *where).splitlines()
    assert lines[0].split()[-1] == "identity"
    assert lines[1].split()[-1] == f"cpu_{known['cpu_id']}"


def test_nobody_there_is_no_failure_but_said(capsys, backend):
    wait = ["--wait", "0.1", "--broadcast", "127.0.0.1", "--backend", backend]
    assert run_program(["maxsmart", "discover", *wait]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("no device answers; ")
    assert run_program(["maxsmart", "discover", "--json", *wait]) == 0
    assert capsys.readouterr().out == "[]\n"


def test_an_address_where_nobody_answers_is_a_failure(call):
    wait = ["--wait", "0.1", "--udp-port", "9"]
    said = call("discover", "127.0.0.1", *wait, status=1)
    assert said.startswith("structiot: no MaxSmart device answers at 127.0.0.1")
    assert said.count("\n") == 1


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_devices_appear_on_a_terminal_as_they_answer(strip, backend: str):
    where = [*strip.udp, "--broadcast", "127.0.0.1", "--backend", backend]
    with terminal("maxsmart", "discover", "--wait", "1", *where) as screen:
        screen.wait_for("; 1 found")
        # It is in the table already, while there is time left to listen.
        assert "SWP6000000000001" in screen.text
        assert "listening for 0." in screen.text
        assert screen.ended() == 0
    last = screen.text.split("found")[-1].split()
    assert last[-6:] == ["127.0.0.1", "Desk", "SWP6000000000001", "1.30", "6", "-"]


def test_a_strip_says_who_it_is(strip, call):
    lines = call("info", *strip.where).splitlines()
    shown = {line.split()[0]: line.split()[1:] for line in lines}
    assert shown["name"] == ["Desk"]
    assert shown["firmware"] == ["1.30"]
    assert shown["serial"] == ["SWP6000000000001"]
    assert shown["ports"][:3] == ["Port", "1,", "Port"]
    can = "statistics yes, rename yes, port names yes, clock yes, identifiers yes"
    assert shown["can"] == can.split()
    (mac,) = shown["MAC"]
    assert mac.count(":") == 5
    told = json.loads(call("info", *strip.where, "--json"))
    assert (told["id"], told["firmware"]) == ("SWP6000000000001", "1.30")
    assert told["mac"] == mac.replace(":", "").lower()
    assert set(told["capabilities"].values()) == {True}
    assert told["port_count"] == len(told["port_names"]) == 6
