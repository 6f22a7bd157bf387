"""A device that says wrong things of every kind: its own matter, and soon over."""

from __future__ import annotations

import logging
from collections import Counter

import anyio
import pytest

from structiot.meross import (
    MemoryStore,
)
from structiot.sim.meross.faults import LIES
from structiot.sim.shared.faults import Fault, FaultKind
from tests.link.meross.test_account import house, known
from tests.link.meross.test_bad_input import onoff

pytestmark = pytest.mark.virtual_time


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
@pytest.mark.parametrize("lie", LIES)
async def test_a_device_that_lies_is_its_own_matter(lie, policy, caplog):
    """Whatever it answers and pushes: the other one, and later itself, are as ever."""
    async with (
        house(["mss310", "msl120"]) as home,
        home.account(policy=policy, rate_limiter=None, store=MemoryStore()) as meross,
    ):
        plug, lamp = await known(meross), await known(meross, "Device 1")
        async with plug.events(), lamp.events(), meross.notifications() as notes:
            await anyio.sleep(30)
            caplog.set_level(logging.WARNING, "structiot")
            fault = Fault(kind=FaultKind.CHANGE, change=LIES[lie])
            for on in (None, "PUSH"):
                home.sims[0].faults.always(
                    Fault(kind=fault.kind, change=fault.change, on=on)
                )
            for _ in range(5):
                await home.sims[0].press()
                await anyio.sleep(60)
                assert lamp.is_available
            said = Counter(
                record.getMessage()
                for record in caplog.records
                if not record.name.startswith("structiot.sim")
            )
            assert set(said.values()) <= {1}, said
            assert len(said) <= 3, said
            assert home.sims[0].faults.shown > 5
            home.sims[0].faults.clear()
            await anyio.sleep(600)
            await home.sims[0].press()
            await anyio.sleep(60)
            assert plug.is_available
            assert plug.states["switch"] == bool(onoff(home))
            await lamp.turn_on()
            assert notes.dropped == 0
