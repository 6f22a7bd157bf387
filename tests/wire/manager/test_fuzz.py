"""Every dialect's parser, on both sides: quick here, for long with `nox -s fuzz`."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.manager.wire.dialects import WORDS, Dialect
from structiot.manager.wire.sides import device_side
from tests.wire.manager.fuzzing import (
    INFO,
    MOST_HELD,
    OWN_INFO,
    asked,
    check,
    first_byte,
    seeds,
)

# Words of all dialects, and what is nearly one.
TOKENS = st.sampled_from(
    [
        INFO,
        OWN_INFO,
        len(INFO).to_bytes(2) + INFO,
        b"##",
        b"{",
        b'"',
        b"\\",
        b"}",
        b"beat",
        b"end\n",
        b"\0\1\1",
        b"\0\1\2",
        b"\0\1\3",
        b"\xff\xff",
        b"P\0\0",
        b"D\0\x09\0\0\0\0\0\0\0\1x",
        b"H\0\x12\1\1" + bytes(16),
        *(word for words in WORDS.values() for word in words.commands),
        *(words.marker for words in WORDS.values() if words.marker),
    ]
)
STREAMS = st.lists(TOKENS | st.binary(max_size=8), max_size=12).map(b"".join)


@pytest.mark.parametrize("is_server", [True, False], ids=["server", "device"])
@pytest.mark.parametrize("dialect", list(Dialect))
@given(stream=STREAMS, how=st.integers(0, 255))
def test_whatever_comes(dialect, is_server, stream, how):
    check(bytes((first_byte(dialect, is_server=is_server), how)) + stream)


def test_what_is_right_is_a_seed():
    for seed in seeds():
        check(seed)


@pytest.mark.parametrize(
    "flood",
    [b"e", b"en", b"b", b"bea", b"\x01", b"\x02\xf8", b"\xff", b"\xf8\x01\xfe", b"x"],
)
@pytest.mark.parametrize("dialect", list(Dialect)[:4])
def test_what_might_go_on_for_ever_is_not_held_for_ever(dialect, flood):
    server, device = asked(dialect), device_side(dialect)
    server.feed(INFO)
    server.ask_alive()
    for _ in range(20):
        for side in (server, device):
            side.feed(flood * 4096)
            assert side.held_bytes <= MOST_HELD
