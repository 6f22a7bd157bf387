"""JSON as small devices write it, and as nobody should."""

from __future__ import annotations

import json
from uuid import UUID

import pytest

from structiot._kit.http.messages import HttpReply
from structiot._kit.json_text import (
    compact,
    integer_of,
    number_of,
    parse_json,
    parse_object,
)
from structiot.cli._common.output import as_json
from structiot.errors import ProtocolViolation, UsageError
from structiot.manager.wire.info import Info
from structiot.meross.features.requests import checked_request


@pytest.mark.parametrize("text", ["7", " 7\n", "7\x1f", "\x1c7", "\x857\xa0"])
def test_blanks_around_a_number_do_no_harm(text):
    assert integer_of(text) == 7
    assert number_of(text) == 7


@pytest.mark.parametrize("value", ["", " ", "7 7", "\x1f", "x", True, None, [7]])
def test_what_is_no_number_is_none(value):
    assert integer_of(value) is None
    assert number_of(value) is None


@pytest.mark.parametrize("depth", [48, 53, 900, 100_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}"), ('[[],{"b":[1]},', "]")])
@pytest.mark.parametrize("beside", ["", "]" * 200, "[" * 200, '\\"[{'])
def test_what_is_nested_too_deeply_is_refused_by_every_python(
    pair: tuple[str, str], depth: int, beside: str
):
    opening, closing = pair
    deep = f"{opening * (depth - 2)}[1]{closing * (depth - 2)}"
    data = f'{{"{beside}":"{beside}","x":{deep}}} trailing [ [ ['.encode()
    if depth < 50:
        assert len(parse_object(data, "it")) == 2
    else:
        with pytest.raises(
            ProtocolViolation, match=r"too deeply|more than 65536 lists"
        ):
            parse_object(data, "it")


def test_what_is_wide_is_not_deep():
    wide = {"x": [[], {"a": [{}]}, "]]]"] * 10_000, "y": "[" * 1000}
    assert parse_object(json.dumps(wide).encode(), "it") == wide


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf")])
def test_a_number_that_json_does_not_have_is_not_written(number: float):
    value = {"a": [number]}
    with pytest.raises(ValueError, match="Out of range float"):
        compact(value, is_ascii=True)
    with pytest.raises(ValueError, match="Out of range float"):
        HttpReply.of_json(value)
    info = Info(uuid=str(UUID(int=1)), type="plug", data=value)
    with pytest.raises(UsageError, match="JSON"):
        info.encode()
    with pytest.raises(UsageError, match="no JSON"):
        checked_request("Appliance.Control.X", "SET", value)
    # What is only shown says that there is none.
    assert as_json(value) == {"a": [None]}


@pytest.mark.parametrize("text", ["1e999", "-1e999", "NaN", "Infinity"])
def test_a_number_that_nobody_else_could_read_is_none(text: str):
    data = f'{{"a": [{text}, 1.5, 1e3]}}'.encode()
    assert parse_json(data, "it") == {"a": [None, 1.5, 1000.0]}
    assert parse_object(data, "it") == {"a": [None, 1.5, 1000.0]}
