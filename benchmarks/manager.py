"""How many devices a manager bears, side by side: see benchmarks/README.md.

The devices are raw sockets in a process of their own, which has a core of its own; the
manager is another process, the original package in an environment of its own.

    python benchmarks/manager.py                 # 10,000 devices, ten minutes
    python benchmarks/manager.py --quick         # 200 devices, a minute
    python benchmarks/manager.py --only structiot --loops asyncio,uvloop,trio
    python benchmarks/manager.py --only iot-manager-0.0.5 --original-devices 100,500
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
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
RUNNERS = BENCHMARKS / "devices"
DOCUMENTED, LATER = "iot-manager-0.0.5", "iot-manager-0.0.35"
MANAGERS = {
    OURS: Library(
        name=OURS,
        runner="run_structiot.py",
        requirements=(f"-e{ROOT}", UVLOOP),
        loops=("asyncio", "trio"),
    ),
    DOCUMENTED: Library(
        name=DOCUMENTED,
        runner="run_iot_manager.py",
        requirements=("iot-manager==0.0.5",),
        loops=("0.0.5",),
    ),
    # Its own requirement of gevent is written so that nobody reads it.
    LATER: Library(
        name=LATER,
        runner="run_iot_manager.py",
        requirements=("iot-manager==0.0.35", "gevent==26.9.0"),
        loops=("0.0.35",),
    ),
}
DIALECTS = {DOCUMENTED: "D1"}
COLUMNS = (
    "manager", "loop", "devices", "connects a second", "memory a device",
    "heartbeats CPU", "to all p50", "most", "messages a second", "late p50", "p99",
    "most", "lost", "CPU",
)  # fmt: skip
# The original has eight workers, and does not survive many more newcomers at once.
AT_ONCE = {OURS: 100, DOCUMENTED: 8, LATER: 8}
WARM_UP = 50
BROADCASTS = 5
SETTLE_S, LOOK_S, GIVE_UP_S = 1.0, 0.005, 60.0

Result = dict[str, Any]


class NotSurvived(Exception):
    """A manager has not borne so many devices; the text says how that was seen."""


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--devices", type=int, default=10_000, help="of structiot")
    parser.add_argument(
        "--original-devices",
        type=words,
        default=["100", "200", "500", "1000", "2000", "5000", "10000"],
        metavar="NUMBER,...",
        help="tried in turn, as long as it survives",
    )
    parser.add_argument("--heartbeat", type=float, default=15, help="seconds")
    parser.add_argument("--rate", type=int, default=1000, help="messages a second")
    parser.add_argument("--seconds", type=float, default=20, help="of such a load")
    parser.add_argument("--only", type=words, default=list(MANAGERS))
    parser.add_argument("--loops", type=words, metavar="asyncio,uvloop,trio")
    parser.add_argument("--no-pin", action="store_true", help="leave cores alone")
    parser.add_argument("--quick", action="store_true", help="200 devices, 3 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.devices, args.original_devices = 200, ["200"]
        args.heartbeat, args.rate, args.seconds = 3, 200, 3
    return args


class Peer:
    """A process that is told a line of JSON, and answers by one."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def answer(self, **order: object) -> Result:
        stdin, stdout = self._process.stdin, self._process.stdout
        assert stdin is not None
        assert stdout is not None
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()
        line = stdout.readline()
        if not line:
            raise NotSurvived("the process has ended")
        found: Result = json.loads(line)
        if "problem" in found:
            raise NotSurvived(found["problem"])
        return found


