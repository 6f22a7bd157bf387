"""Simulated MaxSmart and Revogi strips and plugs, of every firmware family known.

async with sim_maxsmart("127.0.0.2", family="mh_strip_211") as sim:
    sim.set_load(1, 42.0)
    sim.faults.drop_next(3)
    await sim.press(1)

`families` says what there is, `strip` holds a device's state, `responses` what it says,
`http_server` and `simulator` put that on the network, `response_faults` makes it wrong,
and `named_faults` gives what can go wrong a name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.sim.maxsmart.families import FAMILIES, Family
    from structiot.sim.maxsmart.fleet import (
        MaxSmartFleet,
        sim_maxsmart_broadcast,
        sim_maxsmart_fleet,
    )
    from structiot.sim.maxsmart.named_faults import NAMED_FAULTS
    from structiot.sim.maxsmart.response_faults import MaxSmartFaults
    from structiot.sim.maxsmart.simulator import (
        MaxSmartRequest,
        MaxSmartSim,
        sim_maxsmart,
    )

__all__ = [
    "FAMILIES",
    "NAMED_FAULTS",
    "Family",
    "MaxSmartFaults",
    "MaxSmartFleet",
    "MaxSmartRequest",
    "MaxSmartSim",
    "sim_maxsmart",
    "sim_maxsmart_broadcast",
    "sim_maxsmart_fleet",
]
