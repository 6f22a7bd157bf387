"""What the commands of any system for one device have in common, shown by toys."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest

from structiot.cli.main import run_program
from tests.cli import toy

Call = Callable[..., tuple[int, str, str]]


@pytest.fixture(autouse=True)
def _toys(install) -> Iterator[None]:
    install(toy="tests.cli.toy:toy")
    yield
    assert toy.OPENED == []


@pytest.fixture(params=["asyncio", "trio"])
def call(request, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command on each backend; give its status, output and complaints."""

    def call_it(*words: str) -> tuple[int, str, str]:
        status = run_program(["toy", *words, "--backend", request.param])
        said = capsys.readouterr()
        return status, said.out, said.err

    return call_it


def test_a_command_gets_its_device_open_and_closes_it(call: Call):
    status, out, err = call("dim", "kitchen", "40")
    assert (status, err) == (0, "")
    assert [" ".join(line.split()) for line in out.splitlines()] == [
        "name state",
        "kitchen on, brightness 40 %",
    ]


def test_values_of_the_model_are_json(call: Call):
    _, out, _ = call("dim", "kitchen", "40", "--json")
    ((name, state),) = [row.values() for row in json.loads(out)]
    assert name == "kitchen"
    assert state == {
        "is_on": True,
        "brightness_percent": 40.0,
        "color_temp_k": None,
        "rgb": None,
        "effect": None,
    }


def test_a_command_may_open_it_itself_by_options_of_its_own(call: Call):
    status, out, _ = call("meter", "kitchen", "--watts", "7", "--hue", "red")
    before, reading, meanwhile = out.splitlines()
    assert (status, before, meanwhile) == (0, "kitchen []", "['kitchen red']")
    found = json.loads(reading)
    assert (found["power_w"], found["at_utc"]) == (7.0, "2024-05-01T00:00:00+00:00")


@pytest.mark.parametrize("command", [["dim", "attic", "40"], ["meter", "attic"]])
def test_no_connection_is_one_line_with_what_to_try(call: Call, command: list[str]):
    status, _, err = call(*command)
    said = "structiot: no lamp answers to attic; is it screwed in?\n"
    assert (status, err) == (1, said)


def test_a_refusal_is_one_line_without_advice(call: Call):
    said = "structiot: kitchen does not shine at 1 %\n"
    assert call("dim", "kitchen", "1") == (1, "", said)


@pytest.mark.parametrize("words", [["dim"], ["dim", "kitchen", "half"]])
def test_wrong_words_are_a_wrong_use(call: Call, words: list[str]):
    status, out, err = call(*words)
    assert (status, out) == (2, "")
    assert "Usage: structiot toy dim [OPTIONS] NAME PERCENT" in err


def test_what_the_network_knows_is_offered(complete):
    assert complete("toy dim ") == ["kitchen 60 W", "attic _"]
    assert complete("toy dim --watts 7 k") == ["kitchen 7 W"]
    assert complete("toy dim --watts 0 ") == []


def test_every_command_has_the_options_of_all(complete):
    options = {one.split()[0] for one in complete("toy meter --")}
    common = {"--json", "--backend", "--verbose", "--quiet", "--debug", "--help"}
    assert options == {"--watts", "--hue", *common}
