"""Commands from elsewhere than the broker end with an error that says what to do."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import (
    AuthRefused,
    CommandRefused,
    ConnectFailed,
    LinkLost,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.gateway import CommandExpired, UnknownEntity
from tests.gateway.support import (
    ScriptedDevice,
    TopicSink,
    context_of,
    managed,
    running,
)
from tests.gateway.support import settled as passed

pytestmark = pytest.mark.virtual_time


async def test_what_no_entity_takes_is_the_callers_fault():
    device = ScriptedDevice()
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        with pytest.raises(UnknownEntity, match="has no 'port_9'; there are port_1"):
            await care.carry_out("port_9", b"ON")
        with pytest.raises(UsageError, match="port_1 takes ON or OFF"):
            await care.carry_out("port_1", b"maybe")
    assert device.commands == []


@pytest.mark.parametrize(
    ("error", "raised"),
    [
        (CommandRefused("no"), CommandRefused),
        (UsageError("a value that it cannot have"), CommandRefused),
        (AuthRefused("who are you?"), CommandRefused),
        (ZeroDivisionError("oops"), CommandRefused),
        (LinkLost("it hung up"), LinkLost),
        (ConnectFailed("no route to host"), LinkLost),
        (ReplyTimeout("no reply"), CommandExpired),
    ],
    ids=lambda one: getattr(one, "__name__", type(one).__name__),
)
async def test_what_a_device_says_is_told_by_what_can_be_done(
    error: BaseException, raised: type[StructiotError]
):
    board, device = TopicSink(), ScriptedDevice()
    device.command_error = error
    care = managed(device, context_of(board))
    async with running(care):
        with pytest.raises(raised, match=str(error).replace("?", r"\?")) as caught:
            await care.carry_out("port_1", b"ON")
        assert getattr(caught.value, "was_begun", True)
    assert board.told == []


async def test_a_device_that_is_away_is_lost():
    device = ScriptedDevice()
    device.open_error = ConnectFailed("no route to host")
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        with pytest.raises(LinkLost, match="is not available: no route to host"):
            await care.carry_out("port_1", b"ON")


async def test_time_is_over_for_one_that_waits_and_it_is_never_carried_out():
    device = ScriptedDevice()
    device.command_takes_s = 10
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        care.request("port_1", topic="structiot/desk/port_1/set", payload=b"ON")
        begun_s = anyio.current_time()
        with pytest.raises(CommandExpired, match="has waited for too long") as caught:
            await care.carry_out("port_2", b"ON", within_s=2)
        assert anyio.current_time() - begun_s == pytest.approx(2, abs=0.1)
        assert not caught.value.was_begun
        await anyio.sleep(60)
    assert device.commands == [("port_1", True)]


@pytest.mark.parametrize(("within_s", "after_s"), [(3, 3), (None, 15), (60, 15)])
async def test_time_is_over_for_one_that_is_not_confirmed(within_s, after_s):
    device = ScriptedDevice()
    device.command_takes_s = 1e9
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        begun_s = anyio.current_time()
        with pytest.raises(CommandExpired, match=f"within {after_s} s") as caught:
            await care.carry_out("port_1", b"ON", within_s=within_s)
        assert anyio.current_time() - begun_s == pytest.approx(after_s, abs=0.1)
        assert caught.value.was_begun


async def test_no_time_at_all_is_too_late():
    device = ScriptedDevice()
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        with pytest.raises(CommandExpired, match="it came too late"):
            await care.carry_out("port_1", b"ON", within_s=0)
    assert device.commands == []


async def test_one_that_nobody_waits_for_any_more_is_not_carried_out():
    device = ScriptedDevice()
    device.command_takes_s = 10
    care = managed(device, context_of(TopicSink()))
    async with running(care):
        care.request("port_1", topic="structiot/desk/port_1/set", payload=b"ON")
        await passed()
        with anyio.move_on_after(2):
            await care.carry_out("port_2", b"ON")
        await anyio.sleep(60)
        await care.carry_out("port_2", b"OFF")
    assert device.commands == [("port_1", True), ("port_2", False)]
