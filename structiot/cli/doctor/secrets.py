"""What of a configuration nobody else may see, and texts without it. Blocks."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from pydantic import BaseModel

from structiot._kit.redact import HIDDEN, Secret, hide_credentials, is_secret_name
from structiot._kit.regular_file import read_regular
from structiot.gateway import GatewayConfig

__all__ = ["Cleaner", "settings_in"]

# What is shorter stands in many words, and is hidden where it is a value.
_SHORTEST = 4
_MOST_FILE_BYTES = 1 << 24
_WORDS = ("password", "passwd", "passphrase", "secret", "token", "credential")
_ASSIGNED = re.compile(
    r"^[^\n#=]*?(?:password|passwd|pw|passphrase|secret|token|key)[\w.\"' -]*[=:]\s*"
    r"[\"']?([^\"'\n]+)",
    re.IGNORECASE | re.MULTILINE,
)
_QUOTED = re.compile(r"=\s*[\"']([^\"'\n]+)[\"']")
_IN_ADDRESS = re.compile(r"(?<=://)[^/\s@]+@")


def _is_secret(name: object) -> bool:
    text = str(name).lower()
    if text.endswith(("_file", "_secs", "_s")):
        return False
    return is_secret_name(text) or any(word in text for word in _WORDS)


class Cleaner:
    """Takes secrets out of whatever is given.

    Args:
        path: The configuration's file.
        config: Its settings; None if they cannot be used.
        unknown: Keys that mean nothing: a slip in the name of a secret is one.
    """

    def __init__(
        self, path: str, config: GatewayConfig | None, unknown: Collection[str] = ()
    ) -> None:
        self._unknown = frozenset(unknown)
        found = {
            *_in_model(config),
            *_in_file(Path(path)),
            *_of_keys(settings_in(path), self._unknown),
            *(value for name, value in os.environ.items() if _is_secret(name)),
        }
        known = {one.strip() for one in found}
        known |= {quote(one, safe="") for one in known}
        long_enough = {one for one in known if len(one) >= _SHORTEST}
        # The longest first: one may begin as another.
        self._known = sorted(long_enough, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Give a text without them."""
        for one in self._known:
            text = text.replace(one, HIDDEN)
        return _IN_ADDRESS.sub(f"{HIDDEN}@", text)

    def data(self, value: object) -> object:
        """Give JSON-like data without them, whatever its names."""
        if isinstance(value, Mapping):
            return {
                self.text(str(name)): HIDDEN
                if item and (_is_secret(name) or name in self._unknown)
                else self.data(item)
                for name, item in value.items()
            }
        if isinstance(value, list | tuple):
            return [self.data(item) for item in value]
        if isinstance(value, Secret):
            return HIDDEN
        if isinstance(value, str):
            return self.text(hide_credentials(value))
        return value


def settings_in(path: str) -> object:
    """Read what stands in a configuration's file; nothing if it is no TOML."""
    try:
        data = read_regular(Path(path), most_bytes=_MOST_FILE_BYTES)
        return tomllib.loads(data.decode())
    except (OSError, ValueError):
        return {}


# ---------------------------------------------------------------- where they are


def _in_model(value: object) -> Iterator[str]:
    if isinstance(value, Secret):
        yield value.reveal()
    elif isinstance(value, BaseModel):
        for name in type(value).model_fields:
            yield from _in_model(getattr(value, name))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from _in_model(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _in_model(item)
    elif isinstance(value, str):
        yield from _in_address(value)


def _in_address(text: str) -> Iterator[str]:
    if "://" not in text:
        return
    try:
        parts = urlsplit(text)
    except ValueError:
        return
    if parts.password:
        yield from (parts.password, unquote(parts.password))
    # A websocket's or a web service's key.
    for pair in parts.query.split("&"):
        name, _, value = pair.partition("=")
        if value and _is_secret(name):
            yield from (value, unquote(value))


def _in_file(file: Path) -> Iterator[str]:
    """Find them in a file that may be broken, and in those that it names."""
    text = _text_of(file)
    yield from _ASSIGNED.findall(text)
    yield from _in_secret_tables(text)
    data = settings_in(str(file))
    yield from _in_data(data)
    for name in _files_in(data):
        yield from _in_named(file.parent / name)


def _in_secret_tables(text: str) -> Iterator[str]:
    """Find the values of tables such as `[manager.secrets]`."""
    is_secret = False
    for line in text.splitlines():
        if line.lstrip().startswith("["):
            is_secret = any(map(_is_secret, re.findall(r"[\w-]+", line)))
        elif is_secret:
            yield from _QUOTED.findall(line)


def _in_named(file: Path) -> Iterator[str]:
    text = _text_of(file)
    if "PRIVATE KEY" in text or "CERTIFICATE" in text:
        return
    yield text.partition("\n")[0]
    yield from _ASSIGNED.findall(text)
    # Lines of `UUID = "secret"`.
    yield from _QUOTED.findall(text)


def _text_of(file: Path) -> str:
    try:
        data = read_regular(file, most_bytes=_MOST_FILE_BYTES)
        return data.decode("utf-8", "replace")
    except (OSError, ValueError):
        return ""


def _in_data(value: object, *, is_secret: bool = False) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            yield from _in_data(item, is_secret=is_secret or _is_secret(name))
    elif isinstance(value, list):
        for item in value:
            yield from _in_data(item, is_secret=is_secret)
    elif is_secret:
        yield str(value)
    elif isinstance(value, str):
        yield from _in_address(value)


def _of_keys(value: object, keys: Collection[str]) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            if name in keys:
                yield from _in_data(item, is_secret=True)
            else:
                yield from _of_keys(item, keys)
    elif isinstance(value, list):
        for item in value:
            yield from _of_keys(item, keys)


def _files_in(value: object) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, item in value.items():
            is_file = str(name) == "conf" or str(name).endswith("_file")
            if isinstance(item, str) and is_file and str(name) != "state_file":
                yield item
            else:
                yield from _files_in(item)
    elif isinstance(value, list):
        for item in value:
            yield from _files_in(item)
