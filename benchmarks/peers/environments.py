"""One virtual environment for each client, made once and kept in the user's cache."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tomllib
import venv
from pathlib import Path

from peers.libraries import OURS, ROOT, Library

TRUSTME = "trustme==1.2.1"


class EnvironmentFailed(Exception):
    """The client could not be installed; the text is the installer's last line."""


def cache_folder() -> Path:
    base = os.environ.get("STRUCTIOT_BENCH_CACHE")
    if base:
        return Path(base)
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "structiot-bench"


def find_uv() -> str | None:
    beside = Path(sys.executable).parent / "uv"
    return shutil.which("uv") or (str(beside) if beside.exists() else None)


def python_of(folder: Path) -> Path:
    windows = os.name == "nt"
    return folder / ("Scripts/python.exe" if windows else "bin/python")


def ensure(library: Library) -> Path:
    """The Python that has exactly this client installed."""
    if not library.requirements:
        return Path(sys.executable)
    key = [sys.version, *library.requirements]
    if library.name == OURS:
        pyproject = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
        key += pyproject["project"]["dependencies"]
    digest = hashlib.sha256("\n".join(key).encode()).hexdigest()[:12]
    folder = cache_folder() / f"{library.name.split()[0]}-{digest}"
    ready = folder / ".ready"
    if not ready.exists():
        print(f"installing {library.title} ...", file=sys.stderr, flush=True)
        shutil.rmtree(folder, ignore_errors=True)
        install(folder, library.requirements)
        ready.touch()
    return python_of(folder)


def ensure_certificate() -> tuple[Path, Path]:
    """A server's certificate with its key, and who has signed it; made once."""
    maker = Library(name="certificates", runner="", requirements=(TRUSTME,))
    python = ensure(maker)
    folder = python.parents[1] / "made"
    both, cafile = folder / "both.pem", folder / "client.pem"
    if not both.exists():
        folder.mkdir(exist_ok=True)
        command = [str(python), "-m", "trustme", "-q", "-d", str(folder)]
        run([*command, "-i", "127.0.0.1", "localhost"])
        parts = [folder / "server.key", folder / "server.pem"]
        both.write_bytes(b"".join(part.read_bytes() for part in parts))
    return both, cafile


def install(folder: Path, requirements: tuple[str, ...]) -> None:
    folder.parent.mkdir(parents=True, exist_ok=True)
    uv = find_uv()
    python = str(python_of(folder))
    if uv:
        run([uv, "venv", "-q", "--python", sys.executable, str(folder)])
        run([uv, "pip", "install", "-q", "--python", python, *requirements])
    else:
        venv.create(folder, with_pip=True)
        run([python, "-m", "pip", "install", "-q", *requirements])


def run(command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise EnvironmentFailed(lines[-1] if lines else f"status {done.returncode}")
