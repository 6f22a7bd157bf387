"""Faults by name, for command lines and for tests that run over all of them.

    await show_fault(sim, "drop*3")                 # the next three requests
    await show_fault(sim, "watt_null@511")          # a lie in every reply to 511
    await show_fault(sim, "delay=0.5@discovery")
    await show_fault(sim, "power_cut=60+30")        # in 30 seconds, for a minute

A name, then as needed: `=` a value, `@` what requests it is meant for, `*` how many of
them, `+` after how many seconds. `NAMED_FAULTS` says what there is.
"""

from __future__ import annotations

import math
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import anyio

from structiot.errors import UsageError
from structiot.sim._faults import Fault, FaultKind
from structiot.sim._loads import seeded_fraction
from structiot.sim.maxsmart.response_faults import HTTP_FRAMES, LIES
from structiot.sim.maxsmart.simulator import MaxSmartSim

__all__ = ["NAMED_FAULTS", "NamedFault", "parse_fault", "show_fault"]

_TEXT: Final = re.compile(
    r"(?P<name>\w+)(=(?P<value>[^@*+]+))?(@(?P<on>\w+))?(\*(?P<times>\d{1,9}))?"
    r"(\+(?P<after_s>\d+(\.\d+)?))?"
)
_LIE: Final = "a reply with a wrong content"
_FRAME: Final = "an HTTP reply in an odd frame"

_KINDS: Final[dict[str, tuple[FaultKind, str]]] = {
    "drop": (FaultKind.DROP, "requests get lost"),
    "lose_reply": (FaultKind.LOSE_REPLY, "requests are carried out, replies get lost"),
    "hang_up": (FaultKind.HANG_UP, "connections are closed without a byte"),
    "refuse": (FaultKind.REFUSE, "code 400"),
    "garble": (FaultKind.GARBLE, "replies of the right length without a meaning"),
    "cut": (FaultKind.CUT, "replies stop half-way"),
    "duplicate": (FaultKind.DUPLICATE, "replies come twice"),
    "delay": (FaultKind.DELAY, "replies come so many seconds late (1)"),
}

