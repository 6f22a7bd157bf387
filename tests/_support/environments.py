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
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path

import pytest


@dataclass(frozen=True)
class PackageFolder(ABC):
    """A folder with some packages and nothing of ours."""

    folder: Path
    requirements: tuple[str, ...]

    def make(self) -> None:
        """Make it, if it is not there; the whole run ends if that fails."""
        complete = self.folder / "complete"
        wanted = "\n".join(self.requirements)
        if complete.exists() and complete.read_text("utf-8") == wanted:
            return
        shutil.rmtree(self.folder, ignore_errors=True)
        try:
            self._install()
        except (OSError, subprocess.CalledProcessError) as exc:
            pytest.exit(f"cannot install {', '.join(self.requirements)}: {exc}", 1)
        complete.write_text(wanted, "utf-8")

    @abstractmethod
    def _install(self) -> None: ...


class PythonEnvironment(PackageFolder):
    """A virtual environment with packages of PyPI."""

    @property
    def python(self) -> Path:
        """Its interpreter."""
        inside = "Scripts/python.exe" if os.name == "nt" else "bin/python"
        return self.folder / inside

    def _install(self) -> None:
        beside = Path(sys.executable).parent
        uv = shutil.which("uv") or shutil.which("uv", path=beside)
        if uv is None:
            venv.create(self.folder, with_pip=True)
            pip = [str(self.python), "-m", "pip", "install", "--quiet"]
        else:
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(self.folder))
            pip = [uv, "pip", "install", "--quiet", "--python", str(self.python)]
        _run(*pip, *self.requirements)


class NodeEnvironment(PackageFolder):
    """A folder with packages of npm."""

    def _install(self) -> None:
        self.folder.mkdir(parents=True)
        npm = ["npm", "install", "--silent", "--prefix", str(self.folder)]
        _run(*npm, *self.requirements)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
