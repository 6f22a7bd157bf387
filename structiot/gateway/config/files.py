"""Files that a configuration names: found beside it, and looked at before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from structiot._kit.redact import Secret
from structiot.gateway.config.problems import Finding

__all__ = ["with_files"]

_TLS_KEYS = ("ca_file", "cert_file", "key_file")


def with_files(
    data: Mapping[str, Any], folder: FilePath
) -> tuple[Mapping[str, Any], list[Finding]]:
    """Read the password file, and name TLS files so that they are found from anywhere.

    Args:
        data: The settings as they were written.
        folder: What relative names are relative to.
    """
    mqtt = data.get("mqtt")
    if not isinstance(mqtt, Mapping):
        return data, []
    changed: dict[str, object] = {}
    findings: list[Finding] = []
    if isinstance(mqtt.get("password_file"), str):
        try:
            changed["password"] = _password_in(folder / mqtt["password_file"])
        except ValueError as exc:
            findings.append(_trouble("password_file", exc))
    for key in _TLS_KEYS:
        if isinstance(mqtt.get(key), str):
            try:
                changed[key] = _readable(folder / mqtt[key])
            except ValueError as exc:
                findings.append(_trouble(key, exc))
    return {**data, "mqtt": {**mqtt, **changed}}, findings


def _trouble(key: str, what: ValueError) -> Finding:
    return Finding(path=("mqtt", key), message=f"{key} {what}")


def _password_in(file: FilePath) -> Secret:
    try:
        first_line = _read(file).decode().partition("\n")[0].rstrip("\r")
    except UnicodeDecodeError:
        raise ValueError("cannot be read: it is not text") from None
    if not first_line:
        raise ValueError("has an empty first line")
    return Secret(first_line)


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
