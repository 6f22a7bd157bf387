"""What was found, as one line each: what is wrong, where, and what to do."""

from __future__ import annotations

import errno
import re
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from structiot._kit.text import printable

__all__ = [
    "Finding",
    "Level",
    "advice_for",
    "bind_advice",
    "causes",
    "fine",
    "heading_of",
    "wrong",
]

Level: TypeAlias = Literal["fine", "note", "wrong"]
_LONGEST = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: `"fine"`; `"note"`: worth knowing; `"wrong"`: it keeps something from
            working.
        where: The section, the file, the device.
        what: What is so there.
        advice: What to do; empty if there is nothing to do.
        is_about_config: Whether it is the configuration that is wrong.
    """

    level: Level
    where: str
    what: str
    advice: str = ""
    is_about_config: bool = False

    @property
    def line(self) -> str:
        """All of it in one line."""
        head = f"{self.level + ':':6} {self.where}: {self.what}"
        text = f"{head} -> {self.advice}" if self.advice else head
        return printable(text, most=_LONGEST)


def fine(where: str, what: str) -> Finding:
    """Say that something is as it should be."""
    return Finding(level="fine", where=where, what=what)


def wrong(where: str, what: str, advice: str = "") -> Finding:
    """Say that something is wrong, with what helps; that is looked up if need be."""
    return Finding(
        level="wrong", where=where, what=what, advice=advice or advice_for(what)
    )


def heading_of(system: str) -> str:
    """Give the heading of a system in the file; topics of others stand in links."""
    return "[[links]]" if system == "mqtt" else f"[{system}]"


def causes(error: BaseException | None) -> Iterator[BaseException]:
    """Give an error and what it came from, members of groups as well."""
    while error is not None:
        yield error
        if isinstance(error, BaseExceptionGroup):
            for member in error.exceptions:
                yield from causes(member)
        error = error.__cause__ or error.__context__


def bind_advice(error: BaseException, section: str) -> str:
    """Say what to do about an address that cannot be bound."""
    numbers = {one.errno for one in causes(error) if isinstance(one, OSError)}
    if errno.EADDRINUSE in numbers:
        return (
            f"stop what listens there (ss -ltnp names it), or set listen in {section}"
        )
    if numbers & {errno.EACCES, errno.EPERM}:
        return (
            "ports below 1024 want a right: set listen to a higher one, or give the "
            "service CAP_NET_BIND_SERVICE"
        )
    if errno.EADDRNOTAVAIL in numbers or any(
        isinstance(one, socket.gaierror) for one in causes(error)
    ):
        return f"this machine has no such address (ip addr shows them): set listen in {section}"
    return f"set listen in {section}"


_KNOWN = {
    "name or service not known|name resolution|no address associated": (
        "correct the name, or see that the name server knows it (getent hosts NAME)"
    ),
    "unreachable|no route to host": (
        "this machine has no way there: see its addresses and routes (ip route); what "
        "has IPv6 alone needs IPv6 here"
    ),
    "connection refused": "nothing listens there: start it, or correct host and port",
    "expired": "have a new certificate made, and see that the clock is right",
    "certificate|self.signed|hostname mismatch": (
        "name its authority by ca_file, and the host as it stands in the certificate"
    ),
    "clock": "set the clock (timedatectl set-ntp true), then try again",
    "mfa|second factor": (
        "sign in once by `structiot meross login`, which asks for the code"
    ),
    "password|login|not authori[sz]ed|credentials|token|refuses the user": (
        "correct user name and password, or ask whoever runs it for the right to it"
    ),
    r"is \S+; looking where|is \S+, not \S+, which": (
        "another device has this address now: give devices fixed addresses in the "
        "router, or correct host"
    ),
    "address already in use|cannot bind": (
        "stop what listens there (ss -ltnp names it), or choose another port"
    ),
    "answered with HTTP": "something else has this address: correct host",
    "too many|banned|blocked": "wait: it asks to be left alone",
    "no space left|disk is full|quota": "make room on that disk",
    "timed out|no answer|not answer|not open|silent|silence|cannot connect": (
        "see that it is switched on and in the same network, and that no firewall is "
        "between"
    ),
}
_ADVICE = [(re.compile(one, re.IGNORECASE), advice) for one, advice in _KNOWN.items()]


def advice_for(what: str) -> str:
    """Say what helps against something that a part of the gateway says."""
    return next((advice for known, advice in _ADVICE if known.search(what)), "")
