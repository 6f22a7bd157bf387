"""Replies and requests as the reference has them, none of them made by our encoder."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from structiot.errors import ProtocolViolation
from structiot.maxsmart.wire.codec import (
    HTTP_NUMBERS,
    V3_NUMBERS,
    decode_http_target,
    decode_reply,
    decode_v3_reply,
    decode_v3_request,
)
from structiot.maxsmart.wire.codec_data import (
    read_clock,
    read_identifiers,
    read_port_data,
    read_statistics,
    read_switches,
)
from structiot.maxsmart.wire.codec_discovery import (
    decode_discovery_reply,
    decode_discovery_request,
)
from structiot.maxsmart.wire.messages import Identifiers, PortData, Reply
from structiot.units import from_milli
from tests._support.golden import golden_files


def golden(folder: str) -> list[Any]:
    paths = golden_files(f"maxsmart/{folder}", ".json")
    return [pytest.param(load(path), id=path.stem) for path in paths]


def load(path: Path) -> dict[str, Any]:
    sample: dict[str, Any] = json.loads(path.read_text("utf-8"))
    text = sample.get("bytes_text")
    sample["bytes"] = (
        bytes.fromhex(sample["hex"]) if text is None else text.encode("utf-8")
    )
    return sample


def decoded(sample: dict[str, Any]) -> Reply:
    is_datagram = sample["layer"] == "udp"
    return (decode_v3_reply if is_datagram else decode_reply)(sample["bytes"])


def in_si(ports: PortData) -> dict[str, list[float | None]]:
    return {
        "power_w": [from_milli(figure) for figure in ports.power_mw],
        "current_a": [from_milli(figure) for figure in ports.current_ma],
    }


@pytest.mark.parametrize("sample", golden("replies"))
def test_replies_mean_what_the_reference_says(sample):
    expected = dict(sample["expected"])
    reply = decoded(sample)
    for name, value in expected.items():
        assert READERS[name](reply) == value, name


def ports_or_none(figures: list[float | None]) -> list[float | None] | None:
    return None if all(figure is None for figure in figures) else figures


def secret_of(identifiers: Identifiers) -> str | None:
    key = identifiers.plc_key
    return None if key is None else key.reveal()


def sum_of(row: tuple[float | None, ...]) -> float:
    return sum(figure or 0.0 for figure in row)


READERS: dict[str, Callable[[Reply], object]] = {
    "response": lambda reply: reply.response,
    "code": lambda reply: reply.code,
    "serial": lambda reply: reply.serial,
    "is_on": lambda reply: list(read_switches(reply)),
    "power_w": lambda reply: ports_or_none(in_si(read_port_data(reply))["power_w"]),
    "current_a": lambda reply: ports_or_none(in_si(read_port_data(reply))["current_a"]),
    "cpu_id": lambda reply: read_identifiers(reply).cpu_id,
    "plc_mac": lambda reply: read_identifiers(reply).plc_mac,
    "plc_dak": lambda reply: secret_of(read_identifiers(reply)),
    "server": lambda reply: read_identifiers(reply).server,
    "local_time": lambda reply: read_clock(reply).local_time.isoformat(),
    "price_per_kwh": lambda reply: read_statistics(reply).price,
    "money": lambda reply: read_statistics(reply).currency,
    "type": lambda reply: read_statistics(reply).period,
    "date": lambda reply: read_statistics(reply).date,
    "rows": lambda reply: len(read_statistics(reply).energy_raw),
    "buckets": lambda reply: len(read_statistics(reply).energy_raw[0]),
    "sums_wh": lambda reply: [sum_of(row) for row in read_statistics(reply).energy_raw],
    "newest_wh": lambda reply: [row[-1] for row in read_statistics(reply).energy_raw],
}


def test_the_zone_of_the_later_families_is_read_from_beside_the_data():
    sample = load(next(p for p in golden_files("maxsmart", "502_time_with_zone.json")))
    assert read_clock(decoded(sample)).zone_h == 2


@pytest.mark.parametrize("sample", golden("malformed_data"))
def test_odd_data_are_read_as_far_as_they_make_sense(sample):
    expected = sample["expected"]
    match expected["client"]:
        case "accepts":
            reply = decoded(sample)
            assert reply.code == 200
            ports = read_port_data(reply)
            assert in_si(ports)["power_w"] == expected["power_w"]
            assert list(ports.switches) == expected["is_on"]
        case "violates":
            with pytest.raises(ProtocolViolation):
                read_port_data(decoded(sample))
        case "refused":
            assert decoded(sample).code == 400
        case "ignores":
            assert decoded(sample).response != 90
        case other:
            assert other == "either"
            only_violations(lambda: read_port_data(decoded(sample)))


def only_violations(read):
    with suppress(ProtocolViolation):
        read()


@pytest.mark.parametrize("sample", golden("discovery"))
def test_every_family_says_who_it_is(sample):
    expected, reply = sample["expected"], decode_discovery_reply(sample["bytes"])
    names = expected["port_names"]
    assert reply.serial == expected["serial"]
    assert reply.name == expected["name"]
    assert reply.port_names == (None if names is None else tuple(names))
    assert reply.firmware == expected["firmware"]
    assert reply.mac == expected["mac"].replace(":", "").lower()
    assert reply.pairing_key is not None
    assert reply.pairing_key.reveal() == expected["secret"]
    assert expected["secret"] not in repr(reply)


@pytest.mark.parametrize("sample", golden("malformed_discovery"))
def test_odd_discovery_replies_are_read_or_dropped(sample):
    if sample["expected"]["client"] == "ignores":
        with pytest.raises(ProtocolViolation):
            decode_discovery_reply(sample["bytes"])
    elif sample["expected"]["client"] == "accepts":
        reply = decode_discovery_reply(sample["bytes"])
        assert reply.serial or reply.mac
    else:
        only_violations(lambda: decode_discovery_reply(sample["bytes"]))


@pytest.mark.parametrize("sample", golden("requests"))
def test_devices_understand_what_clients_send(sample):
    expected, data = sample["expected"], sample["bytes"]
    match expected["kind"]:
        case "discovery":
            request = decode_discovery_request(data)
            assert (request.serial or "all") == expected["selector"]
            time = request.local_time
            assert (time and time.isoformat()) == expected["local_time"]
            if isinstance(expected["zone"], int):
                assert request.zone_h == expected["zone"] - 12
        case "v3":
            check_v3(data, expected)
        case "http":
            check_http(data.decode(), expected)


def check_v3(data: bytes, expected: dict[str, Any]) -> None:
    request = decode_v3_request(data)
    assert V3_NUMBERS[type(request.command)] == expected["cmd"]
    assert request.serial == expected["params"].get("sn")
    check_members(request.command, expected["params"])


def check_http(text: str, expected: dict[str, Any]) -> None:
    found = re.match(r"GET (\S+) HTTP/1.1\r\n", text) or re.match(r"GET (\S+)", text)
    assert found is not None
    if expected["params"] == "broken" or expected["cmd"] not in set(
        HTTP_NUMBERS.values()
    ):
        with pytest.raises(ProtocolViolation):
            decode_http_target(found[1])
        return
    request = decode_http_target(found[1])
    params = expected["params"] or {}
    assert HTTP_NUMBERS[type(request.command)] == expected["cmd"]
    assert request.serial == params.get("sn")
    check_members(request.command, params)


def check_members(command: object, params: dict[str, Any]) -> None:
    attribute = {"port": "port", "state": "is_on", "name": "name", "type": "period"}
    for name, value in params.items():
        if name != "sn":
            assert getattr(command, attribute[name]) == value
