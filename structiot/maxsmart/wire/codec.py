"""Commands and their replies: HTTP targets, V3 frames, and the envelope of both.

What a device is asked goes out as the vendor's app writes it: integers, the serial
whenever it is known, the whole JSON percent-encoded. What comes in is read
leniently. Facts marked so in the comments were never seen on hardware by us.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import quote, unquote_plus

from structiot._kit.json_text import (
    compact,
    integer_of,
    parse_object,
    text_of,
    violation,
)
from structiot.errors import UnsupportedDevice
from structiot.maxsmart.wire.codec_discovery import check_datagram
from structiot.maxsmart.wire.messages import (
    CODE_OK,
    Command,
    HttpNumber,
    ReadClock,
    ReadData,
    ReadIdentifiers,
    ReadStatistics,
    ReadSwitches,
    Reply,
    Request,
    SetName,
    SetPort,
    StatisticsPeriod,
    V3Number,
)

__all__ = [
    "HTTP_NUMBERS",
    "V3_NUMBERS",
    "V3_PREFIX",
    "decode_http_target",
    "decode_reply",
    "decode_v3_reply",
    "decode_v3_request",
    "encode_http_target",
    "encode_reply",
    "encode_v3_reply",
    "encode_v3_request",
    "response_number",
]

V3_PREFIX: Final = b"V3"

HTTP_NUMBERS: Mapping[type[Command], HttpNumber] = MappingProxyType(
    {
        SetPort: HttpNumber.SET_PORT,
        SetName: HttpNumber.SET_NAME,
        ReadIdentifiers: HttpNumber.IDENTIFIERS,
        ReadClock: HttpNumber.CLOCK,
        ReadStatistics: HttpNumber.STATISTICS,
        ReadData: HttpNumber.DATA,
        ReadSwitches: HttpNumber.SWITCHES,
    }
)
V3_NUMBERS: Mapping[type[Command], V3Number] = MappingProxyType(
    {
        SetPort: V3Number.SET_PORT,
        SetName: V3Number.SET_NAME,
        ReadData: V3Number.DATA,
    }
)

_ENVELOPE = frozenset({"response", "code", "data", "sn"})
_TARGET = re.compile(
    r"(?P<path>[^?]*)\?cmd=(?P<cmd>\d{1,9})(?:&(?P<rest>.*))?", re.DOTALL
)


def response_number(command: Command, *, is_v3: bool = False) -> int:
    """Give the number by which a reply names the command it answers.

    Raises:
        UnsupportedDevice: V3 has no such command.
    """
    kind = type(command)
    if not is_v3:
        return HTTP_NUMBERS[kind]
    if kind not in V3_NUMBERS:
        message = f"devices that speak only UDP V3 have no command {kind.__name__}"
        raise UnsupportedDevice(message, supported=("firmware with HTTP (1.x to 3.x)",))
    return V3_NUMBERS[kind]


# ---------------------------------------------------------------- HTTP, client's half


def encode_http_target(request: Request) -> str:
    """Write a request as the target of a GET: `/?cmd=200&json=%7B%22sn%22...`.

    Without a serial, commands that need nothing else go out without `json`, which
    the firmware that does not insist on a serial answers.
    """
    members = _members(request)
    target = f"/?cmd={response_number(request.command)}"
    if not members:
        return target
    # Everything is encoded: `&`, `#` and `+` in a name would break the command.
    return f"{target}&json={quote(compact(members, is_ascii=True), safe='')}"


def _members(request: Request) -> dict[str, object]:
    members: dict[str, object] = {}
    if request.serial is not None:
        members["sn"] = request.serial
    match request.command:
        case SetPort(port=port, is_on=is_on):
            # Integers work everywhere, text and booleans only here and there.
            members |= {"port": port, "state": int(is_on)}
        case SetName(port=port, name=name):
            members |= {"port": port, "name": name}
        case ReadStatistics(period=period):
            members["type"] = int(period)
        case _:
            pass
    return members


# ---------------------------------------------------------------- HTTP, device's half


def decode_http_target(target: str) -> Request:
    """Read the target of a GET as devices do.

    `json` is everything after `json=`, so that a bare `&` inside it does no harm;
    `+` is a blank. Reads need no JSON.

    Raises:
        ProtocolViolation: Unknown command, no JSON or a member is missing; a device
            hangs up without an answer.
    """
    data = target.encode("utf-8", "replace")
    found = _TARGET.fullmatch(target)
    if found is None:
        raise violation("no MaxSmart command", data)
    members: dict[str, object] = {}
    _, has_json, text = (found["rest"] or "").partition("json=")
    if has_json:
        json_bytes = unquote_plus(text, errors="replace").encode("utf-8", "replace")
        members = parse_object(json_bytes, "request")
    number = int(found["cmd"])
    for kind, candidate in HTTP_NUMBERS.items():
        if candidate == number:
            return _request(kind, members, data)
    raise violation(f"unknown command {number}", data)


def _request(
    kind: type[Command], members: Mapping[str, object], data: bytes
) -> Request:
    command = _READERS[kind](members)
    if command is None:
        raise violation(f"{kind.__name__}: a member is missing or wrong", data)
    return Request(command=command, serial=text_of(members.get("sn")))


def _read_set_port(members: Mapping[str, object]) -> Command | None:
    port, state = integer_of(members.get("port")), integer_of(members.get("state"))
    if port is None or state not in {0, 1}:
        return None
    return SetPort(port=port, is_on=state == 1)


def _read_set_name(members: Mapping[str, object]) -> Command | None:
    port, name = integer_of(members.get("port")), members.get("name")
    if port is None or not isinstance(name, str):
        return None
    return SetName(port=port, name=name)


def _read_statistics(members: Mapping[str, object]) -> Command | None:
    period = integer_of(members.get("type"))
    if period not in set(StatisticsPeriod):
        return None
    return ReadStatistics(period=StatisticsPeriod(period))


_READERS: Mapping[type[Command], Callable[[Mapping[str, object]], Command | None]] = {
    SetPort: _read_set_port,
    SetName: _read_set_name,
    ReadStatistics: _read_statistics,
    ReadData: lambda _: ReadData(),
    ReadSwitches: lambda _: ReadSwitches(),
    ReadIdentifiers: lambda _: ReadIdentifiers(),
    ReadClock: lambda _: ReadClock(),
}


# ---------------------------------------------------------------- the reply's envelope


def decode_reply(body: bytes) -> Reply:
    """Read the body of an HTTP reply.

    A `code` may be a text and may be missing, `response` may be wrong or missing.

    Raises:
        ProtocolViolation: No JSON object, a `code` that is no number, or `data` that
            is no object.
    """
    return _reply(parse_object(body, "reply"), body)


def encode_reply(reply: Reply) -> bytes:
    """Write the body of an HTTP reply."""
    members: dict[str, object] = {}
    if reply.response is not None:
        members["response"] = reply.response
    members["code"] = reply.code
    if reply.serial is not None:
        members["sn"] = reply.serial
    members |= reply.extra
    if reply.data is not None:
        members["data"] = dict(reply.data)
    return compact(members, is_ascii=False).encode("utf-8", "replace")


def _reply(members: Mapping[str, object], body: bytes) -> Reply:
    code: int | None = CODE_OK
    if members.get("code") is not None:
        code = integer_of(members["code"])
    if code is None:
        raise violation("reply: `code` is no number", body)
    data = members.get("data")
    if data is not None and not isinstance(data, dict):
        raise violation("reply: `data` is no object", body)
    return Reply(
        response=integer_of(members.get("response")),
        code=code,
        data=data,
        serial=text_of(members.get("sn")),
        extra={name: value for name, value in members.items() if name not in _ENVELOPE},
        excerpt=body,
    )


# ---------------------------------------------------------------- V3 frames


def encode_v3_request(request: Request) -> bytes:
    """Write a request as a V3 frame.

    Raises:
        UnsupportedDevice: V3 has no such command; a device would stay silent.
    """
    number = response_number(request.command, is_v3=True)
    members = _members(request)
    ordered: dict[str, object] = {}
    if "sn" in members:
        ordered["sn"] = members.pop("sn")
    ordered |= {"cmd": number, **members}
    return V3_PREFIX + compact(ordered, is_ascii=True).encode("ascii")


def decode_v3_request(data: bytes) -> Request:
    """Read a V3 frame as devices do; text after the object is ignored.

    Raises:
        ProtocolViolation: No V3 frame or an unknown command; a device stays silent.
    """
    if not data.startswith(V3_PREFIX):
        raise violation("no V3 frame", data)
    members = parse_object(data[len(V3_PREFIX) :], "V3 request")
    number = integer_of(members.get("cmd"))
    for kind, candidate in V3_NUMBERS.items():
        if candidate == number:
            return _request(kind, members, data)
    raise violation(f"unknown V3 command {number}", data)


def encode_v3_reply(reply: Reply, *, has_prefix: bool = True) -> bytes:
    """Write a reply as a V3 frame; some firmware may leave the prefix away."""
    body = encode_reply(reply)
    return V3_PREFIX + body if has_prefix else body


def decode_v3_reply(data: bytes) -> Reply:
    """Read a V3 reply, with or without prefix; text after the object is ignored.

    Raises:
        ProtocolViolation: No JSON object, not the envelope of a reply, or more bytes
            than any device sends.
    """
    check_datagram(data)
    return _reply(parse_object(data.removeprefix(V3_PREFIX), "V3 reply"), data)
