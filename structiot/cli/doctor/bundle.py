"""What others need to help, in one file, without secrets. Blocks."""

from __future__ import annotations

import importlib.metadata
import io
import json
import platform
import re
import sys
import zipfile
from collections.abc import Mapping
from pathlib import Path

from structiot._kit.private_file import replace_file
from structiot._kit.regular_file import read_last
from structiot._kit.text import path_fault
from structiot.cli._common.output import as_json
from structiot.cli.doctor.examine import Report
from structiot.cli.doctor.secrets import Cleaner, settings_in
from structiot.errors import ConfigError

__all__ = ["write_bundle"]

_LAST_BYTES = 524_288
_NAME = re.compile(r"[A-Za-z0-9._-]+")
_UNKNOWN = re.compile(r"unknown key '([^']*)'")
_ABOUT = """What `structiot doctor --bundle` has written.

versions.json   of structiot, of Python, of the packages that it uses, of the system
config.json     the configuration, with secrets as ***
findings.json   what the doctor has found
status.json     how the systems were at the end of the trial
log.txt         what was logged meanwhile
last_log.txt    the last lines of the log that was named by --log

Passwords, tokens and keys are not in it. Names, addresses and serial numbers of devices
are: look through it before you give it to anybody.
"""


def write_bundle(file: Path, report: Report, log_file: Path | None = None) -> None:
    """Write it, readable by its owner alone.

    Args:
        file: Where to.
        report: What was found.
        log_file: A log whose last lines shall be in it.

    Raises:
        ConfigError: It cannot be written, or the log not be read.
    """
    unknown = [key for one in report.findings for key in _UNKNOWN.findall(one.what)]
    cleaner = Cleaner(report.path, report.config, unknown)

    def data(value: object) -> str:
        cleaned = cleaner.data(as_json(value))
        return f"{json.dumps(cleaned, ensure_ascii=False, indent=2)}\n"

    members = {
        "README.txt": _ABOUT,
        "versions.json": data(_versions()),
        "config.json": data(settings_in(report.path)),
        "findings.json": data(report.findings),
        "status.json": data(report.status),
        "log.txt": cleaner.text("\n".join([*report.log, ""])),
    }
    if log_file is not None:
        members["last_log.txt"] = cleaner.text(_last_of(log_file))
    try:
        # In the place of one that is there, which others may be able to read.
        replace_file(file.resolve(), _packed(members))
    except OSError as exc:
        reason = exc.strerror or str(exc)
        raise ConfigError(f"{file} cannot be written: {reason.lower()}") from exc


def _packed(members: Mapping[str, str]) -> bytes:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, text in members.items():
            bundle.writestr(f"structiot-doctor/{name}", text.encode("utf-8", "replace"))
    return made.getvalue()


def _last_of(file: Path) -> str:
    try:
        return read_last(file, most_bytes=_LAST_BYTES).decode("utf-8", "replace")
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{file} cannot be read: {path_fault(exc)}") from exc


def _versions() -> dict[str, object]:
    return {
        "structiot": importlib.metadata.version("structiot"),
        "python": sys.version,
        "system": platform.platform(),
        "machine": platform.machine(),
        "packages": {name: _version_of(name) for name in sorted(_needed())},
    }


def _needed() -> set[str]:
    wanted = importlib.metadata.requires("structiot") or []
    return {found[0] for one in wanted if (found := _NAME.match(one))} - {"structiot"}


def _version_of(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return "not installed"
