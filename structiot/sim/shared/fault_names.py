"""Faults by name, for command lines and for tests that run over all of them.

    await show_fault(sim, "drop*3")                 # the next three requests
    await show_fault(sim, "garble@511")             # every reply to 511
    await show_fault(sim, "delay=0.5@discovery")
    await show_fault(sim, "power_cut=60+30")        # in 30 seconds, for a minute

A name, then as needed: `=` a value, `@` what requests it is meant for, `*` how many of
them, `+` after how many seconds. Each simulator has a table of what it can get wrong,
`named_faults`; what they have in common is in `REQUEST_FAULTS` and `HOST_FAULTS`.
"""

from __future__ import annotations

import inspect
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeAlias, final

import anyio

from structiot.errors import UsageError
from structiot.sim.shared.faults import Change, Fault, FaultKind

if TYPE_CHECKING:
    from structiot.sim.shared.host import SimHost

__all__ = [
    "HOST_FAULTS",
    "REQUEST_FAULTS",
    "FaultNames",
    "HostFault",
    "NamedFault",
    "RequestFault",
    "read_address",
    "read_nothing",
    "read_seconds",
    "request_faults",
    "show_fault",
]

_TEXT: Final = re.compile(
    r"(?P<name>\w+)(=(?P<value>[^@*+]+))?(@(?P<on>\w+))?(\*(?P<times>\d{1,9}))?"
    r"(\+(?P<after_s>\d+(\.\d+)?))?"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFault:
    """One fault, as its text says.

    Attributes:
        name: One of the names that the simulator knows.
        value: What stood behind `=`.
        on: What requests it is meant for, in the simulator's words for them; None for
            all.
        times: How many of them meet it; None for every one from now on.
        after_s: In how many seconds it begins.
    """

    name: str
    value: str | None = None
    on: str | None = None
    times: int | None = None
    after_s: float = 0.0


@dataclass(frozen=True, slots=True)
class RequestFault:
    """A fault of single requests, in a table of names.

    Attributes:
        about: What it is, in a few words.
        fault: What a request meets; a delay may be given as the value.
    """

    about: str
    fault: Fault


Read: TypeAlias = Callable[[str, str | None], Any]


@dataclass(frozen=True, slots=True)
class HostFault:
    """Something that happens to the simulator itself, in a table of names.

    Attributes:
        about: What it is, in a few words.
        read: Makes the value from the name and the text behind `=`, or raises
            `UsageError`.
        show: Does it to a simulator with this value; what it gives is awaited if it
            can be.
    """

    about: str
    read: Read
    show: Callable[[Any, Any], object]


@final
class FaultNames(Mapping[str, str]):
    """What a simulator can get wrong: what each fault is, by name.

    Args:
        faults: The faults by name.
        prefix: What may stand before a name, where the simulator is one of several.

    Attributes:
        prefix: As given.
    """

    def __init__(
        self, faults: Mapping[str, RequestFault | HostFault], *, prefix: str = ""
    ) -> None:
        self.prefix: str = prefix
        self._faults = MappingProxyType(dict(faults))

    def __getitem__(self, name: str) -> str:
        return self._faults[name].about

    def __iter__(self) -> Iterator[str]:
        return iter(self._faults)

    def __len__(self) -> int:
        return len(self._faults)

    def parse(self, text: str) -> NamedFault:
        """Read a fault such as `garble@511*3` or `reboot=10+60`.

        Raises:
            UsageError: No such fault, or not written like this.
        """
        found = _TEXT.fullmatch(text.removeprefix(self.prefix))
        if found is None:
            message = (
                f"not a fault: {text!r}; write NAME[=VALUE][@WHAT][*TIMES][+SECONDS]"
            )
            raise UsageError(message)
        name = found["name"]
        fault = NamedFault(
            name=name,
            value=found["value"],
            on=found["on"],
            times=None if found["times"] is None else int(found["times"]),
            after_s=float(found["after_s"] or 0),
        )
        if name not in self._faults:
            raise UsageError(f"no fault {name!r}; there are {', '.join(self)}")
        entry = self._faults[name]
        if isinstance(entry, RequestFault):
            _of_request(entry, fault)
            return fault
        if fault.on or fault.times is not None:
            message = f"{name} is not a fault of single requests: neither @ nor * apply"
            raise UsageError(message)
        entry.read(name, fault.value)
        return fault

    async def show(self, sim: SimHost[Any], fault: NamedFault | str) -> None:
        """Let a simulator show a fault; see `show_fault`."""
        if isinstance(fault, str):
            fault = self.parse(fault)
        if fault.after_s:
            await anyio.sleep(fault.after_s)
        entry = self._faults[fault.name]
        if isinstance(entry, HostFault):
            shown = entry.show(sim, entry.read(fault.name, fault.value))
            if inspect.isawaitable(shown):
                await shown
        elif fault.times is None:
            sim.faults.always(_of_request(entry, fault))
        else:
            sim.faults.add(_of_request(entry, fault), fault.times)


async def show_fault(sim: SimHost[Any], fault: NamedFault | str) -> None:
    """Let a simulator show a fault; returns when it has begun, or is over.

    Faults of requests last until `sim.faults.clear()`; of what happens to the simulator
    itself (`reboot`, `power_cut`) this awaits the end.

    Raises:
        UsageError: No such fault, or a value that makes no sense to the simulator.
    """
    await sim.named_faults.show(sim, fault)


def _of_request(entry: RequestFault, named: NamedFault) -> Fault:
    fault = entry.fault
    if fault.delay_s:
        delay_s = read_seconds(fault.delay_s)(named.name, named.value)
        fault = replace(fault, delay_s=delay_s)
    else:
        read_nothing(named.name, named.value)
    return replace(fault, on=named.on or fault.on)


# ---------------------------------------------------------------- values


def read_nothing(name: str, text: str | None) -> None:
    """Read the value of a fault that takes none.

    Raises:
        UsageError: There is one.
    """
    if text is not None:
        raise UsageError(f"{name} takes no value")


def read_seconds(default_s: float) -> Callable[[str, str | None], float]:
    """Make what reads a number of seconds."""

    def read(_name: str, text: str | None) -> float:
        try:
            seconds = default_s if text is None else float(text)
        except ValueError:
            seconds = math.nan
        if not math.isfinite(seconds):
            raise UsageError(f"not a number of seconds: {text!r}")
        return seconds

    return read


def read_address(name: str, text: str | None) -> str:
    """Read an address.

    Raises:
        UsageError: There is none.
    """
    if text is None:
        raise UsageError(f"{name} needs an address: {name}=127.0.0.99")
    return text


# ---------------------------------------------------------------- what all have


def request_faults(
    about: str,
    changes: Mapping[str, Change],
    *,
    kind: FaultKind = FaultKind.CHANGE,
    on: str | None = None,
) -> dict[str, RequestFault]:
    """Make entries for changes of the content (CHANGE) or the frame (FRAME)."""
    return {
        name: RequestFault(about, Fault(kind=kind, on=on, change=change))
        for name, change in changes.items()
    }


REQUEST_FAULTS: Mapping[str, RequestFault] = MappingProxyType(
    {
        kind.value: RequestFault(about, Fault(kind=kind, delay_s=delay_s))
        for kind, delay_s, about in (
            (FaultKind.DROP, 0.0, "requests get lost"),
            (FaultKind.LOSE_REPLY, 0.0, "requests are carried out, replies get lost"),
            (FaultKind.HANG_UP, 0.0, "connections are closed without a byte"),
            (FaultKind.REFUSE, 0.0, "requests are refused"),
            (FaultKind.GARBLE, 0.0, "replies of the right length without a meaning"),
            (FaultKind.CUT, 0.0, "replies stop half-way"),
            (FaultKind.DUPLICATE, 0.0, "replies come twice"),
            (FaultKind.DELAY, 1.0, "replies come so many seconds late (1)"),
            (
                FaultKind.TRICKLE,
                10.0,
                "replies come bit by bit in so many seconds (10)",
            ),
        )
    }
)
"""Faults of single requests that every simulator with requests and replies has."""

HOST_FAULTS: Mapping[str, HostFault] = MappingProxyType(
    {
        "silent": HostFault(
            "everything is accepted, nothing carried out or answered",
            read_nothing,
            lambda sim, _: setattr(sim.faults, "is_silent", True),
        ),
        "reboot": HostFault(
            "off the network for so long (10)",
            read_seconds(10),
            lambda sim, down_s: sim.reboot(down_s),
        ),
        "power_cut": HostFault(
            "without mains for so long (60)",
            read_seconds(60),
            lambda sim, down_s: sim.power_cut(down_s),
        ),
        "move": HostFault(
            "at another address from now on",
            read_address,
            lambda sim, host: sim.move(host),
        ),
    }
)
"""What can happen to every simulator as a whole."""
