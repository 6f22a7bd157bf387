"""How much waits for whoever is slow to read what devices tell."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from structiot._device.device import BaseDevice
from structiot.meross.notifications import NoteBox, Notification
from structiot.model import DeviceInfo

pytestmark = pytest.mark.virtual_time


def note(number: int, wire_bytes: int) -> Notification:
    return Notification(
        device=BaseDevice(DeviceInfo(id="x", system="meross", name="x"), ()),
        namespace=f"Appliance.Control.N{number}",
        data={"x": number},
        at_utc=datetime(2026, 1, 1, tzinfo=UTC),
        wire_bytes=wire_bytes,
    )


async def test_short_ones_wait_by_their_number_and_long_ones_by_their_length():
    box = NoteBox(100)
    for number in range(120):
        box.put(note(number, 500))
    assert (len(box), box.dropped) == (100, 20)
    for number in range(20):
        box.put(note(number, 60_000))
    assert sum(one.wire_bytes for one in [box.receive_nowait() for _ in range(17)])
    assert len(box) == 0
    assert box.dropped == 20 + 20 + 83


async def test_one_that_is_shown_does_not_show_what_it_says():
    assert "'x': 7" not in repr(note(7, 1))
