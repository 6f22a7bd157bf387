"""The program: which loop, which command, which exit status."""

from __future__ import annotations

import asyncio
import os
import pkgutil
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator

import asyncclick as click
import pytest

import structiot.cli
from structiot.cli.main import main, run_program

# What stands in the folder is in the program.
TOP_COMMANDS = {
    module.name
    for module in pkgutil.iter_modules(structiot.cli.__path__)
    if module.name not in {"_common", "main"}
}


def commands_of(group: click.Group, before: str = "") -> Iterator[tuple[str, bool]]:
    """Give every command by its words, and whether it is a group."""
    ctx = click.Context(group)
    for name in group.list_commands(ctx):
        command = group.get_command(ctx, name)
        yield f"{before}{name}", isinstance(command, click.Group)
        if isinstance(command, click.Group):
            yield from commands_of(command, f"{before}{name} ")


COMMANDS = dict(commands_of(main))
GROUPS = [words for words, is_group in COMMANDS.items() if is_group]


@pytest.fixture(autouse=True)
def _a_command_that_fails(install, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STRUCTIOT_BACKEND", raising=False)
    install(boom="tests.cli.boom:boom", which="tests.cli.boom:which")


def test_help_lists_every_command_with_one_line(capsys):
    assert run_program(["--help"]) == 0
    shown = capsys.readouterr().out
    for name in (*TOP_COMMANDS, "boom"):
        assert f"\n  {name} " in shown
    assert "Run the gateway." in shown
    assert "End somehow." in shown


def test_what_stands_in_the_folder_is_what_there_is():
    assert {words for words in COMMANDS if " " not in words} == TOP_COMMANDS
    assert {"maxsmart on", "mqtt pub", "sim maxsmart"} < COMMANDS.keys()


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(capsys, command: str):
    assert run_program([*command.split(), "--help"]) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"Usage: structiot {command} ")
    if command not in GROUPS:
        assert "--backend" in shown


@pytest.mark.parametrize("group", GROUPS)
def test_a_group_lists_each_of_its_commands_with_one_line(capsys, group: str):
    assert run_program([*group.split(), "--help"]) == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].splitlines()
    lines = dict(line.split(maxsplit=1) for line in listed if line[2] != " ")
    inner = [one for one in COMMANDS if one.rpartition(" ")[0] == group]
    assert [f"{group} {name}" for name in lines] == inner


def test_the_version_is_the_packages(capsys):
    assert run_program(["--version"]) == 0
    assert capsys.readouterr().out.startswith("structiot, version 0.")


def test_an_unknown_command_is_a_wrong_use(capsys):
    assert run_program(["rum"]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "No such command 'rum'" in captured.err


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["rnu"], "No such command 'rnu'. Did you mean 'run'?"),
        (["mqtt", "pbu"], "No such command 'pbu'. Did you mean 'pub'?"),
        (["history", "queryy"], "No such command 'queryy'. Did you mean 'query'?"),
        (["xyzzy"], "No such command 'xyzzy'.\n"),
    ],
)
def test_the_nearest_command_is_proposed(words: list[str], said: str, capsys):
    assert run_program(words) == 2
    assert said in capsys.readouterr().err


@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("--foo", "'--foo'.\n"),
        ("--topik", "'--topik'. Did you mean '--topic'?\n"),
        ("--x", "'--x'.\n"),
    ],
)
def test_for_an_unknown_option_only_what_is_alike_is_proposed(
    capsys, option: str, said: str
):
    assert run_program(["mqtt", "sub", option]) == 2
    shown = capsys.readouterr().err
    assert shown.startswith("Usage: structiot mqtt sub")
    assert shown.replace("(", "").replace(")", "").endswith(f"option {said}")


