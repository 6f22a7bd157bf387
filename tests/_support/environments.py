"""Folders that hold packages of other people, each made once and kept.

That takes minutes and is no test's time: the conftest of the tests that need them calls
`make` before the first one starts. Delete the folder to have them made anew.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True, slots=True)
class PythonEnvironment:
    """A virtual environment that holds some packages and nothing of ours."""

    folder: Path
    requirements: tuple[str, ...]

    @property
    def python(self) -> Path:
        """Its interpreter."""
        inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.folder / inside

    def make(self) -> None:
        """Make it, if it is not there."""
        _once(self.folder, self.requirements, self._install)

    def _install(self) -> None:
        uv = shutil.which("uv") or shutil.which("uv", path=Path(sys.executable).parent)
        if uv is None:
            venv.create(self.folder, with_pip=True)
            pip = [str(self.python), "-m", "pip", "install", "--quiet"]
        else:
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(self.folder))
            pip = [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        _run(*pip, *self.requirements)


@dataclass(frozen=True, slots=True)
class NodeEnvironment:
    """A folder with packages of npm."""

    folder: Path
    requirements: tuple[str, ...]

    def make(self) -> None:
        """Make it, if it is not there."""
        _once(self.folder, self.requirements, self._install)

    def _install(self) -> None:
        self.folder.mkdir(parents=True)
        npm = ["npm", "install", "--silent", "--prefix", str(self.folder)]
        _run(*npm, *self.requirements)


def _once(
    folder: Path, requirements: tuple[str, ...], install: Callable[[], None]
) -> None:
    complete = folder / "complete"
    wanted = "\n".join(requirements)
    if complete.exists() and complete.read_text("utf-8") == wanted:
        return
    shutil.rmtree(folder, ignore_errors=True)
    try:
        install()
    except (OSError, subprocess.CalledProcessError) as exc:
        pytest.exit(f"cannot install {', '.join(requirements)}: {exc}", 1)
    complete.write_text(wanted, "utf-8")


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
