"""What every runner shares: the orders that come by standard input, and the clocks.

A runner connects, says so, and then does for each line that it reads as many round trips
as the line says, one after the other, but for no longer than a fifth of a second; it
answers with one line of JSON. Meanwhile it sleeps, so that several of them can take turns
on one core.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any

HOST = "127.0.0.1"
# A turn is no longer, however slow its trips are.
MOST_NS = 200_000_000


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kind", choices=("publish", "there"), required=True)
    parser.add_argument("--qos", type=int, choices=(0, 1), required=True)
    parser.add_argument("--loop", default="asyncio")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--topic", required=True)
    parser.add_argument("--payload", type=int, default=64)
    parser.add_argument("--cpu", type=int, default=-1)
    args = parser.parse_args()
    if args.cpu >= 0 and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {args.cpu})
    args.payload = bytes(i & 0xFF for i in range(args.payload))
    return args


def say(facts: dict[str, Any]) -> None:
    print(json.dumps(facts), flush=True)


def order() -> int:
    """How many trips are wanted; 0: no more."""
    line = sys.stdin.readline()
    return int(line) if line.strip() else 0


async def order_in_thread(loop: str) -> int:
    if loop == "trio":
        import trio  # noqa: PLC0415 - only where it is installed

        return await trio.to_thread.run_sync(order)
    return await asyncio.to_thread(order)


async def serve(args: argparse.Namespace, trip: Callable[[], Awaitable[Any]]) -> None:
    """Do what is ordered; each `trip` is one round trip."""
    say({"ready": True})
    now = time.perf_counter_ns
    while count := await order_in_thread(args.loop):
        took: list[int] = []
        cpu_ns = time.process_time_ns()
        ended = now()
        until = ended + MOST_NS
        while len(took) < count and ended < until:
            began = now()
            await trip()
            ended = now()
            took.append(ended - began)
        say({"cpu_ns": time.process_time_ns() - cpu_ns, "took_ns": took})
    os._exit(0)


def serve_thread(trip: Callable[[], Any]) -> None:
    """`serve` for a client without an event loop."""
    say({"ready": True})
    now = time.perf_counter_ns
    while count := order():
        took: list[int] = []
        cpu_ns = time.process_time_ns()
        ended = now()
        until = ended + MOST_NS
        while len(took) < count and ended < until:
            began = now()
            trip()
            ended = now()
            took.append(ended - began)
        say({"cpu_ns": time.process_time_ns() - cpu_ns, "took_ns": took})
    os._exit(0)


def run(main: Callable[[argparse.Namespace], Awaitable[None]]) -> None:
    """Run a client on the loop that it is told."""
    args = parse()
    if args.loop == "trio":
        import trio  # noqa: PLC0415 - only where it is installed

        trio.run(main, args)
    elif args.loop == "uvloop":
        import uvloop  # noqa: PLC0415 - only where it is installed

        uvloop.run(main(args))
    else:
        asyncio.run(main(args))
