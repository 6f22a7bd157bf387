"""Simulated devices that dial in to a manager, well behaved and otherwise.

async with sim_devices(100, type="lamp", port=8595) as fleet:
    fleet[0].misbehave("silent")
    await fleet[1].send("on")
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.sim.manager.behaviour import DIAL_IN_BEHAVIOURS, DialInBehaviour
    from structiot.sim.manager.device import DIAL_IN_FAULTS, DialInSim
    from structiot.sim.manager.fleet import DialInFleet, sim_devices

__all__ = [
    "DIAL_IN_BEHAVIOURS",
    "DIAL_IN_FAULTS",
    "DialInBehaviour",
    "DialInFleet",
    "DialInSim",
    "sim_devices",
]
