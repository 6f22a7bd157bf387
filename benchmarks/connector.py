"""What a connector with many devices costs: see benchmarks/README.md.

The platform is a process of plain streams with a core of its own; the connector is
another process.

    python benchmarks/connector.py                 # 1,000 devices, half a minute
    python benchmarks/connector.py --quick         # 100 devices, ten seconds
    python benchmarks/connector.py --loops asyncio,uvloop,trio
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from brokers.running import Server
from peers.arguments import words
from peers.environments import EnvironmentFailed, ensure
from peers.libraries import OURS, ROOT, UVLOOP, Library
from peers.report import environment, print_environment, print_table

BENCHMARKS = Path(__file__).resolve().parent
RUNNERS = BENCHMARKS / "gateways"
LIBRARY = Library(
    name=OURS,
    runner="run_structiot.py",
    requirements=(f"-e{ROOT}", UVLOOP),
    loops=("asyncio", "trio"),
)
COLUMNS = (
    "loop", "devices", "synchronised in", "memory a device", "at once",
    "commands a second", "p50", "p99", "most", "CPU",
)  # fmt: skip
AT_ONCE = (1, 8, 64)
SETTLE_S = 0.5

Result = dict[str, Any]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=1000)
    parser.add_argument("--commands", type=int, default=5000, help="in each round")
    parser.add_argument("--loops", type=words, metavar="asyncio,uvloop,trio")
    parser.add_argument("--no-pin", action="store_true", help="leave cores alone")
    parser.add_argument(
        "--quick", action="store_true", help="100 devices, 500 commands"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.devices, args.commands = 100, 500
    return args


class Measurement:
    """A platform and a connector, each on a core."""

    def __init__(self, args: argparse.Namespace, loop: str) -> None:
        self.args = args
        usable = sorted(os.sched_getaffinity(0))
        is_pinned = len(usable) > 1 and not args.no_pin
        cpus = usable[:2] if is_pinned else [-1, -1]
        self.platform = Server(
            [sys.executable, str(RUNNERS / "sepl_platform.py"), str(cpus[1])]
        )
        given = [loop, str(cpus[0]), str(self.platform.port), str(args.devices)]
        self.connector = Server(
            [str(ensure(LIBRARY)), str(RUNNERS / LIBRARY.runner), *given],
            environ={
                **os.environ,
                "PYTHONPATH": os.pathsep.join(map(str, (BENCHMARKS, ROOT))),
            },
        )

    def end(self) -> None:
        self.connector.end()
        self.platform.end()

    def order(self, **order: object) -> Result:
        process: subprocess.Popen[str] = self.platform.process
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise SystemExit("the platform has ended")
        found: Result = json.loads(line)
        return found

    def run(self) -> Result:
        time.sleep(SETTLE_S)
        before_kb = self.connector.memory_kb("VmRSS")
        stdin = self.connector.process.stdin
        assert stdin is not None
        stdin.write("go\n")
        stdin.flush()
        first = self.order(do="synchronised")
        time.sleep(SETTLE_S)
        grown_kb = self.connector.memory_kb("VmRSS") - before_kb
        rounds = []
        for at_once in AT_ONCE:
            before_s, begun = self.connector.cpu_s(), time.monotonic()
            found = self.order(do="commands", count=self.args.commands, at_once=at_once)
            busy = (self.connector.cpu_s() - before_s) / (time.monotonic() - begun)
            rounds.append({"at_once": at_once, "busy": busy, **found})
        return {
            "devices": first["devices"],
            "synchronised_s": first["seconds"],
            "memory_kb": grown_kb / self.args.devices,
            "commands": rounds,
            "peak_mb": self.connector.memory_kb("VmHWM") / 1024,
        }


def lines_of(loop: str, result: Result) -> list[list[str]]:
    head = [
        loop,
        f"{result['devices']:,}",
        f"{1000 * result['synchronised_s']:,.0f} ms",
        f"{result['memory_kb']:.2f} kB",
    ]
    lines = []
    for found in result["commands"]:
        if found["missing"]:
            raise SystemExit(f"{found['missing']} commands were not answered")
        late = [
            f"{1000 * found[name]:,.2f} ms" for name in ("p50_s", "p99_s", "most_s")
        ]
        lines.append(
            [
                *head,
                f"{found['at_once']}",
                f"{found['rate']:,.0f}",
                *late,
                f"{100 * found['busy']:.0f} %",
            ]
        )
        head = [""] * len(head)
    return lines


def main() -> None:
    args = parse_arguments()
    before = environment()
    lines, results = [list(COLUMNS)], {}
    for loop in args.loops or LIBRARY.loops:
        try:
            measurement = Measurement(args, loop)
        except EnvironmentFailed as exc:
            raise SystemExit(str(exc)) from exc
        try:
            results[loop] = measurement.run()
        finally:
            measurement.end()
        lines += lines_of(loop, results[loop])
    print_table(lines)
    print_environment(before, environment())
    if args.json:
        machine = {"results": results, "machine": environment()}
        args.json.write_text(json.dumps(machine, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
