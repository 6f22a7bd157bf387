"""SASLprep with the examples of RFC 4013, section 3, and the rules behind them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import UsageError
from structiot.mqtt.wire.saslprep import saslprep


def stored(text: str) -> str:
    return saslprep(text, "the password", may_be_unassigned=False)


@pytest.mark.parametrize(
    ("text", "prepared"),
    [
        # RFC 4013, section 3, examples 1 to 5.
        ("I\u00adX", "IX"),
        ("user", "user"),
        ("USER", "USER"),
        ("\u00aa", "a"),
        ("\u2168", "IX"),
        # Other blanks are blanks; the composed and the decomposed are one.
        ("a\u00a0\u3000b", "a  b"),
        ("a\u0308\u200b", "\u00e4"),
        ("p\u00e4\u00df", "p\u00e4\u00df"),
        ("\u0627\u0628", "\u0627\u0628"),
        ("\u06271\u0628", "\u06271\u0628"),
    ],
)
def test_what_is_the_same_becomes_the_same(text: str, prepared: str):
    assert stored(text) == prepared


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        # Examples 6 and 7.
        ("\u0007", "not allowed"),
        ("\u06271", "from right to left"),
        ("\u0627a\u0628", "from right to left"),
        ("a\ue000", "not allowed"),
        ("a\ufffd", "not allowed"),
        ("a\u200e", "not allowed"),
        ("a" + chr(0xD800), "not allowed"),
        ("", "is empty"),
        ("\u00ad", "is empty"),
        ("\U0001f600", "Unicode 3.2 does not know"),
    ],
)
def test_what_cannot_be_compared_is_refused_and_not_shown(text: str, problem: str):
    with pytest.raises(UsageError, match=problem) as caught:
        stored(text)
    assert not text or text not in str(caught.value)


def test_what_is_asked_may_be_newer_than_the_tables():
    assert saslprep("\U0001f600", "the name", may_be_unassigned=True) == "\U0001f600"


@given(st.text(max_size=20))
def test_what_is_prepared_stays_so(text: str):
    try:
        once = stored(text)
    except UsageError:
        return
    assert stored(once) == once


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126), min_size=1))
def test_ascii_stays_as_it_is(text: str):
    assert stored(text) == text
