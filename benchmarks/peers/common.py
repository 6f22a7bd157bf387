"""What every runner shares: the job, the clock, the report of one JSON line.

A runner is started as its own process, does one job with one client and leaves
with `os._exit` once the report is out: how fast a client closes is not measured.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import itertools
import json
import os
import resource
import ssl
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from raw_peer import topics_of

HOST = "127.0.0.1"
STALLED_S = 4.0
AT_ONCE = 100


class Tally:
    """How many messages the application has in its hands."""

    __slots__ = ("n",)

    def __init__(self) -> None:
        self.n = 0


@dataclasses.dataclass
class Job:
    """One cell of the table, once."""

    mode: str
    qos: int
    loop: str
    port: int
    count: int
    window: int
    topic: str
    """What to subscribe to."""
    topics: list[str]
    """What to publish to in turn: see `each_topic`."""
    others: list[list[str]]
    """What else to subscribe to before `start`, by the hundred: it matches nothing."""
    payload: bytes
    cafile: str | None = None
    """Who has signed the peer's certificate; None: no TLS."""
    tally: Tally = dataclasses.field(default_factory=Tally)
    started_at: float = 0.0
    stopped_at: float = 0.0
    cpu_s: float = 0.0
    base_rss_kb: int = 0

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What a client needs for a verified connection; None: no TLS."""
        if self.cafile is None:
            return None
        return ssl.create_default_context(cafile=self.cafile)

    @property
    def uri(self) -> str:
        """For the clients that take one."""
        return f"mqtt{'s' if self.cafile else ''}://{HOST}:{self.port}/"

    def each_topic(self) -> Iterator[str]:
        """As many topics as there are messages."""
        return itertools.islice(itertools.cycle(self.topics), self.count)

    def start(self) -> None:
        """Call when connected, before the first publish or the subscribe."""
        self.base_rss_kb = memory_kb("VmRSS")
        self.cpu_s = time.process_time()
        self.started_at = time.monotonic()
        if self.mode == "receive":
            threading.Thread(target=self._watch, daemon=True).start()

    def stop(self) -> None:
        """Call after the last message or the last acknowledgement."""
        self.stopped_at = time.monotonic()
        self.cpu_s = time.process_time() - self.cpu_s

    async def finish(self) -> NoReturn:
        """Stop, wait for the peer to have it all, report, end the process."""
        began_s = self.cpu_s
        self.stop()
        if self.mode == "publish" and self.qos == 0:
            await in_thread(self.loop, peer_has_it_all)
            # What it has only put aside is written by now.
            self.cpu_s = time.process_time() - began_s
        self.report()

    def finish_now(self) -> NoReturn:
        """`finish` for a client without an event loop."""
        began_s = self.cpu_s
        self.stop()
        if self.mode == "publish" and self.qos == 0:
            peer_has_it_all()
            self.cpu_s = time.process_time() - began_s
        self.report()

    def report(self, problem: str = "") -> NoReturn:
        facts = {
            "started_at": self.started_at,
            "stopped_at": self.stopped_at,
            "cpu_s": self.cpu_s,
            "received": self.tally.n,
            "base_rss_kb": self.base_rss_kb,
            "peak_rss_kb": memory_kb("VmHWM"),
            "problem": problem,
        }
        print(json.dumps(facts), flush=True)
        os._exit(1 if problem else 0)

    def _watch(self) -> None:
        """A client that drops messages would wait for ever: say how many came."""
        seen, since = -1, time.monotonic()
        while not self.stopped_at:
            time.sleep(0.5)
            if self.tally.n != seen:
                seen, since = self.tally.n, time.monotonic()
            elif time.monotonic() - since > STALLED_S and not self.stopped_at:
                self.report(f"{seen} of {self.count} messages arrived")


def memory_kb(field: str) -> int:
    """A field of the kernel's own account; elsewhere the peak from getrusage.

    VmHWM, not ru_maxrss: the latter inherits the parent's peak across exec.
    """
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
    except OSError:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak // 1024 if sys.platform == "darwin" else peak
    return int(status.partition(field + ":")[2].split(maxsplit=1)[0])


def peer_has_it_all() -> None:
    """The benchmark writes one line when the peer has read the last byte."""
    sys.stdin.readline()


async def in_thread(loop: str, call: Callable[[], None]) -> None:
    if loop == "trio":
        import trio  # noqa: PLC0415 - only where it is installed

        await trio.to_thread.run_sync(call)
    else:
        await asyncio.to_thread(call)


def parse_job() -> Job:
    parser = argparse.ArgumentParser()
    parser.add_argument("--mode", choices=("receive", "publish"), required=True)
    parser.add_argument("--qos", type=int, choices=(0, 1, 2), required=True)
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--window", type=int, default=1000)
    parser.add_argument("--topic", required=True, help="{} is for a number")
    parser.add_argument("--topics", type=int, default=1)
    parser.add_argument("--filters", type=int, default=0)
    parser.add_argument("--payload", type=int, required=True)
    parser.add_argument("--cafile")
    parser.add_argument("--cpu", type=int, default=-1)
    args = vars(parser.parse_args())
    cpu = args.pop("cpu")
    if cpu >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {cpu})
    args["topics"] = topics_of(args["topic"], args["topics"])
    several = len(args["topics"]) > 1
    args["topic"] = args["topic"].format("+") if several else args["topics"][0]
    others = [f"other/{i:05}/+/power" for i in range(args.pop("filters"))]
    args["others"] = [others[i : i + AT_ONCE] for i in range(0, len(others), AT_ONCE)]
    args["payload"] = bytes(i & 0xFF for i in range(args["payload"]))
    return Job(**args)


def innermost(error: BaseException) -> BaseException:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


def run_async(
    receive: Callable[[Job], Awaitable[Any]], publish: Callable[[Job], Awaitable[Any]]
) -> None:
    """Run the job on the loop it names."""
    job = parse_job()

    async def main() -> None:
        await (receive(job) if job.mode == "receive" else publish(job))

    try:
        if job.loop == "trio":
            import trio  # noqa: PLC0415 - only where it is installed

            trio.run(main)
        elif job.loop == "uvloop":
            import uvloop  # noqa: PLC0415 - only where it is installed

            uvloop.run(main())
        else:
            asyncio.run(main())
    except BaseException as error:  # noqa: BLE001 - whatever it is belongs in the table
        cause = innermost(error)
        job.report(f"{type(cause).__name__}: {cause}")
    job.report("the client ended before the job was done")
