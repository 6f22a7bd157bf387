"""`structiot maxsmart on|off|state|power`: switching and metering, in words and JSON."""

from __future__ import annotations

import json

import pytest

pytestmark = pytest.mark.e2e

FAMILIES = ["mh_strip_130", "mh_strip_211", "revogi_511"]


def words(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


@pytest.mark.parametrize("family", FAMILIES)
def test_a_port_is_switched_and_read(simulate, call, family: str):
    strip = simulate(family)
    assert call("off", *strip.where, "2") == ""
    assert json.loads(call("state", *strip.where, "2", "--json")) == {"2": False}
    assert strip.states[:3] == [True, False, True]
    assert call("on", *strip.where) == ""
    states = json.loads(call("state", *strip.where, "--json"))
    assert states == {str(port): True for port in range(1, 7)}


def test_several_ports_are_switched_by_one_call(strip, call):
    said = call("off", *strip.where, "5", "2", "5", "--json")
    assert json.loads(said) == {"5": False, "2": False}
    assert strip.states == [True, False, True, True, False, True]
    shown = call("state", *strip.where, "2", "3")
    assert words(shown) == [
        ["port", "name", "state"],
        ["2", "Port", "2", "off"],
        ["3", "Port", "3", "on"],
    ]


@pytest.mark.parametrize("ports", [[], ["0"], ["3", "0"]])
def test_no_port_and_port_0_are_all_by_one_request(strip, call, ports: list[str]):
    said = call("off", *strip.where, *ports, "--json")
    assert json.loads(said) == {str(port): False for port in range(1, 7)}
    assert [r.number for r in strip.sim.requests].count(200) == 1


def test_power_is_shown_with_units_and_the_total(strip, call):
    strip.set(4, is_on=False)
    assert words(call("power", *strip.where)) == [
        ["port", "name", "state", "power", "current"],
        ["1", "Port", "1", "on", "10.0", "W", "0.04", "A"],
        ["2", "Port", "2", "on", "0.0", "W", "0.00", "A"],
        ["3", "Port", "3", "on", "30.5", "W", "0.13", "A"],
        ["4", "Port", "4", "off", "0.0", "W", "0.00", "A"],
        ["5", "Port", "5", "on", "0.0", "W", "0.00", "A"],
        ["6", "Port", "6", "on", "1200.0", "W", "5.22", "A"],
        ["-", "total", "-", "1240.5", "W", "-"],
    ]


def test_the_power_of_some_ports_has_no_total(strip, call):
    shown = words(call("power", *strip.where, "3", "1"))
    assert [line[0] for line in shown] == ["port", "3", "1"]
    (reading,) = json.loads(call("power", *strip.where, "3", "--json"))
    assert reading.pop("at_utc").endswith("+00:00")
    assert reading == {
        "device": "SWP6000000000001",
        "port": 3,
        "is_on": True,
        "power_w": 30.5,
        "current_a": 0.13,
        "voltage_v": None,
        "energy_wh": None,
    }


@pytest.mark.parametrize("command", ["on", "off", "state", "power"])
def test_a_port_that_does_not_exist_is_refused_before_anything_is_done(
    strip, call, command: str
):
    said = call(command, *strip.where, "1", "7", status=2)
    text = "Desk (127.0.0.1) has no port 7; its ports are 1 to 6 (0 is all)"
    assert said == f"structiot: {text}\n"
    assert not [r for r in strip.sim.requests if r.number == 200]


def test_a_plug_has_one_port(simulate, call):
    plug = simulate("mh_plug_130", name="Lamp")
    said = call("on", *plug.where, "2", status=2)
    assert (
        said
        == "structiot: Lamp (127.0.0.1) has no port 2; its only port is 1 (0 is all)\n"
    )
    shown = words(call("power", *plug.where))
    assert [line[0] for line in shown] == ["port", "1"]


@pytest.mark.parametrize("port", ["-1", "65", "1,2"])
def test_what_is_no_port_is_a_wrong_use(capsys, call, strip, port: str):
    said = call("state", *strip.where, "--", port, status=2)
    assert "Error: Invalid value for '[PORT]...': " in said
    assert not strip.sim.requests


def test_a_relay_that_does_not_follow_is_a_failure(strip, call):
    strip.sim.faults.stuck_ports.add(1)
    said = call("off", *strip.where, "1", status=1)
    text = "Desk (127.0.0.1) accepted the command, but port 1 is not off"
    assert said == f"structiot: {text}\n"


def test_a_refused_command_is_a_failure(strip, call):
    strip.sim.faults.refuse_next(5, on="200")
    said = call("off", *strip.where, "1", status=1)
    assert said == "structiot: 127.0.0.1 refused SetPort with code 400\n"


def test_a_port_may_be_called_by_its_name_by_every_command_for_ports(strip, call):
    call("rename", *strip.where, "Port 2", "Lamp")
    call("off", *strip.where, "Lamp", "port3", "1")
    assert strip.states == [False, False, False, True, True, True]
    states = json.loads(call("state", *strip.where, "lamp", "2", "--json"))
    assert states == {"2": False}
    (reading,) = json.loads(call("power", *strip.where, "Port 3", "--json"))
    assert reading["port"] == 3
    (series,) = json.loads(call("stats", *strip.where, "Lamp", "--json"))
    assert series["port"] == 2


@pytest.mark.parametrize(
    ("port", "said"),
    [
        (
            "Heater",
            "has no port called 'Heater'; it has 1 (Port 1), 2 (Lamp), 3 (lamp)",
        ),
        ("LAMP", "has 2 ports called 'LAMP': give the number, 2 and 3"),
        ("1,2", "give ports apart: 1 2"),
        ("7", "has no port 7; its ports are 1 to 6"),
        ("99", "99 is not in the range 0<=x<=64"),
    ],
)
def test_a_name_that_means_no_port_or_several_switches_nothing(
    strip, call, port: str, said: str
):
    call("rename", *strip.where, "2", "Lamp")
    call("rename", *strip.where, "3", "lamp")
    assert said in call("off", *strip.where, "1", port, status=2)
    assert all(strip.states)
    # As it is written it is one of them.
    call("off", *strip.where, "lamp")
    assert strip.states == [True, True, False, True, True, True]
