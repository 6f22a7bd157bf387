"""Commands and simulators of other packages, found by entry point."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from structiot.cli.main import run_program

BROKEN = "tests.cli.broken:command"


def test_a_command_of_a_stranger_is_one_of_ours_to_who_calls_it(install, capsys):
    install(boom="tests.cli.boom:boom")
    assert run_program(["--help"]) == 0
    assert "  boom        End somehow.\n" in capsys.readouterr().out
    assert run_program(["boom", "--help"]) == 0
    assert capsys.readouterr().out.startswith("Usage: structiot boom ")
    assert run_program(["--backend", "trio", "boom", "usage"]) == 2
    assert capsys.readouterr().err == "structiot: no port 7\n"


def test_a_command_that_is_taken_away_is_gone(install, capsys, monkeypatch):
    install(boom="tests.cli.boom:boom")
    assert run_program(["boom", "x"]) == 0
    monkeypatch.undo()
    assert run_program(["boom", "x"]) == 2
    assert "No such command 'boom'" in capsys.readouterr().err


def test_one_that_cannot_be_loaded_costs_a_line(install, capsys):
    install(broken=BROKEN, gone="no_such_package:x", odd="tests.cli.boom:ENDS")
    assert run_program(["--help"]) == 0
    shown = capsys.readouterr().out
    said = " ".join(shown.split())
    assert "broken cannot load 'broken' of stranger: SystemExit: not today" in said
    assert "gone cannot load 'gone' of stranger: ModuleNotFoundError: No mod" in said
    assert (
        "odd cannot load 'odd' of stranger: tests.cli.boom:ENDS is no command" in said
    )
    assert "Run the gateway." in said


@pytest.mark.parametrize("more", [[], ["--help"]])
def test_one_that_cannot_be_loaded_says_so_when_it_is_called(install, capsys, more):
    install(broken=BROKEN)
    assert run_program(["broken", *more]) == 1
    captured = capsys.readouterr()
    why = "cannot load 'broken' of stranger: SystemExit: not today"
    assert (captured.out, captured.err) == ("", f"Error: {why}\n")


def test_debug_shows_where_it_cannot_be_loaded(install, capsys):
    install(broken=BROKEN)
    assert run_program(["broken", "--debug"]) == 1
    assert "broken.py" in capsys.readouterr().err


def test_nobody_is_loaded_for_a_command_of_ours_or_for_a_shell(install, complete):
    install(run=BROKEN, broken=BROKEN)
    code = (
        "import sys\n"
        "from structiot.cli.main import run_program\n"
        "status = run_program(['run', '--help'])\n"
        "print(status, 'tests.cli.broken' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("Usage: structiot run ")
    assert done.stdout.endswith("\n0 False\n")
    sys.modules.pop("tests.cli.broken", None)
    assert [one.split()[0] for one in complete("b")] == ["broken"]
    assert "tests.cli.broken" not in sys.modules


def test_a_simulator_of_a_stranger_is_listed_with_what_it_can(install, capsys):
    group = "structiot.simulators"
    install(group, toy="tests.cli.toy:simulator", broken=BROKEN)
    assert run_program(["sim", "--help"]) == 0
    assert "  toy       Simulate lamps.\n" in capsys.readouterr().out
    assert run_program(["sim", "toy"]) == 0
    assert capsys.readouterr().out == "a lamp shines\n"
    assert run_program(["sim", "families", "--json"]) == 0
    said = capsys.readouterr()
    rows = json.loads(said.out)
    assert {"system": "toy", "name": "bulb", "watts": 60} in rows
    assert {row["system"] for row in rows} == {"manager", "maxsmart", "meross", "toy"}
    assert "cannot load 'broken' of stranger" in said.err
    assert run_program(["sim", "faults"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["toy", "flicker", "it", "does"] in lines
