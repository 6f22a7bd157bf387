"""Whatever a strip gets wrong: the right error, no hang, and the next exchange sane."""

from __future__ import annotations

import pickle

import anyio
import pytest

from structiot.errors import (
    CommandRefused,
    DeviceReplaced,
    LinkLost,
    PeerError,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    TransportError,
)
from structiot.maxsmart import MaxSmartRefused, SwitchStuck
from structiot.sim import HTTP_FRAMES
from structiot.sim.maxsmart.response_faults import LIES
from structiot.testing import cancel_sweep
from tests.link.maxsmart.strips import Bench, bench, is_there

pytestmark = pytest.mark.virtual_time

HARMLESS = {
    "amp_missing",
    "code_missing",
    "code_null",
    "code_text",
    "extra_members",
    "line_end",
    "nul_at_end",
    "oversize",
    "response_other",
    "switch_booleans",
    "switch_words",
    "watt_empty",
    "watt_empty_text",
    "watt_huge",
    "watt_missing",
    "watt_null",
    "watt_object",
    "watt_words",
}
REFUSALS = {"code_400"}
# V3 replies must name the number that was asked, and come in one datagram.
SILENT_BY_V3 = {"response_other", "empty", "blank", "nested_deeply"}
WELL_FRAMED = {
    "chunked",
    "http_1_0",
    "length_padded",
    "line_feeds",
    "no_headers",
    "no_length",
    "no_reason",
    "one_byte_chunks",
    "space_before_colon",
}


async def survives(b: Bench) -> None:
    """See that the exchange after a fault is as if nothing had been."""
    b.sim.faults.clear()
    data = await b.strip.get_data()
    assert data.power_w == pytest.approx(
        [b.sim.power_w(port) for port in b.sim.ports], abs=0.5
    )
    await b.strip.turn_off(1)
    assert b.sim.ports[1] is False


@pytest.mark.parametrize("lie", LIES)
async def test_what_makes_no_sense_is_a_violation_and_what_does_is_read(lie):
    async with bench(sim={"loads": [5.2, 0, 0, 0, 61.4, 0]}) as b:
        b.sim.faults.lie_next(lie, times=2, on="511")
        if lie in HARMLESS:
            data = await b.strip.get_data()
            assert data.power_w[4] in {61.4, None}
            assert data.is_on[4] is True
        elif lie in REFUSALS:
            with pytest.raises(CommandRefused):
                await b.strip.get_data()
        else:
            with pytest.raises(ProtocolViolation):
                await b.strip.get_data()
        await survives(b)


@pytest.mark.parametrize("lie", LIES)
async def test_the_same_over_v3_with_nothing_worse_than_silence(lie):
    async with bench("revogi_511", sim={"loads": [5.2, 0, 0, 0, 61.4, 0]}) as b:
        b.sim.faults.lie_next(lie, times=6, on="90")
        if lie in HARMLESS - SILENT_BY_V3:
            data = await b.strip.get_data()
            assert data.power_w[4] in {61.4, None}
        elif lie in REFUSALS:
            with pytest.raises(CommandRefused):
                await b.strip.get_data()
        else:
            with pytest.raises((ProtocolViolation, ReplyTimeout)):
                await b.strip.get_data()
        await survives(b)


@pytest.mark.parametrize("frame", HTTP_FRAMES)
async def test_odd_frames_are_read_and_wrong_ones_refused(frame):
    async with bench() as b:
        b.sim.faults.frame_next(frame, times=2, on="511")
        if frame in WELL_FRAMED:
            assert len((await b.strip.get_data()).readings) == 6
        else:
            with pytest.raises((PeerError, TransportError)):
                await b.strip.get_data()
        await survives(b)


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        ("drop_next", ReplyTimeout),
        ("lose_reply_next", ReplyTimeout),
        ("hang_up_next", LinkLost),
        ("cut_next", (LinkLost, ProtocolViolation)),
        ("garble_next", ProtocolViolation),
        ("refuse_next", MaxSmartRefused),
    ],
)
async def test_each_failure_has_its_own_error(fault, error):
    async with bench() as b:
        getattr(b.sim.faults, fault)(2, on="511")
        with pytest.raises(error) as caught:
            await b.strip.get_data()
        assert isinstance(caught.value, StructiotError)
        await survives(b)


