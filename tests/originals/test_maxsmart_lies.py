"""What the original maxsmart 2.1.0 makes of wrong replies, as its reference says.

This ties the simulator's faults to reality: a fault that the original does not see as
measured would not be the fault that its name says.
"""

from __future__ import annotations

import pytest

from structiot.sim import sim_maxsmart
from tests.originals.conftest import Original

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(100)]

STRIP = "127.0.0.2"
WATTS = [5.2, 0, 0, 0, 61.4, 0]

ACCEPTED = [
    "amp_missing", "code_missing", "code_null", "response_other", "extra_members",
    "line_end", "switch_booleans",
]  # fmt: skip
COMMAND_ERRORS = [
    "code_text", "code_400", "switch_missing", "watt_missing", "data_array", "empty", "blank",
    "half", "comma_too_many", "nul_at_end", "html", "watt_empty_text", "watt_words", "watt_null",
]  # fmt: skip
ACCEPTED_FRAMES = [
    "length_padded", "http_1_0", "no_length", "no_headers", "no_reason", "line_feeds",
    "space_before_colon", "chunked",
]  # fmt: skip
REPEATED_FRAMES = [
    "no_status_line", "length_too_long", "two_lengths", "false_gzip",
]  # fmt: skip
REFUSED_FRAMES = ["status_404", "status_500"]


async def test_lies_that_are_accepted(v210: Original):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        for lie in ACCEPTED:
            sim.faults.lie_next(lie, on="511")
            assert (await v210.call("get_data"))["watt"] == pytest.approx(WATTS), lie
        sim.faults.lie_next("watt_empty", on="511")
        assert (await v210.call("get_data"))["watt"] == []
        assert sim.faults.waiting == 0


async def test_lies_that_are_command_errors(v210: Original):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        for lie in COMMAND_ERRORS:
            sim.faults.lie_next(lie, on="511")
            error, _ = await v210.error_of("call", "get_data")
            assert error == "CommandError", lie
        assert sim.faults.waiting == 0


async def test_frames_that_are_accepted(v210: Original):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        for frame in ACCEPTED_FRAMES:
            sim.faults.frame_next(frame)
            assert (await v210.call("get_data"))["watt"] == pytest.approx(WATTS), frame
            assert v210.seconds < 0.9, frame
        assert sim.faults.waiting == 0


@pytest.mark.parametrize("frame", REPEATED_FRAMES)
async def test_frames_that_are_asked_for_again(v210: Original, frame: str):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        sim.faults.frame_next(frame)
        assert (await v210.call("get_data"))["watt"] == pytest.approx(WATTS)
        assert 0.9 < v210.seconds < 2


@pytest.mark.parametrize("frame", REFUSED_FRAMES)
async def test_frames_that_are_errors_at_once(v210: Original, frame: str):
    async with sim_maxsmart(STRIP, loads=WATTS) as sim:
        await v210.start(STRIP)
        sim.faults.frame_next(frame)
        error, _ = await v210.error_of("call", "get_data")
    # Its own ConnectionError says "Unknown error."; this one wraps it (D21).
    assert error == "CommandError"
    assert v210.seconds < 0.9


DISCOVERY_ACCEPTED = ["response_other", "line_end", "extra_members"]
DISCOVERY_IGNORED = ["data_null", "data_empty", "data_missing", "nul_at_end", "html"]


async def test_discovery_replies_that_are_accepted(v210: Original):
    async with sim_maxsmart(STRIP) as sim:
        for lie in DISCOVERY_ACCEPTED:
            sim.faults.lie_next(lie, on="discovery")
            (record,) = await v210.do("discover", ip=STRIP)
            assert record["sn"] == sim.serial, lie
            assert v210.seconds < 0.5, lie


async def test_discovery_replies_that_are_ignored_until_a_good_one(v210: Original):
    async with sim_maxsmart(STRIP) as sim:
        for lie in DISCOVERY_IGNORED:
            sim.faults.lie_next(lie, on="discovery")
            (record,) = await v210.do("discover", ip=STRIP, timeout=0.3)
            assert record["sn"] == sim.serial, lie
            assert sim.faults.waiting == 0


@pytest.mark.parametrize("lie", ["array", "number"])
async def test_one_liar_hides_every_strip_from_the_original(v210: Original, lie: str):
    async with sim_maxsmart(STRIP) as sim:
        sim.faults.lie_next(lie, 3, on="discovery")
        # A defect (D12).
        error, _ = await v210.error_of("discover", ip=STRIP, timeout=0.3)
    assert error == "DiscoveryError"
