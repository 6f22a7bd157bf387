"""Where Home Assistant lives: an environment of its own, on a Python that it takes."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(
    os.environ.get("STRUCTIOT_HOME_ASSISTANT", ROOT / ".nox" / "home-assistant")
)
REQUIREMENT = "homeassistant>=2025.4"
_VERSIONS = ("3.13", "3.14")


def hass_program() -> Path:
    """Give the program of Home Assistant, installed if needed; skip where it cannot be."""
    folder = FOLDER / "env"
    program = folder / "bin" / "hass"
    complete = folder / "complete"
    if not complete.exists():
        python = _python()
        shutil.rmtree(folder, ignore_errors=True)
        _install(python, folder)
        complete.touch()
    return program


def _python() -> str:
    """Find a Python that Home Assistant takes: here, on the path, of pyenv, of uv."""
    here = f"{sys.version_info.major}.{sys.version_info.minor}"
    if here in _VERSIONS:
        return sys.executable
    home = Path.home()
    pyenv = Path(os.environ.get("PYENV_ROOT", home / ".pyenv")) / "versions"
    uv = home / ".local" / "share" / "uv" / "python"
    for version in _VERSIONS:
        found = [
            shutil.which(f"python{version}"),
            *pyenv.glob(f"{version}*/bin/python{version}"),
            *uv.glob(f"cpython-{version}*/bin/python{version}"),
        ]
        for one in found:
            if one is not None and _runs(one):
                return str(one)
    pytest.skip(f"Home Assistant needs Python {' or '.join(_VERSIONS)}; none is here")


def _runs(python: str | Path) -> bool:
    """Whether it does: pyenv puts names on the path that lead nowhere."""
    command = [str(python), "--version"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def _install(python: str, folder: Path) -> None:
    beside = str(Path(sys.executable).parent)
    uv = shutil.which("uv", path=f"{os.environ.get('PATH', '')}{os.pathsep}{beside}")
    inside = str(folder / "bin" / "python")
    if uv is None:
        subprocess.run([python, "-m", "venv", str(folder)], check=True)
        command = [inside, "-m", "pip", "install", "--quiet", REQUIREMENT]
    else:
        subprocess.run([uv, "venv", "-q", "--python", python, str(folder)], check=True)
        command = [uv, "pip", "install", "-q", "--python", inside, REQUIREMENT]
    subprocess.run(command, check=True)
