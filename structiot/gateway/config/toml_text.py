"""Values and keys as TOML writes them."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from structiot._kit.redact import Secret, hide_credentials

__all__ = ["toml_key", "toml_value"]

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def toml_key(key: str) -> str:
    """Write a key, in quotes where it needs them."""
    return key if _BARE_KEY.fullmatch(key) else _text(key)


def toml_value(value: object) -> str:
    """Write a value in one line; of secrets `***`."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        items = (f"{toml_key(str(k))} = {toml_value(v)}" for k, v in value.items())
        inner = ", ".join(items)
        return f"{{ {inner} }}" if inner else "{}"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml_value, value))}]"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, Secret):
        return _text(str(value))
    return _text(hide_credentials(str(value)))


def _text(text: str) -> str:
    # JSON's escapes are TOML's, which has one more.
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")
