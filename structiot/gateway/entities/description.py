"""The door for what a device says of itself: checked, cut and made printable. Pure."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any, TypeVar

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.model import DeviceInfo

__all__ = ["check_id", "presentable"]

_LONGEST_ID = 128
_LONGEST_TEXT = 100
_LONGEST_URL = 1000
_MAC = re.compile("[0-9a-f]{12}")
_TEXTS = ("name", "manufacturer", "model", "firmware", "hardware", "serial")

InfoT = TypeVar("InfoT", bound=DeviceInfo)


def check_id(id_: object) -> None:
    """Refuse what cannot be an identity; cutting it could make two devices one.

    Raises:
        UsageError: It is no text, or a long one, or none that can be shown.
    """
    is_text = isinstance(id_, str) and id_.isprintable()
    if not (is_text and isinstance(id_, str) and 0 < len(id_) <= _LONGEST_ID):
        shown = printable(repr(id_), most=40)
        message = f"an id has 1 to {_LONGEST_ID} characters that can be shown"
        raise UsageError(f"{message}; its is {shown}")


def presentable(info: InfoT) -> InfoT:
    """Give who a device is as it may be announced and shown.

    Raises:
        UsageError: Its id is none.
    """
    check_id(info.id)
    texts: dict[str, Any] = {name: _text(getattr(info, name)) for name in _TEXTS}
    texts["name"] = texts["name"] or info.id
    return replace(
        info,
        **texts,
        mac=info.mac if info.mac and _MAC.fullmatch(info.mac) else None,
        via=_text(info.via, most=_LONGEST_ID),
        url=_address(info.url),
    )


def _text(given: object, *, most: int = _LONGEST_TEXT) -> str | None:
    return printable(given, most=most) if isinstance(given, str) and given else None


def _address(given: object) -> str | None:
    is_one = isinstance(given, str) and given.isprintable() and " " not in given
    if is_one and isinstance(given, str) and len(given) <= _LONGEST_URL:
        return given
    return None
