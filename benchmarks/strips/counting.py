"""Ticks, and what a process uses of the machine; needs nothing but Python on Linux."""

from __future__ import annotations

import ipaddress
import json
import resource
import sys
import time
from pathlib import Path

FIRST_HOST = ipaddress.IPv4Address("127.0.1.1")
HTTP_PORT, UDP_PORT = 80, 8888


def host(index: int) -> str:
    return str(FIRST_HOST + index)


def raise_file_limit() -> None:
    """Two sockets a strip are more than systems allow unless asked."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


class Tally:
    """Which ticks of which strip were seen, and how late.

    A tick is due at the start and every `poll_s` after it; it is late by the time from
    then until the application has the strip's data, the exchange with the strip included.
    """

    def __init__(self, strips: int, ticks: int, poll_s: float) -> None:
        self.strips = strips
        self.ticks = ticks
        self.poll_s = poll_s
        self.late_s: list[float] = []
        self.seen = 0
        self.opened_s = 0.0
        self._usage = Usage()

    def begin(self) -> None:
        """Note that all strips are open, and that measuring begins now."""
        self._usage.begin()

    def note(self, tick: int, due: float, now: float) -> None:
        self.seen += 1
        self.late_s.append(now - due - tick * self.poll_s)

    def sample(self) -> None:
        self._usage.sample()

    def report(self) -> None:
        """Print one line of JSON for the program that has started this one."""
        late = sorted(self.late_s) or [0.0]
        result = {
            "strips": self.strips,
            "due": self.strips * self.ticks,
            "seen": self.seen,
            "opened_s": self.opened_s,
            "late_ms": [
                1000 * late[min(len(late) - 1, int(share * len(late)))]
                for share in (0.5, 0.99, 1.0)
            ],
            **self._usage.so_far(),
        }
        print(json.dumps(result), flush=True)


class Usage:
    """Processor time since `begin`; memory, threads and files at their most."""

    def __init__(self) -> None:
        self._cpu_s = self._at_s = 0.0
        self._threads = self._files = 0

    def begin(self) -> None:
        self._cpu_s, self._at_s = time.process_time(), time.monotonic()
        self.sample()

    def sample(self) -> None:
        self._threads = max(self._threads, status("Threads"))
        self._files = max(self._files, sum(1 for _ in Path("/proc/self/fd").iterdir()))

    def so_far(self) -> dict[str, float]:
        return {
            "cpu_s": time.process_time() - self._cpu_s,
            "elapsed_s": time.monotonic() - self._at_s,
            "memory_mb": status("VmHWM") / 1024,
            "threads": self._threads,
            "files": self._files,
        }


def status(field: str) -> int:
    text = Path("/proc/self/status").read_text(encoding="ascii")
    return int(text.partition(field + ":")[2].split(maxsplit=1)[0])


def arguments() -> tuple[int, int, float, str]:
    """Strips, ticks, seconds from tick to tick, and the event loop."""
    strips, ticks, poll_s, loop = sys.argv[1:5]
    return int(strips), int(ticks), float(poll_s), loop
