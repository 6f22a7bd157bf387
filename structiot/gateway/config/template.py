"""A configuration to begin with: every section and key, explained, with its default."""

from __future__ import annotations

import types
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from textwrap import wrap
from typing import Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from structiot.gateway.config.assembly import config_model
from structiot.gateway.config.described import (
    keys_of,
    section_name,
    sections_of,
    summary_of,
)
from structiot.gateway.config.fields import SystemSection, models_in
from structiot.gateway.config.loading import load_config
from structiot.gateway.config.positions import Path
from structiot.gateway.config.toml_text import toml_key, toml_value
from structiot.gateway.errors import InvalidConfig

__all__ = ["Template", "template"]

_WIDTH = 88
_HEAD = (
    "What the gateway serves, for 'structiot run'. All that can be set stands here; "
    "what begins with a # alone is not in force, and shows the default or what it is "
    "like: take the # away to set it, and the # before the header of its section. NAME "
    "and '...' stand for what is yours. "
    "'structiot config check' says what is wrong."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """A configuration to begin with.

    Attributes:
        text: The file.
        left_out: Systems that were asked for and are not in force in it yet, with what
            they need.
    """

    text: str
    left_out: Mapping[str, str]


def template(systems: Collection[str] = ()) -> Template:
    """Make a configuration that is accepted as it is.

    Args:
        systems: Those that are served; without, all are explained and none is served.
    """
    root, _ = config_model({}, is_whole=True)
    left_out: dict[str, str] = {}
    lines = list(_comment(_HEAD))
    for path, model in sections_of(root):
        if not path:
            continue
        if systems and _is_of_system(root, path) and path[0] not in systems:
            continue
        is_on = len(path) == 1 and (
            path[0] in systems or not issubclass(model, SystemSection)
        )
        given = getattr(model, "starts_with", {}) if is_on else {}
        if is_on and (why := _fault(str(path[0]), given)):
            left_out[str(path[0])] = why
            is_on, given = False, {}
        lines += ["", "", *_section(path, model, given, is_on=is_on)]
    return Template(text="\n".join(lines) + "\n", left_out=left_out)


def _is_of_system(root: type[BaseModel], path: Path) -> bool:
    found = models_in(root.model_fields[str(path[0])].annotation)
    return any(issubclass(model, SystemSection) for model, _ in found)


def _fault(name: str, given: Mapping[str, object]) -> str:
    try:
        load_config({name: dict(given)})
    except InvalidConfig as exc:
        return str(exc)
    return ""


def _section(
    path: Path, model: type[BaseModel], given: Mapping[str, object], *, is_on: bool
) -> Iterator[str]:
    yield from _comment(summary_of(model))
    mark = "" if is_on else "#"
    yield f"{mark}{section_name(path)}"
    about = keys_of(model)
    for name, info in model.model_fields.items():
        key = info.alias or name
        if any(models_in(info.annotation)):
            # It has a header of its own.
            continue
        yield ""
        yield from _comment(about[key])
        is_set = key in given
        value = given[key] if is_set else _example(info)
        yield f"{'' if is_set else '#'}{toml_key(key)} = {toml_value(value)}"


def _comment(text: str) -> Iterator[str]:
    for line in wrap(text, _WIDTH - 2, break_on_hyphens=False):
        yield f"# {line}"


def _example(info: FieldInfo) -> object:
    if info.examples:
        return info.examples[0]
    default = info.get_default(call_default_factory=False)
    if not info.is_required() and default is not None:
        return default
    return _value_like(info.annotation)


def _value_like(annotation: Any) -> object:  # noqa: ANN401 - an annotation
    origin, parts = get_origin(annotation), get_args(annotation)
    if origin in {Union, types.UnionType}:
        return _value_like(next(part for part in parts if part is not type(None)))
    if origin is Literal:
        return parts[0]
    if origin is not None and hasattr(annotation, "__metadata__"):
        about = (one for one in annotation.__metadata__ if isinstance(one, FieldInfo))
        examples = [example for one in about for example in one.examples or ()]
        return examples[0] if examples else _value_like(parts[0])
    kind = origin or annotation
    plain: dict[object, object] = {bool: False, int: 1, float: 1.0}
    if isinstance(kind, type) and issubclass(kind, Mapping):
        return {}
    if isinstance(kind, type) and issubclass(kind, list | tuple):
        return []
    return plain.get(kind, "...")
