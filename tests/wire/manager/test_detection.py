"""What the other side speaks, by what it says first."""

from __future__ import annotations

import pytest

from structiot.errors import ProtocolViolation
from structiot.manager.wire.detection import check_spoken, hint_of
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.info import Info
from structiot.manager.wire.sides import device_side, server_side

INFO = Info(uuid="1862cfe1-5dab-4d8e-a946-50d6728f830f", type="lamp")
TLS_HELLO = bytes.fromhex("160301020001000001fc0303")
# D2 and D3 are asked as D1 is, or answer as D0 does.
UNFRAMED = {Dialect.D0, Dialect.D1, Dialect.D2, Dialect.D3}


def opening(dialect: Dialect) -> bytes:
    return server_side(dialect, bytes(16)).ask_info()


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_a_server_of_the_same_dialect_says_is_right_in_any_pieces(dialect):
    first = opening(dialect)
    for size in range(1, len(first) + 1):
        check_spoken(first[:size], dialect)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("spoken", list(Dialect))
def test_a_server_of_another_dialect_is_found_out(dialect, spoken):
    first = opening(spoken)
    if opening(dialect).startswith(first):
        # It may go on.
        check_spoken(first, dialect)
        return
    found = "D1" if spoken is Dialect.D2 else spoken
    said = f"the manager speaks {found}, not {dialect}"
    with pytest.raises(ProtocolViolation, match=said):
        check_spoken(first, dialect)


@pytest.mark.parametrize("dialect", list(Dialect))
def test_a_server_of_no_dialect_is_found_out(dialect):
    for first in (b"220 mail.example ESMTP", b"\x15\x03\x01\x00\x02", b"\x02"):
        with pytest.raises(ProtocolViolation, match="speaks no dialect"):
            check_spoken(first, dialect)


@pytest.mark.parametrize("dialect", list(Dialect))
@pytest.mark.parametrize("spoken", list(Dialect))
def test_what_a_device_seems_to_speak_is_said_if_it_is_another(dialect, spoken):
    device = device_side(spoken, bytes(16))
    device.feed(opening(spoken))
    hint = hint_of(device.tell_info(INFO)[:16], dialect)
    if spoken == dialect or {spoken, dialect} <= UNFRAMED:
        assert hint == ""
    else:
        name = "one of D0 to D3" if spoken in UNFRAMED else spoken
        assert hint == f"; it seems to speak {name}, not {dialect}"


@pytest.mark.parametrize("dialect", list(Dialect))
def test_what_is_not_plain_is_not_said(dialect):
    assert hint_of(TLS_HELLO, dialect) == f"; it seems to speak TLS, not {dialect}"
    for first in (b"", b"GET / HTTP/1.1", b"\x00", b"device##lamp##{}"):
        assert hint_of(first, dialect) == ""
