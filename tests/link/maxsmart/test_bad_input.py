"""Whatever a device says to whatever command: a value, or one error of the tree.

And afterwards the strip is as usable as before. Every lie and every odd frame of the
simulator is told to every command that the family knows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import anyio
import pytest

from structiot.errors import (
    PeerError,
    ProtocolViolation,
    StructiotError,
    TransportError,
)
from structiot.maxsmart import MaxSmartStrip
from structiot.sim import FAMILIES, HTTP_FRAMES
from structiot.sim.maxsmart.response_faults import LIES
from tests.link.maxsmart.strips import Bench, bench

pytestmark = pytest.mark.virtual_time

# By the number of the command over HTTP and V3.
COMMANDS: dict[str, Callable[[MaxSmartStrip], Awaitable[object]]] = {
    "511 90": lambda strip: strip.get_data(),
    "200 20": lambda strip: strip.turn_on(),
    "201 24": lambda strip: strip.change_port_name(0, "Bench"),
    "124": lambda strip: strip.get_device_identifiers(),
    "502": lambda strip: strip.get_device_time(),
    "510": lambda strip: strip.get_statistics(1, "daily"),
}
# What is right although it looks odd, for any command.
HARMLESS = {
    "code_text",
    "code_null",
    "code_missing",
    "response_other",
    "extra_members",
    "nul_at_end",
    "line_end",
}


async def told(
    b: Bench, numbers: str, ask: Callable[[MaxSmartStrip], Awaitable[object]]
):
    """Ask, and give what came of it; anything but an error of the tree is a fault."""
    try:
        with anyio.fail_after(30):
            return await ask(b.strip)
    except (PeerError, TransportError) as exc:
        return exc


@pytest.mark.parametrize("family", FAMILIES)
async def test_a_lie_about_anything_is_an_error_or_does_no_harm(family):
    async with bench(family) as b:
        honest = {key: await told(b, key, ask) for key, ask in COMMANDS.items()}
        channel = "http" if FAMILIES[family].has_http else "v3"
        for numbers, ask in COMMANDS.items():
            if isinstance(honest[numbers], StructiotError):
                continue
            for lie in LIES:
                for number in numbers.split():
                    b.sim.faults.lie_next(lie, on=number)
                found = await told(b, numbers, ask)
                if lie in HARMLESS and channel == "http":
                    assert not isinstance(found, StructiotError), (lie, numbers)
                b.sim.faults.clear()
                assert await b.strip.check_state(1), (lie, numbers)


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_plug_130", "revogi_349"])
async def test_an_odd_frame_around_anything_is_an_error_or_does_no_harm(family):
    async with bench(family) as b:
        honest = {key: await told(b, key, ask) for key, ask in COMMANDS.items()}
        for numbers, ask in COMMANDS.items():
            if isinstance(honest[numbers], StructiotError):
                continue
            for frame in HTTP_FRAMES:
                b.sim.faults.frame_next(frame, 2, on=numbers.split()[0])
                await told(b, numbers, ask)
                b.sim.faults.clear()
                assert await b.strip.check_state(1), (frame, numbers)


@pytest.mark.parametrize("numbers", COMMANDS)
@pytest.mark.parametrize("family", ["mh_strip_130", "mh_plug_130", "mh_strip_211"])
async def test_every_loss_at_every_command_ends_and_does_no_harm(family, numbers):
    ask = COMMANDS[numbers]
    async with bench(family) as b:
        for fault in ("drop_next", "hang_up_next", "lose_reply_next", "cut_next"):
            for times in (1, 2, 9):
                getattr(b.sim.faults, fault)(times, on=numbers.split()[0])
                await told(b, numbers, ask)
                b.sim.faults.clear()
                assert await b.strip.check_state(1)


@pytest.mark.parametrize("family", ["mh_strip_130", "mh_strip_211", "revogi_511"])
async def test_reply_that_comes_too_late_never_answers_the_next_question(family):
    async with bench(family, reply_s=0.5) as b:
        b.sim.faults.delay_s = 0.7
        found = await told(b, "90", COMMANDS["200 20"])
        assert isinstance(found, TransportError)
        b.sim.faults.clear()
        await anyio.sleep(1)
        assert await b.strip.check_state() == [True] * FAMILIES[family].ports


@pytest.mark.parametrize(
    "lie", ["array", "number", "empty", "html", "half", "data_array", "nested_deeply"]
)
async def test_discovery_that_makes_no_sense_changes_no_name(lie):
    async with bench() as b:
        before = b.strip.info
        b.sim.faults.lie_next(lie, 9, on="discovery")
        with pytest.raises((TransportError, ProtocolViolation)):
            await b.strip.retrieve_port_names()
        assert b.strip.info == before
