"""Files that a configuration names: found beside it, and looked at before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from structiot.gateway.config.fields import Finding, NamedFile, fields_given
from structiot.gateway.config.positions import Path

__all__ = ["with_files"]


def with_files(
    model: type[BaseModel], data: Mapping[str, Any], folder: FilePath
) -> tuple[Mapping[str, Any], list[Finding]]:
    """Read secrets from their files, and name the others so that they are found.

    Args:
        model: The settings; its marks say which of them name files.
        data: The settings as they were written.
        folder: What relative names are relative to.
    """
    found = deepcopy(dict(data))
    findings: list[Finding] = []
    for path, info, value in fields_given(model, data):
        mark = next((one for one in info.metadata if isinstance(one, NamedFile)), None)
        if mark is None or not isinstance(value, str):
            continue
        try:
            content = mark.read(folder / value)
        except ValueError as exc:
            findings.append(Finding(path=path, message=f"{path[-1]} {exc}"))
        else:
            _table_at(found, path[:-1])[mark.into or str(path[-1])] = content
    return found, findings


def _table_at(data: Any, path: Path) -> dict[str, Any]:  # noqa: ANN401 - TOML
    for part in path:
        data = data[part]
    table: dict[str, Any] = data
    return table
