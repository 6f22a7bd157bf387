"""Simulators: devices and services that behave, and misbehave when told to.

One for each system, for tests, demonstrations and development without hardware. All
of them take `environment=`, so that they run on real sockets or in memory under virtual
time; and all have `faults`, with the vocabulary of `Faults`.
"""

from __future__ import annotations

from structiot.sim._clock import SimClock
from structiot.sim._faults import Fault, FaultKind, Faults
from structiot.sim._loads import CyclingLoad, Load, household, steady
from structiot.sim._proxy import FaultProxy, fault_proxy
from structiot.sim.maxsmart import (
    FAMILIES,
    NAMED_FAULTS,
    Family,
    MaxSmartFaults,
    MaxSmartFleet,
    MaxSmartRequest,
    MaxSmartSim,
    NamedFault,
    parse_fault,
    show_fault,
    sim_maxsmart,
    sim_maxsmart_broadcast,
    sim_maxsmart_fleet,
)

__all__ = [
    "FAMILIES",
    "NAMED_FAULTS",
    "CyclingLoad",
    "Family",
    "Fault",
    "FaultKind",
    "FaultProxy",
    "Faults",
    "Load",
    "MaxSmartFaults",
    "MaxSmartFleet",
    "MaxSmartRequest",
    "MaxSmartSim",
    "NamedFault",
    "SimClock",
    "fault_proxy",
    "household",
    "parse_fault",
    "show_fault",
    "sim_maxsmart",
    "sim_maxsmart_broadcast",
    "sim_maxsmart_fleet",
    "steady",
]