@pytest.mark.parametrize("family", ["mh_strip_130", "revogi_511"])
async def test_a_late_reply_is_a_timeout_and_never_answers_the_next_question(family):
    async with bench(family) as b:
        b.sim.faults.delay_next(2.5, 6, on="511" if family == "mh_strip_130" else "90")
        with pytest.raises(ReplyTimeout):
            await b.strip.get_data()
        await survives(b)


@pytest.mark.parametrize("family", ["revogi_511", "mh2_plug"])
async def test_v3_replies_from_another_address_do_not_count(family):
    async with bench(family) as b:
        b.sim.faults.reply_from = "127.0.0.66"
        with pytest.raises(ReplyTimeout):
            await b.strip.get_data()
        await survives(b)


async def test_v3_replies_that_come_twice_are_one():
    async with bench("revogi_511") as b:
        b.sim.faults.duplicate_next(3)
        await b.strip.turn_off(2)
        await survives(b)


async def test_a_v3_reply_of_another_device_is_its_own_error():
    def as_another(content: bytes) -> bytes:
        return content[:-1] + b',"sn":"SWW6000000000099"}'

    async with bench("revogi_511") as b:
        b.sim.faults.change_next(as_another, on="90")
        with pytest.raises(DeviceReplaced):
            await b.strip.get_data()
        assert not is_there(b.strip)
        await survives(b)
        assert is_there(b.strip)


async def test_a_strip_that_talks_nonsense_is_away_until_it_stops():
    async with bench() as b, b.strip.events():
        await anyio.sleep(1)
        b.sim.faults.garble_next(1000, on="http")
        await anyio.sleep(60)
        assert not is_there(b.strip)
        b.sim.faults.clear()
        await anyio.sleep(61)
        assert is_there(b.strip)


async def test_one_strip_that_is_silent_does_not_slow_another():
    async with bench() as good, bench() as bad:
        bad.sim.faults.is_silent = True
        started_at = anyio.current_time()
        async with anyio.create_task_group() as tg:
            tg.start_soon(swallow, bad)
            await good.strip.turn_off(1)
            assert anyio.current_time() == started_at


async def swallow(b: Bench) -> None:
    with pytest.raises(ReplyTimeout):
        await b.strip.get_data()


@pytest.mark.parametrize(
    "error",
    [
        MaxSmartRefused("no", host="h", command="SetPort", code=400),
        SwitchStuck("stuck", host="h", ports=(1, 2), is_on=True),
        DeviceReplaced("other", host="h", expected="a", found="b"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_errors_survive_pickling(error):
    copy = pickle.loads(pickle.dumps(error))
    assert type(copy) is type(error)
    assert vars(copy) == vars(error)
    assert str(copy) == str(error)


async def test_no_secret_is_in_any_log_line_or_error(caplog):
    caplog.set_level("DEBUG")
    async with bench() as b:
        first = next(r for r in b.network.datagrams if b'"sak"' in r[0])
        secret = first[0].partition(b'"sak":"')[2][:12].decode()
        assert len(secret) == 12
        b.sim.faults.cut_next(2, on="discovery")
        b.sim.faults.lie_next("half", times=2)
        with pytest.raises(ProtocolViolation) as caught:
            await b.strip.get_data()
        assert secret not in caplog.text
        assert secret not in repr(vars(caught.value))


@pytest.mark.parametrize("family", ["mh_strip_130", "revogi_511"])
@pytest.mark.parametrize("steps_of", ["flow", "all"])
async def test_nothing_is_left_wherever_it_is_cancelled(family, steps_of):
    async def flow() -> None:
        async with bench(family) as b:
            async with b.strip.readings() as readings, b.strip.events() as events:
                await anext(readings)
                await anext(events)
                await b.strip.turn_off(1)
            await b.strip.get_data()

    assert await cancel_sweep(flow, steps_of=steps_of) > 20
