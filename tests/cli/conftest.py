"""A package of somebody else, as far as the program sees one: by its entry points."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from structiot.cli.main import run_program

Call: TypeAlias = Callable[..., str]
Install: TypeAlias = Callable[..., None]


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Install:
    """Install a package with entry points, for this process and those it starts."""

    def install_it(group: str = "structiot.commands", **points: str) -> None:
        info = tmp_path / "stranger-1.0.dist-info"
        info.mkdir(exist_ok=True)
        head = "Metadata-Version: 2.1\nName: stranger\nVersion: 1.0\n"
        (info / "METADATA").write_text(head)
        lines = [f"[{group}]", *(f"{name} = {where}" for name, where in points.items())]
        with (info / "entry_points.txt").open("a") as out:
            out.write("\n".join([*lines, ""]))
        monkeypatch.syspath_prepend(tmp_path)
        path = [str(tmp_path), os.environ.get("PYTHONPATH", "")]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, path)))

    return install_it


@pytest.fixture
def complete(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]):
    """Ask as a shell does; the last word is what stands before the cursor."""

    def ask(words: str) -> list[str]:
        monkeypatch.setenv("_STRUCTIOT_COMPLETE", "zsh_complete")
        monkeypatch.setenv("COMP_WORDS", f"structiot {words}")
        monkeypatch.setenv("COMP_CWORD", str(len(words.split(" "))))
        assert run_program([]) == 0
        said = capsys.readouterr()
        assert said.err == ""
        lines = said.out.splitlines()
        # Zsh takes three lines an offer: what it is, the word, the help.
        offers = zip(lines[1::3], lines[2::3], strict=True)
        return [f"{word} {text}" for word, text in offers]

    return ask


@pytest.fixture(params=["asyncio", "trio"])
def backend(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def call_of(backend: str, capsys: pytest.CaptureFixture[str]) -> Callable[[str], Call]:
    """Call commands of a group on each backend; give what they say, or why they fail."""

    def make(group: str) -> Call:
        def call_it(*arguments: str, status: int = 0) -> str:
            got = run_program([group, *arguments, "--backend", backend])
            captured = capsys.readouterr()
            assert got == status, captured.err
            if status:
                assert captured.out == ""
                return captured.err
            assert captured.err == ""
            return captured.out

        return call_it

    return make
