"""JSON as small devices write it, and as nobody should."""

from __future__ import annotations

import json

import pytest

from structiot._kit.json_text import integer_of, number_of, parse_object
from structiot.errors import ProtocolViolation


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
