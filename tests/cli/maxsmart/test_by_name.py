"""A device is called by its name or its serial number, as `discover` shows them."""

from __future__ import annotations

import json

import pytest

from structiot.cli.main import run_program

pytestmark = pytest.mark.e2e


@pytest.fixture(autouse=True)
def _asks_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STRUCTIOT_MAXSMART_BROADCAST", "127.0.0.1")


@pytest.mark.parametrize("called", ["desk lamp", "Desk Lamp", "SWP6000000000001"])
def test_a_device_is_switched_by_its_name(simulate, call, called: str):
    strip = simulate(name="Desk Lamp", serial="SWP6000000000001")
    where = strip.where[1:]
    assert json.loads(call("on", called, "2", *where, "--json")) == {"2": True}
    assert strip.states[1]


def test_a_name_that_nobody_has_is_said(simulate, call):
    strip = simulate(name="Desk")
    said = call("state", "kitchen corner", *strip.where[1:], status=1)
    assert said.startswith(
        "structiot: no host is called 'kitchen corner', and no device that answers; is it"
    )


def test_a_name_with_dots_is_one_of_a_host(simulate, call):
    strip = simulate(name="desk.invalid")
    said = call("state", "desk.invalid", *strip.where[1:], status=1)
    assert said.startswith("structiot: no MaxSmart device at desk.invalid ")


@pytest.mark.parametrize("command", ["energy", "stats"])
def test_energy_has_the_same_command_as_elsewhere(strip, capsys, command: str):
    words = ["maxsmart", command, *strip.where, "--period", "monthly", "--json"]
    assert run_program(words) == 0
    (shown,) = json.loads(capsys.readouterr().out)
    assert (shown["period"], len(shown["points"])) == ("monthly", 12)
