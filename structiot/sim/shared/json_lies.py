"""JSON that is wrong, for whatever answers with JSON; each system adds its own."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeAlias

from structiot.sim.shared.faults import Change

__all__ = ["JSON_LIES", "Edit", "edited", "inside", "with_members", "without"]

Edit: TypeAlias = Callable[[dict[str, Any]], object]
"""Makes another value of a JSON object."""


def edited(edit: Edit) -> Change:
    """Make a change of the bytes of a JSON object; whatever is none stays as it is."""

    def change(content: bytes) -> bytes:
        try:
            members = json.loads(content)
        except ValueError:
            return content
        if not isinstance(members, dict):
            return content
        text = json.dumps(edit(members), separators=(",", ":"), ensure_ascii=False)
        return text.encode()

    return change


def with_members(**members: object) -> Edit:
    """Make an edit that adds or replaces members."""
    return lambda content: {**content, **members}


def without(name: str) -> Edit:
    """Make an edit that leaves a member out."""
    return lambda content: {key: value for key, value in content.items() if key != name}


def inside(name: str, edit: Callable[[Any], object], kind: type = dict) -> Edit:
    """Make an edit of one member, where there is one of this kind."""

    def change(content: dict[str, Any]) -> object:
        member = content.get(name)
        return {**content, name: edit(member)} if isinstance(member, kind) else content

    return change


JSON_LIES: Mapping[str, Change] = MappingProxyType(
    {
        "array": edited(lambda reply: [reply]),
        "number": edited(lambda _: 42),
        "empty": lambda _: b"",
        "blank": lambda _: b" ",
        "html": lambda _: b"<html><body>It works!</body></html>",
        "half": lambda content: content[: len(content) // 2],
        "comma_too_many": lambda content: content[:-1] + b",}",
        "nul_at_end": lambda content: content + b"\0",
        "line_end": lambda content: content + b"\r\n",
        "not_a_number": lambda content: content.replace(b":[", b":[NaN,", 1),
        "nested_deeply": lambda _: b"[" * 900,
        "oversize": lambda content: content[:-1] + b',"x":"' + b"x" * 2000 + b'"}',
    }
)
"""Contents that are wrong, by name."""
