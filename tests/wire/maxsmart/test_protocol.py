"""What is verified, who is who, and what makes suspicious; all without a clock."""

from __future__ import annotations

import pytest

from structiot.maxsmart.wire.messages import DiscoveryReply, PortData, WattStyle
from structiot.maxsmart.wire.protocol import (
    DiscoveryDeduplicator,
    Identity,
    has_jumped,
    is_other_kind,
    mismatched_ports,
)

# ---------------------------------------------------------------- what is verified


@pytest.mark.parametrize(
    ("switches", "port", "is_on", "astray"),
    [
        ((True, False), 1, True, ()),
        ((True, False), 2, True, (2,)),
        ((True, False), 0, True, (2,)),
        ((False, False), 0, False, ()),
        ((None, True), 0, True, (1,)),
        ((True, None), 1, True, ()),
    ],
)
def test_ports_that_do_not_show_what_was_asked_are_astray(
    switches, port, is_on, astray
):
    assert mismatched_ports(switches, port, is_on=is_on) == astray


def data(ports: int, style: WattStyle | None) -> PortData:
    blank = (None,) * ports
    return PortData(
        switches=(True,) * ports, power_mw=blank, current_ma=blank, style=style
    )


@pytest.mark.parametrize(
    ("before", "after", "is_other"),
    [
        (data(6, WattStyle.TEXT_W), data(6, WattStyle.TEXT_W), False),
        (data(6, WattStyle.TEXT_W), data(1, WattStyle.TEXT_W), True),
        (data(6, WattStyle.TEXT_W), data(6, WattStyle.INT_MW), True),
        (data(6, WattStyle.TEXT_W), data(6, None), False),
        (data(6, None), data(6, WattStyle.INT_MW), False),
    ],
)
def test_data_of_another_kind_are_noticed(before, after, is_other):
    assert is_other_kind(before, after) is is_other


@pytest.mark.parametrize(
    ("before_mw", "after_mw", "is_jump"),
    [
        (0, 4999, False),
        (0, 5001, True),
        (100_000, 124_000, False),
        (100_000, 126_000, True),
        (100_000, 0, True),
        (None, 0, True),
        (0, None, True),
        (None, None, False),
    ],
)
def test_power_that_jumps_is_noticed(before_mw, after_mw, is_jump):
    def drawing(power_mw: float | None) -> PortData:
        return PortData(
            switches=(True, True), power_mw=(0.0, power_mw), current_ma=(None, None)
        )

    assert has_jumped(drawing(before_mw), drawing(after_mw)) is is_jump


# ---------------------------------------------------------------- who is who

A, B = "SWP6000000000001", "SWP6000000000002"
M, N = "020000000001", "020000000002"


@pytest.mark.parametrize(
    ("known", "seen", "is_other"),
    [
        ((A, M), (A, M), False),
        ((A, M), (A, N), False),
        ((A, M), (B, M), True),
        ((A, M), (None, M), False),
        ((A, M), (None, N), True),
        ((A, None), (None, N), False),
        ((None, None), (A, M), False),
    ],
)
def test_the_serial_tells_devices_apart_and_else_the_mac(known, seen, is_other):
    identity = Identity(serial=known[0], mac=known[1])
    reply = DiscoveryReply(serial=seen[0], mac=seen[1])
    assert identity.is_other(reply) is is_other
    assert identity.is_known is (known != (None, None))


@pytest.mark.parametrize(
    ("answers", "new"),
    [
        ([(A, M, "h"), (A, M, "h")], [True, False]),
        ([(A, M, "h"), (A, N, "i")], [True, False]),
        ([(A, M, "h"), (B, M, "i")], [True, True]),
        ([(A, M, "h"), (None, M, "h")], [True, False]),
        ([(None, M, "h"), (A, M, "h")], [True, False]),
        ([(None, M, "h"), (None, N, "h")], [True, True]),
        ([(None, None, "h"), (A, None, "h")], [True, False]),
        ([(None, None, "h"), (None, None, "i")], [True, True]),
        ([(A, None, "h"), (B, None, "h")], [True, True]),
    ],
)
def test_each_device_answers_the_roll_once(answers, new):
    roll = DiscoveryDeduplicator()
    assert new == [
        roll.is_new(DiscoveryReply(serial=serial, mac=mac), host)
        for serial, mac, host in answers
    ]


def test_more_devices_than_anybody_has_are_not_believed():
    roll = DiscoveryDeduplicator(max_devices=2)
    replies = [DiscoveryReply(serial=f"SWP6{n:012d}") for n in range(3)]
    assert [roll.is_new(reply, "h") for reply in replies] == [True, True, False]
