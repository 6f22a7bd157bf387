"""JSON as small devices write it, and as nobody should."""

from __future__ import annotations

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


@pytest.mark.parametrize("depth", [99, 101, 900, 100_000])
@pytest.mark.parametrize("pair", [("[", "]"), ('{"a":', "}")])
def test_what_is_nested_too_deeply_is_refused_by_every_python(pair, depth: int):
    opening, closing = pair
    data = f'{{"x":{opening * (depth - 1)}1{closing * (depth - 1)}}}'.encode()
    if depth < 100:
        assert parse_object(data, "it").keys() == {"x"}
    else:
        with pytest.raises(ProtocolViolation, match="nested too deeply"):
            parse_object(data, "it")
