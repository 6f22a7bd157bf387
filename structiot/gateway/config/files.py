"""Files that a configuration names: found beside it, and looked at before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path as FilePath
from typing import Any

from structiot._kit.redact import Secret
from structiot.errors import ConfigError
from structiot.gateway.config.problems import Finding
from structiot.mqtt.broker import Passwords

__all__ = ["with_files"]


def with_files(
    data: Mapping[str, Any], folder: FilePath
) -> tuple[Mapping[str, Any], list[Finding]]:
    """Read the password file, and name TLS files so that they are found from anywhere.

    Args:
        data: The settings as they were written.
        folder: What relative names are relative to.
    """
    found: dict[str, Any] = {}
    findings: list[Finding] = []
    for section, key, target, read in _FILES:
        table = data.get(section)
        if not isinstance(table, Mapping) or not isinstance(table.get(key), str):
            continue
        try:
            value = read(folder / table[key])
        except ValueError as exc:
            findings.append(Finding(path=(section, key), message=f"{key} {exc}"))
        else:
            found[section] = {**found.get(section, table), target: value}
    return {**data, **found}, findings


def _password_in(file: FilePath) -> Secret:
    try:
        first_line = _read(file).decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not text") from None
    if not first_line:
        raise ValueError("has an empty first line")
    return Secret(first_line)


def _passwords_at(file: FilePath) -> str:
    _read(file)
    try:
        Passwords.read(file)
    except ConfigError as exc:
        raise ValueError(f"cannot be used: {exc}") from None
    return str(file)


def _readable(file: FilePath) -> str:
    _read(file)
    return str(file)


def _read(file: FilePath) -> bytes:
    try:
        return file.read_bytes()
    except OSError as exc:
        raise ValueError(
            f"cannot be read: {(exc.strerror or str(exc)).lower()}"
        ) from exc


# Section and key of each file, the key that its content goes to, and how it is read.
_FILES: tuple[tuple[str, str, str, Callable[[FilePath], object]], ...] = (
    ("mqtt", "password_file", "password", _password_in),
    ("mqtt", "ca_file", "ca_file", _readable),
    ("mqtt", "cert_file", "cert_file", _readable),
    ("mqtt", "key_file", "key_file", _readable),
    ("broker", "password_file", "password_file", _passwords_at),
    ("broker", "store", "store", str),
)
