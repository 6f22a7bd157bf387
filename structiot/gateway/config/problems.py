"""From what pydantic found to sentences a user can act on."""

from __future__ import annotations

import difflib
import json
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import ErrorDetails

from structiot._kit.redact import SECRET_NAMES, Secret
from structiot._kit.text import error_text, with_names
from structiot.gateway.config.described import section_name, sections_of
from structiot.gateway.config.fields import Finding, models_in
from structiot.gateway.config.positions import Path

__all__ = ["findings_of"]

# A file of something else is all problems.
_MOST = 200
_NEAR = 0.6
_AS_NEAR = 0.1


def findings_of(
    error: ValidationError, root: type[BaseModel], *, is_toml: bool
) -> list[Finding]:
    """Say everything that a validation found.

    Args:
        error: What it raised.
        root: The class of the settings.
        is_toml: They stood in a file; else a program has given them as a mapping, and
            is told of what it gave in Python's words.
    """
    words = {} if is_toml else _OF_PYTHON
    errors = error.errors()
    found = [_finding(details, root, words) for details in errors[:_MOST]]
    if len(errors) > _MOST:
        more = f"there are {len(errors) - _MOST} further problems like these"
        last: Path = tuple(errors[_MOST]["loc"])
        found.append(Finding(path=last, message=more, is_about_key=True))
    return found


def _finding(
    details: ErrorDetails, root: type[BaseModel], words: Mapping[str, str]
) -> Finding:
    path: Path = tuple(details["loc"])
    kind = details["type"]
    if kind == "extra_forbidden":
        return Finding(path=path, message=_unknown_key(path, root), is_about_key=True)
    name = _name_of(path)
    if kind == "missing":
        where = section_name(path[:-1])
        return Finding(
            path=path, message=f"{name} is missing in {where}", is_about_key=True
        )
    if kind in _WANTED:
        given = details["input"]
        wanted = _wanted(kind, path, given, words)
        found = "" if kind == "finite_number" else f", not {_described(given, words)}"
        return Finding(path=path, message=f"{name} must be {wanted}{found}")
    if kind in _RANGES:
        limit = _RANGES[kind](details.get("ctx", {}))
        shown = _shown(path, details["input"])
        return Finding(path=path, message=f"{name} must be {limit}{shown}")
    if kind == "value_error":
        said = error_text(details["ctx"]["error"])
        said = with_names(said, _keys_at(root, path[:-1]))
        return Finding(path=path, message=f"{name}: {said}")
    said = details["msg"]
    return Finding(path=path, message=f"{name}: {said[:1].lower()}{said[1:]}")


_TABLE = "a table"
_WANTED = {
    "string_type": "a text in quotes",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "tuple_type": "an array",
    "model_type": _TABLE,
    "model_attributes_type": _TABLE,
    "dict_type": _TABLE,
    "mapping_type": _TABLE,
    "is_instance_of": "a text in quotes",
    "finite_number": "a finite number",
}
_RANGES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "greater_than_equal": lambda ctx: f"at least {ctx['ge']:g}",
    "less_than_equal": lambda ctx: f"at most {ctx['le']:g}",
    "string_too_short": lambda _: "a text that is not empty",
    "string_too_long": lambda ctx: f"a text of {ctx['max_length']} characters at most",
    "literal_error": lambda ctx: ctx["expected"],
    "string_pattern_mismatch": lambda ctx: f"a text like {ctx['pattern']}",
}


# What is called otherwise where no TOML was written.
_OF_PYTHON = {
    "a text in quotes": "a str",
    "true or false": "True or False",
    "true": "True",
    "false": "False",
    "an array": "a list",
    "a table": "a mapping",
    "a text": "a str",
}


def _wanted(kind: str, path: Path, value: object, words: Mapping[str, str]) -> str:
    if kind == "tuple_type" and isinstance(value, Mapping) and not words:
        dotted = ".".join(str(part) for part in path)
        return f"an array of tables: write [[{dotted}]]"
    wanted = words.get(_WANTED[kind], _WANTED[kind])
    return f"{wanted}: write {section_name(path)}" if wanted == _TABLE else wanted


def _described(value: object, words: Mapping[str, str]) -> str:
    """Name a value's type; the value itself may be a secret."""
    if isinstance(value, bool):
        name = "true" if value else "false"
        return words.get(name, name)
    names: list[tuple[type | tuple[type, ...], str]] = [
        ((str, Secret), "a text"),
        (int, "a number"),
        (float, "a number with a fraction"),
        (Mapping, "a table"),
        (list, "an array"),
    ]
    for kinds, name in names:
        if isinstance(value, kinds):
            return words.get(name, name)
    if words:
        return "None" if value is None else f"a {type(value).__name__}"
    return "a date or time"


def _shown(path: Path, value: object) -> str:
    if isinstance(value, Secret) or str(path[-1]).lower() in SECRET_NAMES:
        return ""
    return f", not {json.dumps(value, ensure_ascii=False)}"


def _name_of(path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    return names[-1] if names else "the configuration"


def _keys_at(root: type[BaseModel], path: Path) -> dict[str, str]:
    """Give the keys of a section, as arguments are called by them."""
    keys = [key for model in _models_at(root, path) for key in _keys_of(model)]
    ports = [key for key in keys if key.endswith("port")]
    return {"port": (ports or ["a key of its own"])[0], **{key: key for key in keys}}


@cache
def _sections(root: type[BaseModel]) -> dict[Path, type[BaseModel]]:
    return dict(sections_of(root))


def _unknown_key(path: Path, root: type[BaseModel]) -> str:
    key, parent = str(path[-1]), path[:-1]
    sections = _sections(root)
    known = [name for model in _models_at(root, parent) for name in _keys_of(model)]
    what = f"unknown key {key!r} in {section_name(parent)}"
    for model in _models_at(root, parent):
        if meant := getattr(model, "also_called", {}).get(key):
            return f"{what}; did you mean {meant!r}?"
    if near := _nearest(key, known):
        return f"{what}; did you mean {' or '.join(repr(name) for name in near)}?"
    homes = [
        _home(section, key, model.model_fields[key])
        for section, model in sections.items()
        if key in model.model_fields
    ]
    if homes:
        return f"{what}; it belongs in {' or '.join(homes)}"
    return f"{what}; known are {', '.join(known)}"


def _home(section: Path, key: str, info: FieldInfo) -> str:
    """Name the section that a key belongs in, or that it is itself."""
    ways = [way for _, way in models_in(info.annotation)]
    return section_name((*section, key, *ways[0]) if ways else section)


def _nearest(key: str, known: list[str]) -> list[str]:
    """Give the likeliest name, and those that are hardly less likely."""
    plain = key.lower().replace("-", "_")
    ratios = {
        name: difflib.SequenceMatcher(None, plain, name).ratio() for name in known
    }
    best = max(ratios.values(), default=0.0)
    return [name for name in known if ratios[name] >= max(_NEAR, best - _AS_NEAR)]


def _keys_of(model: type[BaseModel]) -> list[str]:
    """Give the keys of a section as they are written."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _models_at(root: type[BaseModel], path: Path) -> list[type[BaseModel]]:
    models = [root]
    for part in path:
        fields = [model.model_fields.get(str(part)) for model in models]
        if any(fields):  # else an item, or one of several kinds of table
            models = [m for f in fields if f for m, _ in models_in(f.annotation)]
    return models
