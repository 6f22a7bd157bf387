"""Simulated platforms for the connector, well behaved and otherwise.

async with sim_sepl_platform() as platform:
    response = await platform.send_command("lamp-1", "on", {"data": "true"})
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.sim.connector.senergy import SenergySim
    from structiot.sim.connector.senergy_broker import SenergyBrokerSim
    from structiot.sim.connector.senergy_faults import SenergyFaults
    from structiot.sim.connector.senergy_opening import sim_senergy
    from structiot.sim.connector.senergy_records import SenergyCall, SenergyMessage
    from structiot.sim.connector.senergy_state import (
        SenergyRules,
        SenergySimDevice,
        SenergySimHub,
        SenergyUser,
    )
    from structiot.sim.connector.sepl import SeplPlatformSim
    from structiot.sim.connector.sepl_faults import (
        NAMED_SEPL_FAULTS,
        SEPL_LIES,
        SeplFaults,
    )
    from structiot.sim.connector.sepl_frames import SEPL_FRAMES
    from structiot.sim.connector.sepl_opening import sim_sepl_platform
    from structiot.sim.connector.sepl_records import (
        SeplEvent,
        SeplLogEntry,
        SeplMessage,
        SeplRecord,
        SeplResponse,
    )
    from structiot.sim.connector.sepl_store import SeplDevice, SeplGateway

__all__ = [
    "NAMED_SEPL_FAULTS",
    "SEPL_FRAMES",
    "SEPL_LIES",
    "SenergyBrokerSim",
    "SenergyCall",
    "SenergyFaults",
    "SenergyMessage",
    "SenergyRules",
    "SenergySim",
    "SenergySimDevice",
    "SenergySimHub",
    "SenergyUser",
    "SeplDevice",
    "SeplEvent",
    "SeplFaults",
    "SeplGateway",
    "SeplLogEntry",
    "SeplMessage",
    "SeplPlatformSim",
    "SeplRecord",
    "SeplResponse",
    "sim_senergy",
    "sim_sepl_platform",
]
