"""Boxes of listeners: who hears what, who leaves when, and what closing does."""

from __future__ import annotations

from structiot._kit.flow.fan_out import FanOut
from structiot._kit.flow.mailbox import Mailbox


async def test_each_listener_hears_everything_while_it_listens():
    listeners: FanOut[Mailbox[int]] = FanOut()
    with listeners.listening(Mailbox()) as first:
        with listeners.listening(Mailbox()) as second:
            for box in listeners:
                box.put(1)
            assert len(listeners) == 2
        for box in listeners:
            box.put(2)
        listeners.close()
        assert [n async for n in first] == [1, 2]
        assert [n async for n in second] == [1]
    assert len(listeners) == 0


async def test_a_slow_listener_costs_only_itself():
    listeners: FanOut[Mailbox[int]] = FanOut()
    with (
        listeners.listening(Mailbox(2)) as slow,
        listeners.listening(Mailbox(9)) as other,
    ):
        for number in range(9):
            for box in listeners:
                box.put(number)
        assert (slow.dropped, other.dropped) == (7, 0)


async def test_a_listener_may_leave_while_the_others_are_told():
    listeners: FanOut[Mailbox[int]] = FanOut()
    with listeners.listening(Mailbox()) as stays:
        with listeners.listening(Mailbox()) as leaves:
            told = iter(listeners)
            next(told).put(1)
        for box in told:
            box.put(1)
        assert len(stays) == 1
        assert leaves.is_closed


async def test_who_comes_after_the_end_hears_that_it_is_the_end():
    listeners: FanOut[Mailbox[int]] = FanOut()
    listeners.close()
    box: Mailbox[int] = Mailbox()
    box.put(7)
    with listeners.listening(box) as late:
        assert [n async for n in late] == [7]
