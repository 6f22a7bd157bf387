"""What is to be done, and how many commands there were; needs nothing but Python on Linux."""

from __future__ import annotations

import dataclasses
import ipaddress
import json
import sys
import time

from strips.counting import Usage

FIRST_HOST = ipaddress.IPv4Address("127.0.3.1")
# The original knows no other port in the local network.
HTTP_PORT = 80
WARM_UP_S = 0.5


def host(index: int) -> str:
    return str(FIRST_HOST + index)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Job:
    """What a client shall do, given as one line of JSON.

    Attributes:
        url: Where it signs in, with the words that follow.
        broker: Host and port of the broker.
        way: `lan` or `cloud`.
        plugs: How many plugs the account has.
        at_once: How many commands are under way at a time, each to another plug.
        seconds: How long it is measured.
        loop: Which event loop to use.
    """

    url: str
    email: str
    password: str
    broker: tuple[str, int]
    way: str
    plugs: int
    at_once: int
    seconds: float
    loop: str

    @classmethod
    def given(cls) -> Job:
        return cls(**json.loads(sys.argv[1]))


class Tally:
    """Commands that were acknowledged, and how long each took.

    Args:
        seconds: How long it is measured, after a time that is not.
    """

    def __init__(self, seconds: float) -> None:
        self._begin_at = time.perf_counter() + WARM_UP_S
        self._end_at = self._begin_at + seconds
        self._took_s: list[float] = []
        self._usage = Usage()
        self._has_begun = False

    @property
    def is_over(self) -> bool:
        return time.perf_counter() >= self._end_at

    def note(self, started_at: float) -> None:
        """Note that a command that began then has been acknowledged now."""
        now = time.perf_counter()
        if now < self._begin_at:
            return
        if not self._has_begun:
            self._has_begun = True
            self._usage.begin()
            return
        self._took_s.append(now - started_at)

    def report(self) -> None:
        """Print one line of JSON for the program that has started this one."""
        self._usage.sample()
        took = sorted(self._took_s)
        if not took:
            raise SystemExit("no command was acknowledged")
        p50, p99 = (took[int(share * (len(took) - 1))] for share in (0.5, 0.99))
        usage = self._usage.so_far()
        result = {"commands": len(took), "p50_ms": 1000 * p50, "p99_ms": 1000 * p99}
        print(json.dumps({**result, **usage}), flush=True)
