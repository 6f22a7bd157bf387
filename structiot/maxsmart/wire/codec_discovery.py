"""Discovery datagrams: `00dv=all,2024-05-01,13:45:10,14;` and the JSON that answers."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final, Literal

from structiot._kit.json_text import (
    clean_text,
    compact,
    integer_of,
    parse_object,
    text_of,
    violation,
)
from structiot._kit.redact import Secret
from structiot.maxsmart.wire.codec_data import (
    ZONE_SHIFT_H,
    local_time_of,
    local_time_text,
    normal_mac,
)
from structiot.maxsmart.wire.messages import DiscoveryReply, DiscoveryRequest

__all__ = [
    "decode_discovery_reply",
    "decode_discovery_request",
    "encode_discovery_reply",
    "encode_discovery_request",
    "ports_of_serial",
    "readable_serial",
]

EVERYONE: Final = "all"
_REQUEST = re.compile(r"00(dv|sw)=([^,;]*)(?:,([^;]*))?", re.DOTALL)
_SERIAL = re.compile(r"[\x21-\x7e]{4,32}")
_KNOWN = frozenset({"sn", "name", "pname", "mac", "sak", "ver"})
_PORTS_BY_DIGIT = {"1": 1, "6": 6}


def encode_discovery_request(request: DiscoveryRequest) -> bytes:
    """Write the question.

    Example:
        `00dv=all,2024-05-01,13:45:10,14;` asks all devices at 13:45:10, UTC+2.
    """
    fields = [f"00{request.word}={request.serial or EVERYONE}"]
    if request.local_time is not None:
        fields.append(local_time_text(request.local_time))
        if request.zone_h is not None:
            fields.append(str(request.zone_h + ZONE_SHIFT_H))
    return f"{','.join(fields)};".encode("ascii", "replace")


def decode_discovery_request(data: bytes) -> DiscoveryRequest:
    """Read the question as devices do: only its beginning must be right.

    A date, time or zone that cannot be read is None.

    Raises:
        ProtocolViolation: Not a discovery request; a device stays silent.
    """
    found = _REQUEST.match(data.decode("utf-8", "replace"))
    if found is None:
        raise violation("no discovery request", data)
    word: Literal["dv", "sw"] = "sw" if found[1] == "sw" else "dv"
    selector = found[2].strip("\0 \r\n")
    date, _, rest = (found[3] or "").partition(",")
    time, _, zone = rest.partition(",")
    return DiscoveryRequest(
        serial=None if selector == EVERYONE else selector,
        local_time=local_time_of(f"{date.strip()},{time.strip()}"),
        zone_h=_zone_h(zone.strip("\0 \r\n")),
        word=word,
    )


def _zone_h(field: str) -> int | None:
    number = integer_of(field)
    if number is None:
        return None
    # An embedded client writes the offset itself, with its sign.
    offset_h = number if field[0] in "+-" else number - ZONE_SHIFT_H
    return offset_h if -12 <= offset_h <= 14 else None


def encode_discovery_reply(reply: DiscoveryReply) -> bytes:
    """Write the answer; what is None is left out."""
    members: dict[str, object] = {
        "sn": reply.serial,
        "name": reply.name,
        "pname": None if reply.port_names is None else list(reply.port_names),
        "mac": None if reply.mac is None else _mac_text(reply.mac),
        "sak": None if reply.pairing_key is None else reply.pairing_key.reveal(),
        "ver": reply.firmware,
    }
    data = {name: value for name, value in members.items() if value is not None}
    answer = {"response": 0, "data": {**data, **reply.extra}}
    return compact(answer, is_ascii=False).encode("utf-8", "replace")


def decode_discovery_reply(data: bytes) -> DiscoveryReply:
    """Read the answer of a device.

    Members that are missing, null or of a wrong type are None. `response` may be
    missing or wrong.

    Raises:
        ProtocolViolation: No JSON object, or one without a non-empty `data` object.
    """
    members = parse_object(data, "discovery reply")
    fields = members.get("data")
    if not isinstance(fields, dict) or not fields:
        raise violation("discovery reply: no `data` object", data)
    key = text_of(fields.get("sak"))
    return DiscoveryReply(
        serial=readable_serial(fields.get("sn")),
        name=text_of(fields.get("name")),
        firmware=text_of(fields.get("ver")),
        mac=normal_mac(fields.get("mac")),
        port_names=_port_names(fields),
        pairing_key=Secret(key) if key else None,
        extra={name: value for name, value in fields.items() if name not in _KNOWN},
    )


def readable_serial(value: object) -> str | None:
    """Give a serial of 4 to 32 printable ASCII characters; None for a corrupted one."""
    if not isinstance(value, str):
        return None
    serial = value.strip("\0 \t\r\n")
    return serial if _SERIAL.fullmatch(serial) else None


def ports_of_serial(serial: str | None) -> int | None:
    """Tell the number of ports from a serial such as `SWP6...`; None if it does not."""
    if serial is None or len(serial) < 4 or not serial.startswith("SW"):
        return None
    return _PORTS_BY_DIGIT.get(serial[3])


def _port_names(fields: Mapping[str, object]) -> tuple[str, ...] | None:
    names = fields.get("pname")
    if not isinstance(names, list):
        return None
    return tuple(clean_text(name) if isinstance(name, str) else "" for name in names)


def _mac_text(digits: str) -> str:
    return ":".join(digits[i : i + 2] for i in range(0, len(digits), 2)).upper()