@pytest.mark.parametrize(
    ("how", "status", "said"),
    [
        ("usage", 2, "structiot: no port 7\n"),
        ("config", 2, "structiot: no such thing\n"),
        ("connect", 1, "structiot: cannot connect to 10.0.0.7:80\n"),
        (
            "bug",
            1,
            "structiot: internal error: ZeroDivisionError: oops; --debug shows where\n",
        ),
        ("abort", 130, ""),
        ("interrupt", 130, ""),
        ("interrupts", 130, ""),
        ("exit", 7, ""),
    ],
)
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_every_end_has_its_status_and_one_line(capsys, backend, how, status, said):
    assert run_program(["boom", how, "--backend", backend]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.lstrip("\n") == said


def test_debug_shows_the_traceback(capsys):
    assert run_program(["boom", "bug", "--debug"]) == 1
    shown = capsys.readouterr().err
    assert "Traceback (most recent call last)" in shown
    assert "boom.py" in shown


@pytest.mark.parametrize(
    "arguments",
    [
        ["--backend", "curio", "boom", "x"],
        ["--backend=curio", "boom", "x"],
        ["boom", "x", "--backend", "curio"],
    ],
)
def test_a_backend_that_does_not_exist_is_refused_with_those_that_do(capsys, arguments):
    assert run_program(arguments) == 2
    said = capsys.readouterr().err
    assert "'curio' is no backend; there are asyncio, trio, uvloop" in said


def test_the_backend_may_come_from_the_environment(capsys, monkeypatch):
    monkeypatch.setenv("STRUCTIOT_BACKEND", "curio")
    assert run_program(["boom", "x"]) == 2
    assert run_program(["boom", "x", "--backend", "trio"]) == 0
    assert run_program(["boom", "x", "--", "--backend", "trio"]) == 2
    assert "curio" in capsys.readouterr().err


@pytest.mark.parametrize("backend", ["asyncio", "trio", "uvloop"])
def test_the_command_runs_on_the_backend_asked_for(backend: str):
    done = subprocess.run(
        [sys.executable, "-m", "structiot", "which", "--backend", backend],
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == (f"{backend}\n", "", 0)


def test_python_m_structiot_is_the_program():
    done = subprocess.run(
        [sys.executable, "-m", "structiot", "--version"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("structiot, version ")


def test_help_does_not_import_what_no_command_needs():
    code = (
        "import sys\n"
        "from structiot.cli.main import run_program\n"
        "run_program(['--help'])\n"
        "print({'httpx', 'pydantic', 'structiot.sim', 'structiot.mqtt'} & set(sys.modules))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout.endswith("set()\n")


def test_a_reader_that_goes_away_is_no_traceback():
    # As in `structiot sim maxsmart --help | head -1`.
    command = f"{sys.executable} -m structiot sim maxsmart --help | head -c 1"
    done = subprocess.run(
        ["bash", "-c", command], capture_output=True, text=True, check=False
    )
    assert "Traceback" not in done.stderr
    assert "Exception" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_is_told_how_to_complete(capsys, shell: str):
    assert run_program(["completion", shell]) == 0
    assert f"_STRUCTIOT_COMPLETE={shell}_source structiot" in capsys.readouterr().out


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_line_for_a_shell_says_nothing_where_there_is_no_program(
    capsys, tmp_path, shell: str
):
    assert run_program(["completion", shell]) == 0
    path = shutil.which(shell)
    if path is None:
        # The line for fish is written with the same guard as that for bash.
        assert capsys.readouterr().out.startswith("command -v structiot >/dev/null")
        return
    done = subprocess.run(
        [path, "-c", capsys.readouterr().out],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout + done.stderr == ""


LONG_COMMANDS = {
    "mqtt broker -p0": "listening at",
    "sim maxsmart --http-port 0 --udp-port 0": "127.0.0.2",
    "demo --devices 4": "watch it",
}


@pytest.mark.e2e
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("command", LONG_COMMANDS)
def test_what_runs_until_it_is_ended_ends_with_0(command: str, number: signal.Signals):
    process = subprocess.Popen(
        [sys.executable, "-m", "structiot", *command.split()],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
        text=True,
    )
    assert process.stdout is not None
    while LONG_COMMANDS[command] not in (line := process.stdout.readline()):
        assert line, process.communicate()
    process.send_signal(number)
    _, said = process.communicate(timeout=15)
    assert (process.returncode, "Traceback" in said) == (0, False), said


def test_completion_knows_commands_and_options(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "structiot"],
        env={
            "_STRUCTIOT_COMPLETE": "bash_complete",
            "COMP_WORDS": "structiot maxsmart d",
            "COMP_CWORD": "2",
            "PATH": "/usr/bin:/bin",
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert "plain,discover" in done.stdout


def test_no_loop_is_left_behind():
    run_program(["boom", "x"])
    with pytest.raises(RuntimeError):
        asyncio.get_running_loop()
