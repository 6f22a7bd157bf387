"""The faults of Meross devices by name, for command lines and tests; see `FaultNames`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from structiot.sim.meross.faults import LIES
from structiot.sim.shared.fault_names import (
    HOST_FAULTS,
    REQUEST_FAULTS,
    FaultNames,
    HostFault,
    RequestFault,
    read_nothing,
    read_seconds,
    request_faults,
)
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.sim.shared.http_frames import HTTP_FRAMES

if TYPE_CHECKING:
    from structiot.sim.meross.simulator import MerossSim

__all__ = ["NAMED_FAULTS"]


def _switch(name: str, value: object = True) -> Callable[[Any, Any], None]:  # noqa: FBT002
    return lambda sim, _: setattr(sim.faults, name, value)


def _other_key(sim: MerossSim, _: None) -> None:
    # As after a reset by another app: its owner's key fits no more.
    sim.pair("another key of 32 characters ...", sim.device.user_id)


_DEVICE_FAULTS: Final = {
    "objects": HostFault(
        "single items come as objects", read_nothing, _switch("shape", "dict")
    ),
    "lists": HostFault(
        "single items come in lists", read_nothing, _switch("shape", "list")
    ),
    "stale": HostFault(
        "requests are refused whose time stamp is so much off (10)",
        read_seconds(10),
        lambda sim, age_s: setattr(sim.faults, "stale_after_s", age_s),
    ),
    "cut_batches": HostFault(
        "answers to batches are cut off after so many bytes (1000)",
        read_seconds(1000),
        lambda sim, size: setattr(sim.faults, "answer_bytes", int(size)),
    ),
    "empty_batches": HostFault(
        "batches are answered with an empty list",
        read_nothing,
        _switch("is_batch_empty"),
    ),
    "late_midnight": HostFault(
        "the first consumption told on a day is the day before's",
        read_nothing,
        _switch("is_midnight_late"),
    ),
    "stuck": HostFault(
        "everything is confirmed, nothing moves or switches",
        read_nothing,
        _switch("is_stuck"),
    ),
    "unpair": HostFault(
        "reset to factory settings", read_nothing, lambda sim, _: sim.unpair()
    ),
    "other_key": HostFault("set up with another key", read_nothing, _other_key),
    "clock_jump": HostFault(
        "its clock is so much ahead (3600)",
        read_seconds(3600),
        lambda sim, ahead_s: sim.clock.jump(ahead_s),
    ),
}

NAMED_FAULTS: FaultNames = FaultNames(
    {
        **REQUEST_FAULTS,
        "refuse": RequestFault("ERROR 5000", REQUEST_FAULTS["refuse"].fault),
        "overtaken": RequestFault(
            "over MQTT, replies that later ones overtake (2)",
            Fault(kind=FaultKind.DELAY, on="mqtt", delay_s=2.0),
        ),
        **HOST_FAULTS,
        **_DEVICE_FAULTS,
        **request_faults(
            "an HTTP reply in an odd frame",
            HTTP_FRAMES,
            kind=FaultKind.FRAME,
            on="http",
        ),
        **request_faults("a reply or a push with a wrong content", LIES),
    }
)
"""What each fault of a device is, by name."""
