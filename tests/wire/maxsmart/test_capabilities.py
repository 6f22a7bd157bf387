"""Which firmware can what, where nobody knows, and how long a name may be."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.maxsmart.wire.capabilities import (
    Capabilities,
    name_limit_of,
    renames_by,
)
from structiot.maxsmart.wire.messages import Transport


def capabilities(transport: Transport = "http", **options) -> Capabilities:
    return Capabilities(transport=transport, **{"has_port_names": None, **options})


@pytest.mark.parametrize("firmware", ["1.06", "1.10", "1.30", "2.11", "new", None])
def test_names_have_21_characters_where_http_brings_them(firmware):
    limit = name_limit_of(firmware)
    assert (limit.most, limit.unit) == (21, "characters")
    assert renames_by(firmware) == "http"


@pytest.mark.parametrize("firmware", ["3.36", "3.49", "5.11", "5.12"])
def test_names_have_15_bytes_where_v3_brings_them(firmware):
    limit = name_limit_of(firmware)
    assert (limit.most, limit.unit) == (15, "bytes")
    assert renames_by(firmware) == "udp_v3"


@pytest.mark.parametrize(
    ("firmware", "expected"),
    [
        ("1.30", True),
        ("1.31", True),
        ("1.99", True),
        ("1.29", None),
        ("1.06", None),
        ("1.05", None),
        ("0.9", None),
        ("2.11", None),
        ("2.10", None),
        ("3.36", False),
        ("3.99", False),
        ("4.00", None),
        ("5.11", False),
        ("5.12", False),
        ("6.00", False),
        ("5.10", None),
        ("", None),
        (None, None),
        ("new", None),
        ("v1.30", None),
    ],
)
def test_versions_between_those_that_are_known_are_like_the_one_before(
    firmware, expected
):
    assert capabilities().of("statistics", firmware) is expected


@pytest.mark.parametrize("firmware", ["1.30", "2.11", None])
def test_v3_alone_has_commands_for_names_and_none_for_the_rest(firmware):
    can = capabilities("udp_v3")
    for capability in ("statistics", "clock", "identifiers"):
        assert can.of(capability, firmware) is False
    assert can.of("rename", None) is None


def test_what_a_device_shows_fills_in_what_nobody_knows():
    can = capabilities()
    can.show("statistics", "2.11", is_supported=True)
    can.show("statistics", "1.30", is_supported=False)
    assert can.of("statistics", "2.11") is True
    assert can.of("statistics", "1.10") is None
    # A hang-up where the command is known to work proves nothing.
    assert can.of("statistics", "1.30") is True


def test_names_of_ports_are_decided_by_what_discovery_brought():
    assert capabilities(has_port_names=True).of("port_names", "5.11") is True
    assert capabilities(has_port_names=False).of("port_names", "1.30") is False
    assert capabilities().of("port_names", "1.30") is True


def test_an_owner_is_believed_and_a_slip_of_the_pen_is_not():
    can = capabilities("udp_v3", assumed=["statistics"])
    assert can.of("statistics", "5.11") is True
    with pytest.raises(UsageError, match="there are statistics, rename"):
        capabilities(assumed="statistics")


def test_bytes_are_those_of_utf_8():
    assert name_limit_of("5.11").length_of("é") == 2
    assert name_limit_of("1.30").length_of("é") == 1
