"""Files with the secrets of devices: TOML, a line `UUID = "secret"` for each."""

from __future__ import annotations

import re
import tomllib
from typing import Final

from structiot._kit.redact import Secret
from structiot.errors import ConfigError, UsageError
from structiot.manager.wire.info import canonical_uuid

__all__ = ["secrets_in"]

_LINE: Final = 'UUID = "secret"'
_PLACE: Final = re.compile(r" \(at (?:line (\d+), column \d+|end of document)\)")


def secrets_in(data: bytes) -> dict[str, Secret]:
    """Read the secret of each device by its UUID; no message shows what stands there.

    Raises:
        ConfigError: It is something else; the text is to stand behind the file's name.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError:
        raise ConfigError("cannot be read: it is not text") from None
    try:
        table = tomllib.loads(text)
    except (ValueError, RecursionError) as exc:
        raise ConfigError(_no_toml(str(exc), text)) from None
    secrets: dict[str, Secret] = {}
    for key, secret in table.items():
        line = _line_of(key, text)
        try:
            uuid = canonical_uuid(key)
        except UsageError:
            raise ConfigError(f"has no UUID in line {line}") from None
        if not isinstance(secret, str):
            raise ConfigError(f"has no {_LINE} in line {line}")
        if not secret:
            raise ConfigError(f"has an empty secret in line {line}")
        if uuid in secrets:
            raise ConfigError(f"has a UUID for the second time in line {line}")
        secrets[uuid] = Secret(secret)
    return secrets


def _no_toml(why: str, text: str) -> str:
    found = _PLACE.search(why)
    if found is None:
        return f"has other lines than {_LINE}"
    line = found[1] or len(text.rstrip("\n").split("\n"))
    why = _PLACE.sub("", why)
    return f"has no {_LINE} in line {line}: {why[:1].lower()}{why[1:]}"


def _line_of(key: str, text: str) -> int:
    """Give the line in which a key stands for the last time."""
    begins = re.compile(rf"""\s*[\["']*{re.escape(key)}(?![\w-])""")
    lines = text.split("\n")
    found = [number for number, line in enumerate(lines, 1) if begins.match(line)]
    return found[-1] if found else len(lines)
