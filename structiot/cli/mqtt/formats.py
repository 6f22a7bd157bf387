"""How messages are printed: the formats of `mosquitto_sub -F`."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TypeAlias

import asyncclick as click

from structiot.mqtt import Message
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["as_json", "formatter", "writer_of"]

Part: TypeAlias = Callable[[Message, datetime], bytes]
Shown: TypeAlias = "Callable[[bytes], bytes] | None"

_NOTHING = PublishProperties()
_ESCAPES = {
    "\\": b"\\",
    "n": b"\n",
    "t": b"\t",
    "r": b"\r",
    "0": b"\0",
    "a": b"\a",
    "e": b"\x1b",
}
_TOKEN = re.compile(
    r"%([-0]*)(\d*)(?:\.(\d*))?(.)|@(.)|\\(.)|([^%@\\]+)|(.)", re.DOTALL
)
# What a precision cuts.
_TEXTS = frozenset("Xptx")


def _properties(message: Message) -> PublishProperties:
    return message.properties or _NOTHING


def _or_empty(value: object) -> bytes:
    return b"" if value is None else str(value).encode()


def _pairs(message: Message) -> bytes:
    pairs = _properties(message).user_properties
    return " ".join(f"{name}:{value}" for name, value in pairs).encode()


def _ids(message: Message) -> bytes:
    ids = _properties(message).subscription_ids
    return " ".join(map(str, ids)).encode()


_FIELDS: dict[str, Part] = {
    "%": lambda _message, _at: b"%",
    "A": lambda message, _at: _or_empty(_properties(message).topic_alias),
    "C": lambda message, _at: _or_empty(_properties(message).content_type),
    "D": lambda message, _at: _properties(message).correlation_data or b"",
    "E": lambda message, _at: _or_empty(_properties(message).message_expiry_s),
    "F": lambda message, _at: _or_empty(_properties(message).payload_format),
    "I": lambda _message, at: at.strftime("%Y-%m-%dT%H:%M:%S%z").encode(),
    "J": lambda message, at: as_json(message, at, parses=True).encode(),
    "P": lambda message, _at: _pairs(message),
    "R": lambda message, _at: _or_empty(_properties(message).response_topic),
    "S": lambda message, _at: _ids(message),
    "U": lambda _message, at: f"{at.timestamp():.9f}".encode(),
    "X": lambda message, _at: message.payload.hex().upper().encode(),
    "j": lambda message, at: as_json(message, at).encode(),
    "l": lambda message, _at: b"%d" % len(message.payload),
    "m": lambda message, _at: b"%d" % message.packet_id,
    "p": lambda message, _at: message.payload,
    "q": lambda message, _at: b"%d" % message.qos,
    "r": lambda message, _at: b"%d" % message.retain,
    "t": lambda message, _at: message.topic.encode(),
    "x": lambda message, _at: message.payload.hex().encode(),
}


_PRETTY: dict[str, Part] = {
    **_FIELDS,
    "J": lambda message, at: as_json(message, at, parses=True, indent=2).encode(),
    "j": lambda message, at: as_json(message, at, indent=2).encode(),
}


def writer_of(
    *, pattern: str | None, verbose: bool, wants_json: bool, pretty: bool, end: bytes
) -> Part:
    """Make what prints messages, by the options of a command.

    Args:
        pattern: Format of `-F`.
        verbose: Whether the topic is printed, too.
        wants_json: Whether JSON is printed instead.
        pretty: Whether JSON is spread over lines.
        end: What follows each message but those in JSON, which end with their line.

    Raises:
        click.UsageError: A format that means nothing.
    """
    shown = _harmless if sys.stdout.isatty() else None
    if wants_json:
        indent = 2 if pretty else None

        def write_json(message: Message, at: datetime) -> bytes:
            return as_json(message, at, indent=indent).encode()

        line = _through(shown, write_json)
        return lambda message, at: line(message, at) + b"\n"
    try:
        write = formatter(
            pattern or ("%t %p" if verbose else "%p"), is_pretty=pretty, shown=shown
        )
    except ValueError as exc:
        raise click.UsageError(str(exc)) from exc
    return lambda message, at: write(message, at) + end


def formatter(text: str, *, is_pretty: bool = False, shown: Shown = None) -> Part:
    r"""Make what prints messages by a format such as `"%t %p\n"`.

    Args:
        text: The format.
        is_pretty: Whether JSON is spread over lines.
        shown: What makes a message's own text fit for where it is printed.

    Raises:
        ValueError: A `%` with a letter that means nothing.
    """
    fields = _PRETTY if is_pretty else _FIELDS
    if shown is not None:
        fields = {letter: _through(shown, field) for letter, field in fields.items()}
    parts = [_part(match, fields) for match in _TOKEN.finditer(text)]

    def write(message: Message, at: datetime) -> bytes:
        return b"".join(part(message, at) for part in parts)

    return write


def _part(match: re.Match[str], fields: Mapping[str, Part]) -> Part:
    flags, width, most, letter, stamp, escape, plain, lone = match.groups()
    if letter is not None:
        field = fields.get(letter)
        if field is None:
            message = f"%{letter} means nothing in a format"
            raise ValueError(message)
        if most and letter in _TEXTS:
            field = _cut(field, int(most))
        return _padded(field, flags, int(width)) if width else field
    if stamp is not None:
        pattern = "@" if stamp == "@" else f"%{stamp}"
        if stamp == "N":
            return lambda _message, at: b"%09d" % (at.microsecond * 1000)
        return lambda _message, at: at.strftime(pattern).encode()
    if lone is not None:
        message = f"{lone} stands at the end of a format, and means nothing there"
        raise ValueError(message)
    if escape is None:
        fixed = plain.encode()
    elif escape in _ESCAPES:
        fixed = _ESCAPES[escape]
    else:
        message = f"\\{escape} means nothing in a format"
        raise ValueError(message)
    return lambda _message, _at: fixed


def _harmless(data: bytes) -> bytes:
    """Give what a terminal may be shown: nothing in it is an order to the terminal."""
    text = data.decode(errors="replace")
    if text.isprintable():
        return text.encode()
    return "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text).encode()


def _through(shown: Shown, field: Part) -> Part:
    if shown is None:
        return field
    return lambda message, at: shown(field(message, at))


def _cut(field: Part, most: int) -> Part:
    return lambda message, at: field(message, at)[:most]


def _padded(field: Part, flags: str, width: int) -> Part:
    def write(message: Message, at: datetime) -> bytes:
        data = field(message, at)
        if "-" in flags:
            return data.ljust(width)
        return data.rjust(width, b"0" if "0" in flags else b" ")

    return write


def as_json(
    message: Message, at: datetime, *, parses: bool = False, indent: int | None = None
) -> str:
    """Write a message as JSON, on one line or indented.

    A payload that is no UTF-8 stands in `payload_hex`.

    Args:
        message: The message.
        at: When it came.
        parses: Whether a payload that is JSON is written as such, not as text.
        indent: By how many spaces, if it is to be spread over lines.
    """
    shown: dict[str, object] = {
        "tst": at.isoformat(),
        "topic": message.topic,
        "qos": message.qos,
        "retain": int(message.retain),
        "payloadlen": len(message.payload),
    }
    if message.packet_id:
        shown["mid"] = message.packet_id
    if message.properties is not None:
        shown["properties"] = _shown(message.properties)
    try:
        text = message.payload.decode()
    except UnicodeDecodeError:
        shown["payload_hex"] = message.payload.hex()
    else:
        shown["payload"] = _parsed(text) if parses else text
    return json.dumps(shown, ensure_ascii=False, indent=indent)


def _parsed(text: str) -> object:
    try:
        value: object = json.loads(text)
        # It may be nested too deep, half a surrogate pair, or NaN, to be written again.
        json.dumps(value, ensure_ascii=False, allow_nan=False).encode()
    except (ValueError, RecursionError):
        return text
    return value


def _shown(properties: PublishProperties) -> dict[str, object]:
    values = {
        "payload-format-indicator": properties.payload_format,
        "message-expiry-interval": properties.message_expiry_s,
        "content-type": properties.content_type,
        "response-topic": properties.response_topic,
        "correlation-data": properties.correlation_data
        and properties.correlation_data.hex(),
        "subscription-identifiers": list(properties.subscription_ids) or None,
        "user-properties": [
            {"name": name, "value": value} for name, value in properties.user_properties
        ]
        or None,
    }
    return {name: value for name, value in values.items() if value is not None}
