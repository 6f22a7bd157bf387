"""Which firmware can what: what the table says, and that the reference says the same."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.maxsmart.wire.capabilities import (
    CAPABILITIES,
    Capabilities,
    name_limit_of,
    renames_by,
)
from structiot.maxsmart.wire.messages import Transport
from tests._support.sources import ROOT


def capabilities(transport: Transport = "http", **options) -> Capabilities:
    return Capabilities(transport=transport, **{"has_port_names": None, **options})


def table() -> tuple[list[str], dict[str, list[str]]]:
    """Read the table of the reference: the firmware versions, and a row a topic."""
    text = (ROOT / "docs/reference/maxsmart.md").read_text("utf-8")
    _, _, section = text.partition("### Which firmware can what")
    lines = [line for line in section.split("```", 1)[0].splitlines() if "|" in line]
    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    head, _, *rows = cells
    return head[1:], {row[0].split(" ")[0].strip('"`'): row[1:] for row in rows}


def test_the_table_in_the_reference_is_the_one_that_is_obeyed():
    heads, rows = table()
    for column, head in enumerate(heads):
        for firmware in head.removesuffix(" and later").split(", "):
            for capability in CAPABILITIES:
                can = capabilities().of(capability, firmware)
                cell = rows[capability][column].split(",")[0]
                assert cell == {True: "yes", False: "no", None: "?"}[can]
            limit = name_limit_of(firmware)
            assert rows["longest"][column] == f"{limit.most} {limit.unit}"
            by_v3 = rows["rename"][column].endswith("by V3")
            assert (renames_by(firmware) == "udp_v3") >= by_v3


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
