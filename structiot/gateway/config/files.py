"""Files that a configuration names: found beside it, and looked at before anything runs."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from structiot._kit.text import error_text
from structiot.errors import InternalError
from structiot.gateway.config.fields import Finding, NamedFile, marked
from structiot.gateway.config.positions import Path
from structiot.gateway.config.reading import fault_of
from structiot.gateway.isolation import called

__all__ = ["with_files", "with_value"]


def with_files(
    model: type[BaseModel], data: Mapping[str, Any], folder: FilePath
) -> tuple[Mapping[str, Any], list[Finding]]:
    """Read secrets from their files, and name the others so that they are found.

    Args:
        model: The settings; its marks say which of them name files.
        data: The settings as they were written.
        folder: What relative names are relative to.
    """
    findings: list[Finding] = []
    found = data
    for one in marked(model, data, NamedFile):
        read, into = one.mark.read, one.mark.into
        *above, key = one.path
        if into and into in one.table:
            message = f"{key} and {into} cannot both be given"
            findings.append(Finding(path=one.path, message=message, is_about_key=True))
        if not isinstance(one.value, str):
            continue
        try:
            content = called(partial(read, folder / one.value))
        # A stranger's reader may fail in any way.
        except InternalError as exc:
            cause = exc.__cause__
            why = f"cannot be used: {exc}"
            if isinstance(cause, ValueError):
                why = fault_of(folder, one.value, error_text(cause))
            findings.append(Finding(path=one.path, message=f"{key} {why}"))
        else:
            found = with_value(found, (*above, into or key), content)
    return found, findings


def with_value(data: Any, path: Path, value: object) -> Any:  # noqa: ANN401 - TOML
    """Give the same data with another value at a place."""
    if not path:
        return value
    key, *below = path
    if isinstance(data, Mapping):
        return {**data, key: with_value(data.get(key), tuple(below), value)}
    items = list(data)
    items[int(key)] = with_value(items[int(key)], tuple(below), value)
    return items if isinstance(data, list) else tuple(items)
