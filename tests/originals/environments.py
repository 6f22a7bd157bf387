"""Virtual environments that hold one version of an original package and nothing of ours."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = Path(
    os.environ.get("STRUCTIOT_ORIGINALS", ROOT / ".nox" / "original-packages")
)


def python_with(requirement: str) -> Path:
    """Give the interpreter of an environment with this requirement, made if needed.

    The environments stay, as nox's own do; delete the folder to make them anew.
    """
    folder = FOLDER / requirement.replace("==", "-")
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    complete = folder / "complete"
    if not complete.exists():
        shutil.rmtree(folder, ignore_errors=True)
        _make(folder, python, requirement)
        complete.touch()
    return python


def _make(folder: Path, python: Path, requirement: str) -> None:
    uv = shutil.which("uv") or shutil.which("uv", path=str(Path(sys.executable).parent))
    if uv is None:
        venv.create(folder, with_pip=True)
        _run(str(python), "-m", "pip", "install", "--quiet", requirement)
    else:
        _run(uv, "venv", "--quiet", "--python", sys.executable, str(folder))
        _run(uv, "pip", "install", "--quiet", "--python", str(python), requirement)


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
