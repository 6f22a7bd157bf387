"""What sections and keys are for, by their own docstrings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from inspect import cleandoc

from pydantic import BaseModel

from structiot.gateway.config.fields import models_in
from structiot.gateway.config.positions import Path

__all__ = ["keys_of", "section_name", "sections_of", "summary_of"]

_ATTRIBUTE = re.compile(r"^    (\w+): (.*(?:\n {5,}.*)*)", re.MULTILINE)


def summary_of(model: type[BaseModel]) -> str:
    """Give what stands before the keys in a section's docstring, in one line."""
    before, _, _ = _docstring(model).partition("Attributes:")
    text = " ".join(before.split())
    # Its name in front is said by its header.
    text = re.sub(r"^`\[+[\w.<>]+\]+`: ", "", text)
    return text[:1].upper() + text[1:]


def keys_of(model: type[BaseModel]) -> dict[str, str]:
    """Give what is said of each key of a section, its base classes' included."""
    found: dict[str, str] = {}
    for base in reversed(model.__mro__):
        if issubclass(base, BaseModel):
            _, _, attributes = _docstring(base).partition("Attributes:\n")
            for name, text in _ATTRIBUTE.findall(attributes):
                found[name] = " ".join(text.split())
    fields = model.model_fields.items()
    return {info.alias or name: found.get(name, "") for name, info in fields}


def _docstring(model: type[BaseModel]) -> str:
    text = vars(model).get("__doc__")
    return cleandoc(text) if isinstance(text, str) else ""


def sections_of(
    model: type[BaseModel], path: Path = (), above: tuple[type[BaseModel], ...] = ()
) -> Iterator[tuple[Path, type[BaseModel]]]:
    """Give every section with its path, as `models_in` writes it; inside itself none."""
    yield path, model
    above = (*above, model)
    for name, info in model.model_fields.items():
        for inner, way in models_in(info.annotation):
            if inner not in above:
                yield from sections_of(inner, (*path, name, *way), above)


def section_name(path: Path) -> str:
    """Write the header of a section, as messages name it."""
    names = ".".join(part for part in path if isinstance(part, str))
    if not names:
        return "the file"
    return f"[[{names}]]" if isinstance(path[-1], int) else f"[{names}]"
