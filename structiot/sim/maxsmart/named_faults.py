"""The faults of MaxSmart strips by name, for command lines and tests; see `FaultNames`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from structiot.errors import UsageError
from structiot.sim.maxsmart.response_faults import LIES
from structiot.sim.shared.fault_names import (
    HOST_FAULTS,
    REQUEST_FAULTS,
    FaultNames,
    HostFault,
    RequestFault,
    read_address,
    read_nothing,
    read_seconds,
    request_faults,
)
from structiot.sim.shared.faults import FaultKind
from structiot.sim.shared.http_frames import HTTP_FRAMES
from structiot.sim.shared.loads import seeded_fraction

if TYPE_CHECKING:
    from structiot.sim.maxsmart.simulator import MaxSmartSim

__all__ = ["NAMED_FAULTS"]


def _read_ports(_name: str, text: str | None) -> set[int]:
    try:
        return {int(port) for port in (text or "1").split(",")}
    except ValueError as exc:
        message = f"not ports such as 1,3: {text!r}"
        raise UsageError(message) from exc


def _read_serial(_name: str, text: str | None) -> str | None:
    return text


def _stick_relays(sim: MaxSmartSim, ports: set[int]) -> None:
    if unknown := ports - set(sim.ports):
        message = f"{sim.serial} has no port {min(unknown)}"
        raise UsageError(message)
    sim.faults.stuck_ports |= ports


def _become(sim: MaxSmartSim, serial: str | None) -> None:
    number = int(seeded_fraction("another", sim.serial) * 10**12)
    sim.become(serial or f"{sim.family.serial_head}{number:012d}")


_STRIP_FAULTS: Final = {
    "late_relays": HostFault(
        "relays switch after the reply (1)",
        read_seconds(1),
        lambda sim, lag_s: setattr(sim.faults, "relay_lag_s", lag_s),
    ),
    "stuck_relays": HostFault(
        "relays ignore what they confirm (1)", _read_ports, _stick_relays
    ),
    "corrupt_serial": HostFault(
        "discovery tells an unreadable serial",
        read_nothing,
        lambda sim, _: setattr(sim.faults, "is_serial_corrupted", True),
    ),
    "reply_from": HostFault(
        "datagrams come from another address",
        read_address,
        lambda sim, host: setattr(sim.faults, "reply_from", host),
    ),
    "become": HostFault("another device at the same address", _read_serial, _become),
    "clock_jump": HostFault(
        "its clock is so much ahead (3600)",
        read_seconds(3600),
        lambda sim, ahead_s: sim.jump_clock(ahead_s),
    ),
    "forget_energy": HostFault(
        "its statistics are empty", read_nothing, lambda sim, _: sim.forget_energy()
    ),
}

NAMED_FAULTS: FaultNames = FaultNames(
    {
        **REQUEST_FAULTS,
        "refuse": RequestFault("code 400", REQUEST_FAULTS["refuse"].fault),
        **HOST_FAULTS,
        **_STRIP_FAULTS,
        # The content as it is.
        **request_faults(
            "V3 replies without the prefix",
            {"no_prefix": bytes},
            kind=FaultKind.FRAME,
            on="v3",
        ),
        **request_faults(
            "an HTTP reply in an odd frame",
            HTTP_FRAMES,
            kind=FaultKind.FRAME,
            on="http",
        ),
        **request_faults("a reply with a wrong content", LIES),
    }
)
"""What each fault of a strip is, by name."""
