"""What one message at a time costs a client, and how long it takes, through real brokers.

Each client sits in a process of its own, all of one cell are connected to the same broker,
which has another core, and take turns: some hundred round trips each, again and again.
See benchmarks/README.md.

    python benchmarks/mqtt_one_at_a_time.py --quick
    python benchmarks/mqtt_one_at_a_time.py --only structiot,gmqtt --brokers mosquitto
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import NamedTuple

from brokers.programs import BROKERS
from brokers.running import Broker
from peers.arguments import words
from peers.environments import EnvironmentFailed, ensure
from peers.libraries import LIBRARIES, OURS, Library
from peers.report import environment, print_environment, print_table

FOLDER = Path(__file__).resolve().parent / "trips"
CLIENTS = [one for one in LIBRARIES if (FOLDER / one.runner).exists()]
WARM_UP = 300
START_S = 1.0

# No client has the messages of another.
_numbers = itertools.count()


class Cell(NamedTuple):
    """What a round trip is."""

    name: str
    title: str
    kind: str
    qos: int


CELLS = (
    Cell("publish1", "publish QoS 1", "publish", 1),
    Cell("there0", "there and back, QoS 0", "there", 0),
    Cell("there1", "there and back, QoS 1", "there", 1),
)


class Runner:
    """A client that does round trips when it is told to."""

    def __init__(self, library: Library, loop: str, cell: Cell, port: int, cpu: int):
        self.library, self.loop = library, loop
        self.cpu_us: list[float] = []
        """Processor time of a trip, of each turn."""
        self.p50_us: list[float] = []
        """Median time of each turn."""
        self.took_us: list[float] = []
        topic = f"bench/{library.name}-{loop}-{next(_numbers)}/power"
        command = [str(ensure(library)), str(FOLDER / library.runner)]
        command += [f"--kind={cell.kind}", f"--qos={cell.qos}", f"--topic={topic}"]
        command += [f"--loop={loop}", f"--port={port}", f"--cpu={cpu}"]
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        self.read()

    def read(self) -> dict:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            if line.startswith("{"):
                return json.loads(line)
        raise SystemExit(f"{self.library.title} on {self.loop} has failed")

    def turn(self, count: int) -> tuple[float, list[float]]:
        """So many trips at most; give the processor time of one, and how long each took."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{count}\n")
        self.process.stdin.flush()
        facts = self.read()
        took_us = [one / 1e3 for one in facts["took_ns"]]
        return facts["cpu_ns"] / len(took_us) / 1e3, took_us

    def measure(self, count: int) -> None:
        cpu_us, took_us = self.turn(count)
        self.cpu_us.append(cpu_us)
        self.p50_us.append(statistics.median(took_us))
        self.took_us += took_us

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(one.name for one in CLIENTS)
    parser.add_argument("--only", type=words, metavar="LIB,...", help=names)
    parser.add_argument("--loops", type=words, metavar="asyncio,uvloop,trio")
    parser.add_argument(
        "--brokers", type=words, default=["mosquitto", OURS], help="mosquitto,structiot"
    )
    cells = [cell.name for cell in CELLS]
    parser.add_argument("--cells", type=words, default=cells, help=",".join(cells))
    parser.add_argument("--turns", type=int, default=40, help="of each client")
    parser.add_argument("--trips", type=int, default=250, help="in one turn")
    parser.add_argument("--quick", action="store_true", help="ten turns")
    parser.add_argument("--no-pin", action="store_true")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.turns = 10
    return args


def measure(args: argparse.Namespace, library: Library, cell: Cell) -> list[Runner]:
    """One table: all clients in turn, through one broker."""
    usable = sorted(os.sched_getaffinity(0))
    is_pinned = not args.no_pin and len(usable) > 1
    client_cpu, broker_cpu = usable[:2] if is_pinned else (-1, -1)
    broker = Broker(ensure(library), library, library.loops[0], broker_cpu)
    time.sleep(START_S)
    runners: list[Runner] = []
    try:
        for client in CLIENTS:
            for loop in client.loops:
                if args.only and client.name not in args.only:
                    continue
                if args.loops and loop not in (*args.loops, "thread"):
                    continue
                runners.append(Runner(client, loop, cell, broker.port, client_cpu))
        for runner in runners:
            runner.turn(WARM_UP)
        for _ in range(args.turns):
            # Nobody always comes after the same one.
            for runner in random.sample(runners, len(runners)):
                runner.measure(args.trips)
    finally:
        for runner in runners:
            runner.end()
        broker.end()
    return runners


def print_runners(title: str, runners: list[Runner]) -> None:
    print(f"\n### {title}\n")
    head = ["client", "loop", "CPU a trip", "structiot's / it", "p50", "p99"]
    lines = [head]
    ours = {one.loop: one for one in runners if one.library.name == OURS}
    for runner in runners:
        mine = ours.get("asyncio" if runner.loop == "thread" else runner.loop)
        ratio = "-"
        if mine is not None and mine is not runner:
            pairs = zip(runner.cpu_us, mine.cpu_us, strict=True)
            ratio = f"{statistics.median(b / a for a, b in pairs):.2f}"
        cuts = statistics.quantiles(runner.took_us, n=100)
        lines.append(
            [
                runner.library.title,
                runner.loop,
                f"{statistics.median(runner.cpu_us):.1f} us",
                ratio,
                f"{statistics.median(runner.took_us):.0f} us",
                f"{cuts[98]:.0f} us",
            ]
        )
    print_table(lines)


def main() -> int:
    args = parse_arguments()
    before, facts = environment(), []
    try:
        for library in BROKERS:
            if library.name.lower() not in args.brokers:
                continue
            for cell in CELLS:
                if cell.name not in args.cells:
                    continue
                title = f"{cell.title}, through {library.name}"
                print(title, file=sys.stderr, flush=True)
                runners = measure(args, library, cell)
                print_runners(title, runners)
                facts += [
                    {
                        "broker": library.name,
                        "cell": cell.name,
                        "client": one.library.title,
                        "loop": one.loop,
                        "cpu_us": one.cpu_us,
                        "p50_us": one.p50_us,
                    }
                    for one in runners
                ]
    except EnvironmentFailed as error:
        print(f"not installed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; the tables have what there is", file=sys.stderr)
    print_environment(before, environment())
    if args.json:
        args.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
