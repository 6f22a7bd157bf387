"""Simulated Meross: devices of every family known, and the cloud that they live in.

async with sim_meross_device("127.0.0.2", model="msg100") as door:
    await door.open_door()
    door.faults.drop_next(3)

`models` says what there is, `parts` what devices are made of, `device` answers
envelopes, `lan`, `broker` and `simulator` put that on the network, `faults` makes it
wrong, and `named_faults` gives what can go wrong a name; `cloud` and what is called after
it is the cloud's side; `replay` makes a device of a capture.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.sim.meross.broker import MerossBroker
    from structiot.sim.meross.cloud import MerossCloudSim
    from structiot.sim.meross.cloud_account import MerossCloudDevice
    from structiot.sim.meross.cloud_api import MerossApiCall, MerossApiQuirks
    from structiot.sim.meross.cloud_broker import MerossBrokerSim
    from structiot.sim.meross.cloud_faults import MerossCloudFaults
    from structiot.sim.meross.cloud_opening import sim_meross_cloud
    from structiot.sim.meross.device import MerossDeviceSim
    from structiot.sim.meross.faults import MerossFaults
    from structiot.sim.meross.models import MEROSS_MODELS, MerossModel
    from structiot.sim.meross.replay import sim_meross_replay
    from structiot.sim.meross.simulator import (
        MerossRequest,
        MerossSim,
        sim_meross_device,
    )

__all__ = [
    "MEROSS_MODELS",
    "MerossApiCall",
    "MerossApiQuirks",
    "MerossBroker",
    "MerossBrokerSim",
    "MerossCloudDevice",
    "MerossCloudFaults",
    "MerossCloudSim",
    "MerossDeviceSim",
    "MerossFaults",
    "MerossModel",
    "MerossRequest",
    "MerossSim",
    "sim_meross_cloud",
    "sim_meross_device",
    "sim_meross_replay",
]