_Deed = Callable[[MaxSmartSim, str | None], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFault:
    """One fault, as its text says.

    Attributes:
        name: One of `NAMED_FAULTS`.
        value: What stood behind `=`.
        on: What requests it is meant for: `discovery`, `v3`, `http`, `command`, or a
            number such as `511`; None for all.
        times: How many of them meet it; None for every one from now on.
        after_s: In how many seconds it begins.
    """

    name: str
    value: str | None = None
    on: str | None = None
    times: int | None = None
    after_s: float = 0.0


def parse_fault(text: str) -> NamedFault:
    """Read a fault such as `watt_null@511*3` or `reboot=10+60`.

    Raises:
        UsageError: No such fault, or not written like this.
    """
    found = _TEXT.fullmatch(text)
    if found is None:
        message = f"not a fault: {text!r}; write NAME[=VALUE][@WHAT][*TIMES][+SECONDS]"
        raise UsageError(message)
    name = found["name"]
    if name not in NAMED_FAULTS:
        message = f"no fault {name!r}; there are {', '.join(NAMED_FAULTS)}"
        raise UsageError(message)
    fault = NamedFault(
        name=name,
        value=found["value"],
        on=found["on"],
        times=None if found["times"] is None else int(found["times"]),
        after_s=float(found["after_s"] or 0),
    )
    if name in _DEEDS and (fault.on or fault.times is not None):
        message = f"{name} is not a fault of single requests: neither @ nor * apply"
        raise UsageError(message)
    _check_value(fault)
    return fault


def _check_value(fault: NamedFault) -> None:
    wanted = "seconds" if fault.name == "delay" else ""
    if fault.name in _DEEDS:
        _, wanted, _ = _DEEDS[fault.name]
    if not wanted and fault.value is not None:
        message = f"{fault.name} takes no value"
        raise UsageError(message)
    if wanted == "address" and fault.value is None:
        message = f"{fault.name} needs an address: {fault.name}=127.0.0.99"
        raise UsageError(message)
    if wanted == "seconds" and fault.value is not None:
        _seconds(fault.value)
    if wanted == "ports":
        _ports(fault.value)


async def show_fault(sim: MaxSmartSim, fault: NamedFault | str) -> None:
    """Let a simulated strip show a fault; returns when it has begun, or is over.

    Faults of requests and relays last until `sim.faults.clear()`; of what happens to
    the strip itself (`reboot`, `power_cut`) this awaits the end.

    Raises:
        UsageError: No such fault, or the strip has no such port.
    """
    if isinstance(fault, str):
        fault = parse_fault(fault)
    if fault.after_s:
        await anyio.sleep(fault.after_s)
    if fault.name in _DEEDS:
        deed, _, _ = _DEEDS[fault.name]
        await deed(sim, fault.value)
        return
    shown = replace(_request_fault(fault), on=fault.on)
    if shown.kind is FaultKind.FRAME and shown.on is None:
        shown = replace(shown, on="v3" if fault.name == "no_prefix" else "http")
    if fault.times is None:
        sim.faults.always(shown)
    else:
        sim.faults.add(shown, fault.times)


def _request_fault(fault: NamedFault) -> Fault:
    if fault.name in LIES:
        return Fault(kind=FaultKind.CHANGE, change=LIES[fault.name])
    if fault.name in _CHANGED_FRAMES:
        return Fault(kind=FaultKind.FRAME, change=_CHANGED_FRAMES[fault.name])
    kind, _ = _KINDS[fault.name]
    is_late = kind is FaultKind.DELAY
    return Fault(kind=kind, delay_s=_seconds(fault.value or "1") if is_late else 0.0)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = math.nan
    if not math.isfinite(seconds):
        message = f"not a number of seconds: {text!r}"
        raise UsageError(message)
    return seconds


def _ports(text: str | None) -> set[int]:
    try:
        return {int(port) for port in (text or "1").split(",")}
    except ValueError as exc:
        message = f"not ports such as 1,3: {text!r}"
        raise UsageError(message) from exc


# ---------------------------------------------------------------- of the strip itself


async def _silent(sim: MaxSmartSim, _value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.faults.is_silent = True


async def _late_relays(sim: MaxSmartSim, value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.faults.relay_lag_s = _seconds(value or "1")


async def _stuck_relays(sim: MaxSmartSim, value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    ports = _ports(value)
    if unknown := ports - set(sim.ports):
        message = f"{sim.serial} has no port {min(unknown)}"
        raise UsageError(message)
    sim.faults.stuck_ports |= ports


async def _corrupt_serial(sim: MaxSmartSim, _value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.faults.is_serial_corrupted = True


async def _reply_from(sim: MaxSmartSim, value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.faults.reply_from = value


async def _reboot(sim: MaxSmartSim, value: str | None) -> None:
    await sim.reboot(_seconds(value or "10"))


async def _power_cut(sim: MaxSmartSim, value: str | None) -> None:
    await sim.power_cut(_seconds(value or "60"))


async def _move(sim: MaxSmartSim, value: str | None) -> None:
    await sim.unplug()
    await sim.plug_in(value)


async def _become(sim: MaxSmartSim, value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    number = int(seeded_fraction("another", sim.serial) * 10**12)
    sim.become(value or f"{sim.family.serial_head}{number:012d}")


async def _clock_jump(sim: MaxSmartSim, value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.jump_clock(_seconds(value or "3600"))


async def _forget_energy(sim: MaxSmartSim, _value: str | None) -> None:  # noqa: ASYNC124 - other deeds wait
    sim.forget_energy()


# What is done, which value it takes, what it is.
_DEEDS: Final[dict[str, tuple[_Deed, str, str]]] = {
    "silent": (_silent, "", "everything is accepted, nothing carried out or answered"),
    "late_relays": (_late_relays, "seconds", "relays switch after the reply (1)"),
    "stuck_relays": (_stuck_relays, "ports", "relays ignore what they confirm (1)"),
    "corrupt_serial": (_corrupt_serial, "", "discovery tells an unreadable serial"),
    "reply_from": (_reply_from, "address", "datagrams come from another address"),
    "reboot": (_reboot, "seconds", "off the network for so long (10)"),
    "power_cut": (_power_cut, "seconds", "without mains for so long (60)"),
    "move": (_move, "address", "at another address from now on"),
    "become": (_become, "serial", "another device at the same address"),
    "clock_jump": (_clock_jump, "seconds", "its clock is so much ahead (3600)"),
    "forget_energy": (_forget_energy, "", "its statistics are empty"),
}
_CHANGED_FRAMES: Final = {
    **HTTP_FRAMES,
    "no_prefix": bytes,  # the content as it is
}

NAMED_FAULTS: Mapping[str, str] = MappingProxyType(
    {
        **{name: about for name, (_, about) in _KINDS.items()},
        **{name: about for name, (_, _, about) in _DEEDS.items()},
        "no_prefix": "V3 replies without the prefix",
        **dict.fromkeys(HTTP_FRAMES, _FRAME),
        **dict.fromkeys(LIES, _LIE),
    }
)
"""What each fault is, by name."""
