"""Numbers as small devices write them."""

from __future__ import annotations

import pytest

from structiot._kit.json_text import integer_of, number_of


@pytest.mark.parametrize("text", ["7", " 7\n", "7\x1f", "\x1c7", "\x857\xa0"])
def test_blanks_around_a_number_do_no_harm(text):
    assert integer_of(text) == 7
    assert number_of(text) == 7


@pytest.mark.parametrize("value", ["", " ", "7 7", "\x1f", "x", True, None, [7]])
def test_what_is_no_number_is_none(value):
    assert integer_of(value) is None
    assert number_of(value) is None
