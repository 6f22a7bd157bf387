"""What simulators share: a place on the network, faults, servers, loads and meters."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot._kit.http.messages import HttpReply, HttpRequest
    from structiot._kit.http.server import HttpServer, RawReply
    from structiot.sim.shared.clock import SimClock
    from structiot.sim.shared.energy import Bucket
    from structiot.sim.shared.fault_names import (
        HOST_FAULTS,
        REQUEST_FAULTS,
        FaultNames,
        HostFault,
        NamedFault,
        RequestFault,
        request_faults,
        show_fault,
    )
    from structiot.sim.shared.faults import Fault, FaultKind, Faults
    from structiot.sim.shared.host import SimHost, Sockets
    from structiot.sim.shared.http_faults import HttpFaults, faulty
    from structiot.sim.shared.http_frames import HTTP_FRAMES
    from structiot.sim.shared.json_lies import JSON_LIES
    from structiot.sim.shared.loads import CyclingLoad, Load, household, steady
    from structiot.sim.shared.outlet import Outlet
    from structiot.sim.shared.tcp_proxy import FaultProxy, fault_proxy

__all__ = [
    "HOST_FAULTS",
    "HTTP_FRAMES",
    "JSON_LIES",
    "REQUEST_FAULTS",
    "Bucket",
    "CyclingLoad",
    "Fault",
    "FaultKind",
    "FaultNames",
    "FaultProxy",
    "Faults",
    "HostFault",
    "HttpFaults",
    "HttpReply",
    "HttpRequest",
    "HttpServer",
    "Load",
    "NamedFault",
    "Outlet",
    "RawReply",
    "RequestFault",
    "SimClock",
    "SimHost",
    "Sockets",
    "fault_proxy",
    "faulty",
    "household",
    "request_faults",
    "show_fault",
    "steady",
]
