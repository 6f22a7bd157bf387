"""Folders that hold one foreign MQTT client each, made once and kept."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from tests.interop_mqtt.servers import needed

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(os.environ.get("STRUCTIOT_INTEROP", ROOT / ".nox" / "interop-clients"))


def python_with(name: str, *requirements: str) -> Path:
    """Give the interpreter of an environment with these requirements."""
    folder = FOLDER / name
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    if _is_missing(folder, requirements):
        uv = shutil.which("uv", path=_search_path())
        if uv is None:
            venv.create(folder, with_pip=True)
            _run(str(python), "-m", "pip", "install", "--quiet", *requirements)
        else:
            _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
            options = ("pip", "install", "--quiet", "--python", str(python))
            _run(uv, *options, *requirements)
        _complete(folder, requirements)
    return python


def node_with(name: str, script: Path, *requirements: str) -> list[str]:
    """Give the command that runs a script with these packages of npm."""
    folder = FOLDER / name
    if _is_missing(folder, requirements):
        folder.mkdir(parents=True)
        _run(
            needed("npm", "npm"),
            "install",
            "--silent",
            "--prefix",
            str(folder),
            *requirements,
        )
        _complete(folder, requirements)
    # A module is looked for beside the script that wants it.
    return [needed("node", "nodejs"), str(shutil.copy(script, folder))]


def _is_missing(folder: Path, requirements: tuple[str, ...]) -> bool:
    complete = folder / "complete"
    if complete.exists() and complete.read_text("utf-8") == "\n".join(requirements):
        return False
    shutil.rmtree(folder, ignore_errors=True)
    return True


def _complete(folder: Path, requirements: tuple[str, ...]) -> None:
    (folder / "complete").write_text("\n".join(requirements), "utf-8")


def _search_path() -> str:
    beside = str(Path(sys.executable).parent)
    return os.pathsep.join([os.environ.get("PATH", ""), beside])


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
