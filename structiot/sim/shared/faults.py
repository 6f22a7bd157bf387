"""What a simulator can be told to get wrong; the vocabulary that all of them share.

    sim.faults.drop_next(3)                    # the next three requests get lost
    sim.faults.hang_up_next(on="http")         # only what came over HTTP
    sim.faults.delay_next(0.5, on="discovery")
    sim.faults.always(Fault(kind=FaultKind.GARBLE, on="511"))
    sim.faults.is_silent = True                # accepts everything, says nothing
    sim.faults.clear()

Faults for the next requests wait in a queue; each request takes the first one that
is meant for it, at most one. `on` names what it is meant for: a simulator describes
every request by some words (its transport, its kind, its number; see the simulator)
and `on` is one of them. Without it any request will do.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

__all__ = ["Change", "Fault", "FaultKind", "Faults", "framed"]

Change: TypeAlias = Callable[[bytes], bytes]


class FaultKind(StrEnum):
    """What goes wrong with one request."""

    DROP = "drop"
    """The request is lost: not carried out, not answered; a connection stays open."""
    LOSE_REPLY = "lose_reply"
    """The request is carried out, its reply is lost."""
    HANG_UP = "hang_up"
    """The connection is closed without a byte; without one, the same as DROP."""
    REFUSE = "refuse"
    """The device says no, with its own word for it, and does nothing."""
    GARBLE = "garble"
    """The reply has the right length and no meaning."""
    CUT = "cut"
    """The reply stops half-way, the connection with it."""
    DUPLICATE = "duplicate"
    """The reply comes twice."""
    DELAY = "delay"
    """The reply comes late; what is asked meanwhile overtakes it where it can."""
    CHANGE = "change"
    """The content of the reply is changed: a lie in the right frame."""
    TRICKLE = "trickle"
    """The reply comes bit by bit, over a while; a datagram comes at the end of it."""
    FRAME = "frame"
    """The reply is framed another way, for protocols that frame their content."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        kind: What.
        on: What it is meant for; None for any request.
        delay_s: How late, for DELAY; how long, for TRICKLE.
        change: Makes the content (CHANGE) or the whole frame (FRAME) from the content.
    """

    kind: FaultKind
    on: str | None = None
    delay_s: float = 0.0
    change: Change | None = None

    def is_for(self, words: Collection[str]) -> bool:
        """Tell whether it is meant for a request that these words describe."""
        return self.on is None or self.on in words


class Faults:
    """What one simulator gets wrong, now and next.

    Attributes:
        delay_s: How late every reply comes.
        is_silent: Everything is accepted and nothing carried out or answered.
        shown: How many requests have met a fault so far.
    """

    def __init__(self) -> None:
        self.delay_s: float = 0.0
        self.is_silent: bool = False
        self.shown: int = 0
        self._next: deque[Fault] = deque()
        self._lasting: list[Fault] = []

    @property
    def waiting(self) -> int:
        """How many faults wait for their request."""
        return len(self._next)

    def add(self, fault: Fault, times: int = 1) -> None:
        """Let the next `times` requests that it is meant for meet this fault."""
        self._next.extend([fault] * times)

    def always(self, fault: Fault) -> None:
        """Let every request that it is meant for meet this fault, until `clear`."""
        self._lasting.append(fault)

    def clear(self) -> None:
        """Behave from now on."""
        self.delay_s = 0.0
        self.is_silent = False
        self._next.clear()
        self._lasting.clear()

    def drop_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Lose the next requests."""
        self.add(Fault(kind=FaultKind.DROP, on=on), times)

    def lose_reply_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Carry out the next requests and lose the replies."""
        self.add(Fault(kind=FaultKind.LOSE_REPLY, on=on), times)

    def hang_up_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Close the next connections without a byte."""
        self.add(Fault(kind=FaultKind.HANG_UP, on=on), times)

    def refuse_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Say no to the next requests."""
        self.add(Fault(kind=FaultKind.REFUSE, on=on), times)

    def garble_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Answer the next requests with bytes that mean nothing."""
        self.add(Fault(kind=FaultKind.GARBLE, on=on), times)

    def cut_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Stop half-way through the next replies, and close."""
        self.add(Fault(kind=FaultKind.CUT, on=on), times)

    def duplicate_next(self, times: int = 1, *, on: str | None = None) -> None:
        """Send the next replies twice."""
        self.add(Fault(kind=FaultKind.DUPLICATE, on=on), times)

    def delay_next(
        self, delay_s: float, times: int = 1, *, on: str | None = None
    ) -> None:
        """Answer the next requests late."""
        self.add(Fault(kind=FaultKind.DELAY, on=on, delay_s=delay_s), times)

    def trickle_next(
        self, over_s: float, times: int = 1, *, on: str | None = None
    ) -> None:
        """Let the next replies come bit by bit."""
        self.add(Fault(kind=FaultKind.TRICKLE, on=on, delay_s=over_s), times)

    def change_next(
        self, change: Change, times: int = 1, *, on: str | None = None
    ) -> None:
        """Change the content of the next replies."""
        self.add(Fault(kind=FaultKind.CHANGE, on=on, change=change), times)

    def delay_for(self, fault: Fault | None) -> float:
        """Give how late the reply comes of a request that has met this fault."""
        is_late = fault is not None and fault.kind is FaultKind.DELAY
        return self.delay_s + (fault.delay_s if fault is not None and is_late else 0.0)

    def take(self, words: Collection[str], *, needs_word: bool = False) -> Fault | None:
        """Give the fault that a request meets; for simulators.

        Args:
            words: What describes the request.
            needs_word: Whether only a fault will do that names what it is meant for; so
                that what a device says by itself takes no fault from a request.
        """
        fault = self._first_for(words, needs_word=needs_word)
        if fault is not None:
            self.shown += 1
        return fault

    def _first_for(self, words: Collection[str], *, needs_word: bool) -> Fault | None:
        if self.is_silent:
            return Fault(kind=FaultKind.DROP)
        meant = (
            fault
            for fault in (*self._next, *self._lasting)
            if fault.is_for(words) and not (needs_word and fault.on is None)
        )
        found = next(meant, None)
        if found is not None and found in self._next:
            self._next.remove(found)
        return found


def framed(
    fault: Fault | None, content: bytes, frame: Callable[[bytes], bytes]
) -> bytes:
    """Give what goes on the wire for a content under this fault.

    Args:
        fault: What the request has met.
        content: The right content.
        frame: Puts a content into the right frame.
    """
    match fault:
        case Fault(kind=FaultKind.FRAME, change=change) if change is not None:
            return change(content)
        case Fault(kind=FaultKind.CHANGE, change=change) if change is not None:
            return frame(change(content))
        case Fault(kind=FaultKind.GARBLE):
            # Neither JSON nor text.
            return frame(bytes(byte ^ 0xA5 for byte in content))
        case Fault(kind=FaultKind.CUT):
            whole = frame(content)
            return whole[: len(whole) - len(content) // 2]
        case _:
            return frame(content)