class Measurement:
    """A manager and a fleet, each on a core."""

    def __init__(
        self, args: argparse.Namespace, library: Library, loop: str, devices: int
    ) -> None:
        self.args, self.library, self.devices = args, library, devices
        usable = sorted(os.sched_getaffinity(0))
        is_pinned = len(usable) > 1 and not args.no_pin
        self.cpus = usable[:2] if is_pinned else [-1, -1]
        runner = str(RUNNERS / library.runner)
        words_of_runner = [loop, str(self.cpus[0]), str(args.heartbeat)]
        self.server = Server(
            [str(ensure(library)), runner, *words_of_runner],
            environ={**os.environ, "PYTHONPATH": self.path(library)},
        )
        fleet = [str(RUNNERS / "fleet.py"), str(self.server.port)]
        fleet += [DIALECTS.get(library.name, "D4"), str(self.cpus[1])]
        self._fleet = subprocess.Popen(
            [sys.executable, *fleet],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.fleet, self.manager = Peer(self._fleet), Peer(self.server.process)

    @staticmethod
    def path(library: Library) -> str:
        folders = [BENCHMARKS, ROOT] if library.name == OURS else [BENCHMARKS]
        return os.pathsep.join(map(str, folders))

    def end(self) -> None:
        for process in (self.server.process, self._fleet):
            process.kill()
            process.communicate()

    def run(self) -> Result:
        if not self.server.port:
            raise NotSurvived("it does not start")
        at_once, count = AT_ONCE[self.library.name], self.devices - WARM_UP
        self.connect(WARM_UP, at_once, WARM_UP)
        time.sleep(SETTLE_S)
        before_kb = self.server.memory_kb("VmRSS")
        seconds = self.connect(count, at_once, self.devices)
        time.sleep(SETTLE_S)
        grown_kb = self.server.memory_kb("VmRSS") - before_kb
        return {
            "connects": count / seconds,
            "memory_kb": grown_kb / count,
            **self.idle(),
            **self.broadcast(),
            **self.load(),
            "peak_mb": self.server.memory_kb("VmHWM") / 1024,
        }

    def connect(self, count: int, at_once: int, wanted: int) -> float:
        """Have so many more; give how long it took until the manager had them all."""
        begun = self.fleet.answer(do="connect", count=count, at_once=at_once)
        while (found := self.manager.answer(do="count")["count"]) < wanted:
            if time.monotonic() > begun["started_at"] + GIVE_UP_S:
                raise NotSurvived(f"it has taken {found} of {wanted} devices")
            time.sleep(LOOK_S)
        return time.monotonic() - begun["started_at"]

    def idle(self) -> Result:
        """Two rounds of heartbeats."""
        seconds, before_s = 2 * self.args.heartbeat, self.server.cpu_s()
        found = self.fleet.answer(do="idle", seconds=seconds)
        if found["gone"] or found["heartbeats"] < self.devices:
            text = f"{found['gone']} devices gone, {found['heartbeats']} heartbeats"
            raise NotSurvived(text)
        return {"idle_busy": (self.server.cpu_s() - before_s) / seconds}

    def broadcast(self) -> Result:
        """A message to all, a few times; until the last device has it."""
        took_s = []
        for number in range(1, BROADCASTS + 1):
            begun = self.manager.answer(do="broadcast")
            ended = self.fleet.answer(do="expect_broadcast", number=number)
            if ended["missing"] or begun["failed"]:
                missing = max(ended["missing"], begun["failed"])
                raise NotSurvived(f"a message to all has not reached {missing} devices")
            last_at = max(ended["last_at"], begun["ended_at"])
            took_s.append(last_at - begun["started_at"])
        return {"broadcast_s": took_s}

    def load(self) -> Result:
        before_s, begun = self.server.cpu_s(), time.monotonic()
        found = self.fleet.answer(
            do="load", rate=self.args.rate, seconds=self.args.seconds
        )
        busy = (self.server.cpu_s() - before_s) / (time.monotonic() - begun)
        return {**found, "load_busy": busy}


def measure(
    args: argparse.Namespace, library: Library, loop: str, devices: int
) -> Result:
    measurement = Measurement(args, library, loop, devices)
    try:
        return measurement.run()
    finally:
        measurement.end()


def largest(args: argparse.Namespace, library: Library, loop: str) -> Result:
    """Measure it with as many devices as it survives."""
    if library.name == OURS:
        return {"devices": args.devices, **measure(args, library, loop, args.devices)}
    found: Result = {}
    for devices in map(int, args.original_devices):
        try:
            found = {"devices": devices, **measure(args, library, loop, devices)}
        except NotSurvived as exc:
            print(f"{library.name}, {devices} devices: {exc}", file=sys.stderr)
            found["not_survived"] = f"{devices}: {exc}"
            break
    return found


def line_of(library: Library, loop: str, result: Result) -> list[str]:
    if "devices" not in result:
        return [library.name, loop, result["not_survived"], *[""] * (len(COLUMNS) - 3)]
    late = [f"{1000 * one:,.1f} ms" for one in result["took_s"]]
    if not result["returned"]:
        late = ["-"] * 3
    all_s = result["broadcast_s"]
    to_all = [f"{1000 * one:,.0f} ms" for one in (statistics.median(all_s), max(all_s))]
    return [
        library.name,
        loop,
        f"{result['devices']:,}",
        f"{result['connects']:,.0f}",
        f"{result['memory_kb']:.1f} kB",
        f"{100 * result['idle_busy']:.0f} %",
        *to_all,
        f"{result['rate']:,.0f}",
        *late,
        f"{result['sent'] - result['returned']:,}",
        f"{100 * result['load_busy']:.0f} %",
    ]


def main() -> None:
    args = parse_arguments()
    before = environment()
    lines, results = [list(COLUMNS)], {}
    for name in args.only:
        library = MANAGERS[name]
        for loop in (name == OURS and args.loops) or library.loops:
            try:
                result = {"rate": args.rate, **largest(args, library, loop)}
            except (EnvironmentFailed, NotSurvived) as exc:
                raise SystemExit(f"{name}, {loop}: {exc}") from exc
            results[f"{name}, {loop}"] = result
            lines.append(line_of(library, loop, result))
            print(" ".join(lines[-1]), file=sys.stderr, flush=True)
    print_table(lines)
    print_environment(before, environment())
    for title, result in results.items():
        if "not_survived" in result:
            print(f"{title}: not {result['not_survived']}")
    if args.json:
        machine = {"results": results, "machine": environment()}
        args.json.write_text(json.dumps(machine, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
