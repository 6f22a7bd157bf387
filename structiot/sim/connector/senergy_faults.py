"""What the simulated SENERGY platform gets wrong, by HTTP and by MQTT.

Words of a call: `http`, the method, and `token`, `hubs` or `devices`. Words of what MQTT
carries: `mqtt`, and `connect` with the client's id, `subscribe` with the levels of the
filter, or the levels of a topic: `event`, `response`, `error`, `command`, the device.
REFUSE is for calls, connections and subscriptions; what is published is acknowledged and
lost, with HANG_UP the connection with it; commands that go out can be lost, come twice or
be garbled.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from structiot.sim.shared.fault_names import (
    HOST_FAULTS,
    REQUEST_FAULTS,
    FaultNames,
    HostFault,
    read_nothing,
    read_seconds,
    request_faults,
)
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.sim.shared.http_faults import HttpFaults
from structiot.sim.shared.http_frames import HTTP_FRAMES
from structiot.sim.shared.json_lies import JSON_LIES

if TYPE_CHECKING:
    from structiot.sim.connector.senergy import SenergySim

__all__ = ["NAMED_SENERGY_FAULTS", "SenergyFaults"]


class SenergyFaults(HttpFaults):
    """What the platform gets wrong."""


def _refuse_with(sim: SenergySim, status: float) -> None:
    sim.refusal_status = int(status)
    sim.faults.always(Fault(kind=FaultKind.REFUSE, on="http"))


NAMED_SENERGY_FAULTS: Final = FaultNames(
    {
        **REQUEST_FAULTS,
        **{name: HOST_FAULTS[name] for name in ("silent", "reboot")},
        **request_faults("a reply with a wrong content", JSON_LIES, on="http"),
        **request_faults(
            "an HTTP reply in an odd frame",
            HTTP_FRAMES,
            kind=FaultKind.FRAME,
            on="http",
        ),
        "http_status": HostFault(
            "every call gets this status (500)", read_seconds(500), _refuse_with
        ),
        "revoke_tokens": HostFault(
            "all tokens are forgotten", read_nothing, lambda sim, _: sim.revoke_tokens()
        ),
        "broker_away": HostFault(
            "the broker is away for so long (60)",
            read_seconds(60),
            lambda sim, down_s: sim.broker.reboot(down_s),
        ),
        "restart": HostFault(
            "HTTP and broker are away for so long (3)",
            read_seconds(3),
            lambda sim, down_s: sim.restart(down_s),
        ),
    },
    prefix="senergy:",
)
"""What each fault of the platform is, by name."""
