"""Whoever types a line of the README or of a page is not told that there is no such thing.

A command of structiot is parsed to its last option, and does nothing; of all others it is
checked that what they name is there.
"""

from __future__ import annotations

import ast
import os
import re
import shlex
import ssl
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import asyncclick as click
import pytest

from structiot.cli.main import main, run_program
from tests._support.documents import PAGES, Block, blocks
from tests._support.sources import ROOT, relative

# What pages speak of as if it lay in the reader's folder.
FILES = (
    *("structiot.toml", "users.txt", "broker.pem", "broker.key"),
    "devices.sqlite",
)


def commands_of(block: Block) -> Iterator[list[str]]:
    """Give the words of each command, without settings of the environment before it."""
    for line in block.text.replace("\\\n", " ").splitlines():
        words = shlex.split(line, comments=True)
        while words:
            end = words.index("&&") if "&&" in words else len(words)
            command, words = words[:end], words[end + 1 :]
            while "=" in command[0]:
                del command[0]
            yield command


COMMANDS = [
    pytest.param(words[0], words[1:], id=f"{block}: {shlex.join(words)}")
    for block in blocks("sh")
    for words in commands_of(block)
]


CERTIFICATES = [
    [words[0], *words[1:]]
    for block in blocks("sh")
    if block.text.startswith("openssl ")
    for words in commands_of(block)
    if words[0] in {"openssl", "echo"}
]


def test_certificates_are_made_as_the_page_says(tmp_path: Path):
    lines = "\n".join(shlex.join(words).replace("'>'", ">") for words in CERTIFICATES)
    subprocess.run(
        ["bash", "-ec", lines], cwd=tmp_path, check=True, capture_output=True
    )
    server = ssl.create_default_context(
        ssl.Purpose.CLIENT_AUTH, cafile=str(tmp_path / "ca.pem")
    )
    server.load_cert_chain(tmp_path / "server.pem", tmp_path / "server.key")
    assert server.get_ca_certs()


@pytest.mark.parametrize(("program", "words"), COMMANDS)
def test_a_command_of_the_pages_exists(
    program: str, words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    match program.removeprefix(".venv/bin/"):
        case "structiot":
            for name in FILES:
                (tmp_path / name).touch()
            monkeypatch.chdir(tmp_path)
            check_structiot(words, monkeypatch)
        case "nox":
            check_nox(words)
        case "pip":
            check_pip(words)
        case "pytest":
            assert all((ROOT / path).exists() for path in words), words
        case "pkill":
            assert words == ["-HUP", "-f", "structiot run"]
        case "python3":
            assert words == ["-m", "venv", ".venv"]
        case "python":
            check_script(words)
        case "openssl" | "echo":
            # With those before it: `test_certificates_are_made_as_the_page_says`.
            assert [program, *words] in CERTIFICATES
        case script:
            assert script.startswith("./"), f"{script} is a command that nobody checks"
            assert os.access(ROOT / script, os.X_OK)


def check_structiot(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    command: click.Command = main
    for word in words:
        if isinstance(command, click.Group):
            found = command.get_command(click.Context(command), word)
            assert found is not None, word
            command = found
    monkeypatch.setattr(command, "callback", lambda **given: None)
    assert run_program(words) == 0


def check_nox(words: list[str]) -> None:
    known = {
        node.name
        for node in ast.parse((ROOT / "noxfile.py").read_text("utf-8")).body
        if isinstance(node, ast.FunctionDef) and node.decorator_list
    }
    sessions = words[: words.index("--")] if "--" in words else words
    assert not sessions or (sessions[0] == "-s" and set(sessions[1:]) <= known)


def check_pip(words: list[str]) -> None:
    assert words[0] == "install"
    if "--group" in words:
        where = words.index("--group")
        _, group = words[where : where + 2]
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
        assert group in project["dependency-groups"]
        words = [*words[:where], *words[where + 2 :]]
    for wanted in words[1:]:
        name, _, extra = wanted.rstrip("]").partition("[")
        if name.startswith("."):
            project = tomllib.loads((ROOT / name / "pyproject.toml").read_text("utf-8"))
            assert not extra or extra in project["project"]["optional-dependencies"]
        else:
            assert wanted in {"-q", "nox[uv]"}


@pytest.mark.parametrize("page", PAGES, ids=relative)
def test_no_page_installs_us_from_an_index_that_does_not_know_us(page: Path):
    text = page.read_text("utf-8")
    assert not re.findall(r"pip install[^`&#\n]*[ '\"]structiot\b", text)


def check_script(words: list[str]) -> None:
    script, *options = words
    command = [sys.executable, str(ROOT / script), "--help"]
    shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    missing = [one for one in options if one.startswith("-") and one not in shown]
    assert not missing


def test_the_demonstration_needs_neither_root_nor_mosquitto():
    readme = (ROOT / "README.md").read_text("utf-8")
    _, _, demo = readme.partition("<!-- demo -->")
    command, _, _ = demo.partition("<!-- tests -->")
    assert "structiot demo" in command
    assert "prepare" not in command
    assert "sudo" not in command
