"""How many strips one process can poll, side by side: see benchmarks/README.md.

The strips are simulated in a process of their own, at loopback addresses from 127.0.1.1
and the ports that real ones have; the client is another process, the original package
in an environment of its own.

    python benchmarks/maxsmart_polling.py                # twenty minutes
    python benchmarks/maxsmart_polling.py --quick        # 50 strips, 10 s
    python benchmarks/maxsmart_polling.py --only structiot --loops asyncio,trio
    python benchmarks/maxsmart_polling.py --beside ../before --strips 200 --seconds 20
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

from peers.environments import EnvironmentFailed, ensure
from peers.libraries import OURS, ROOT, UVLOOP, Library
from peers.report import environment, print_environment, print_table

RUNNERS = Path(__file__).resolve().parent / "strips"
ORIGINAL = "maxsmart"
CLIENTS = {
    OURS: Library(
        name=OURS,
        runner="run_structiot.py",
        requirements=(f"-e{ROOT}", UVLOOP),
        loops=("asyncio",),
    ),
    ORIGINAL: Library(
        name=ORIGINAL,
        runner="run_maxsmart.py",
        requirements=("maxsmart==2.1.0",),
        loops=("asyncio",),
    ),
}
COLUMNS = (
    "client", "loop", "strips", "ticks", "missed", "late p50", "p99", "most",
    "CPU", "CPU a poll", "memory", "threads", "files", "opened in", "strips' CPU",
)  # fmt: skip
START_S = 60.0
PORT_80 = (
    "The strips must be at TCP port 80, as the original package knows no other: run as\n"
    "root, or sysctl net.ipv4.ip_unprivileged_port_start=80 (as root, once)."
)

Result = dict[str, float | list[float]]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--strips", type=int, default=1000, help="of structiot")
    parser.add_argument("--original-strips", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--poll", type=float, default=2.0, help="seconds")
    parser.add_argument("--family", default="mh_strip_130", metavar="FAMILY,...")
    parser.add_argument("--only", default=",".join(CLIENTS), metavar="CLIENT,...")
    parser.add_argument("--loops", default="asyncio", metavar="asyncio,uvloop,trio")
    parser.add_argument("--simulators", type=int, default=1, help="processes")
    parser.add_argument("--beside", type=Path, metavar="CHECKOUT", help="compare with")
    parser.add_argument("--rounds", type=int, default=8, help="of such a comparison")
    parser.add_argument("--quick", action="store_true", help="50 strips, 10 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.strips, args.original_strips, args.seconds = 50, 50, 10
    return args


class Simulators:
    """Processes full of strips."""

    def __init__(self, python: Path, strips: int, family: str, processes: int) -> None:
        share = -(-strips // processes)
        self._processes = [
            subprocess.Popen(
                [
                    str(python),
                    str(RUNNERS / "simulate.py"),
                    *map(str, (first, min(share, strips - first), family)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                text=True,
                env=environment_of_ours(),
                # Linux shares processors out by session: the two sides are not one.
                start_new_session=True,
            )
            for first in range(0, strips, share)
        ]
        for process in self._processes:
            if process.stdout is None or not process.stdout.readline():
                self.end()
                raise SystemExit(PORT_80)

    def end(self) -> float:
        """End them and give the processor time that they have used."""
        lines = [process.communicate()[0] for process in self._processes]
        return sum(json.loads(line)["cpu_s"] for line in lines if line)


def environment_of_ours() -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT)}


def measure(args: argparse.Namespace, client: Library, loop: str) -> Result:
    python = ensure(client)
    ours = python if client.name == OURS else ensure(CLIENTS[OURS])
    strips = args.strips if client.name == OURS else args.original_strips
    ticks = int(args.seconds / args.poll)
    simulators = Simulators(ours, strips, args.family, args.simulators)
    job = [str(value) for value in (strips, ticks, args.poll, loop)]
    done = subprocess.run(
        [str(python), str(RUNNERS / client.runner), *job],
        capture_output=True,
        text=True,
        env=environment_of_ours() if client.name == OURS else None,
        timeout=args.seconds + args.poll + 120,
        check=False,
    )
    strips_cpu_s = simulators.end()
    if done.returncode or not done.stdout:
        raise SystemExit(f"{client.title}, {loop}: {done.stderr.strip()[-500:]}")
    result: Result = json.loads(done.stdout)
    return {**result, "strips_cpu_s": strips_cpu_s}


def compare(args: argparse.Namespace) -> None:
    """Let two checkouts poll the same strips at the same time, each on a core.

    One after the other they would meet a machine of another speed; the cores change.
    """
    python, cores = ensure(CLIENTS[OURS]), sorted(os.sched_getaffinity(0))[:2]
    job = [str(args.strips), str(int(args.seconds / args.poll)), str(args.poll)]
    ratios = []
    for turn in range(args.rounds):
        simulators = Simulators(python, args.strips, args.family, args.simulators)
        clients = []
        for core, root in zip(cores, (ROOT, args.beside.resolve()), strict=True):
            runner = root / "benchmarks" / "strips" / CLIENTS[OURS].runner
            command = [str(python), str(runner), *job, args.loops]
            environ = {**os.environ, "PYTHONPATH": str(root)}
            clients.append(
                subprocess.Popen(
                    ["taskset", "-c", str(core), *command],
                    stdout=subprocess.PIPE,
                    text=True,
                    env=environ,
                    start_new_session=True,
                )
            )
        here, there = (json.loads(client.communicate()[0]) for client in clients)
        simulators.end()
        cores.reverse()
        costs = [1e6 * one["cpu_s"] / one["seen"] for one in (here, there)]
        ratios.append(costs[0] / costs[1])
        print(f"{turn + 1}: {costs[0]:,.0f} us a poll beside {costs[1]:,.0f} us")
    print(f"this / other, median of {args.rounds}: {statistics.median(ratios):.3f}")


def line_of(client: Library, loop: str, result: Result) -> list[str]:
    def share(seconds: object) -> str:
        return f"{100 * seconds / result['elapsed_s']:.0f} %"

    p50, p99, most = (f"{late:,.0f} ms" for late in result["late_ms"])
    return [
        client.title,
        loop,
        f"{result['strips']:,}",
        f"{result['due']:,}",
        f"{result['due'] - result['seen']:,}",
        p50,
        p99,
        most,
        share(result["cpu_s"]),
        f"{1e6 * result['cpu_s'] / max(1, result['seen']):,.0f} us",
        f"{result['memory_mb']:.0f} MB",
        f"{result['threads']}",
        f"{result['files']:,}",
        f"{result['opened_s']:.1f} s",
        share(result["strips_cpu_s"]),
    ]


def main() -> None:
    args = parse_arguments()
    if args.beside:
        compare(args)
        return
    before = environment()
    lines, results = [list(COLUMNS)], {}
    for name in args.only.split(","):
        client = CLIENTS[name]
        for loop in args.loops.split(",") if name == OURS else client.loops:
            try:
                result = measure(args, client, loop)
            except EnvironmentFailed as exc:
                raise SystemExit(f"{client.title}: {exc}") from exc
            results[f"{client.title}, {loop}"] = result
            lines.append(line_of(client, loop, result))
            print(" ".join(lines[-1]), file=sys.stderr, flush=True)
    print_table(lines)
    print(f"\n{args.family}, every {args.poll:g} s for {args.seconds:g} s")
    print_environment(before, after := environment())
    if args.json:
        args.json.write_text(json.dumps({"results": results, "machine": after}))


if __name__ == "__main__":
    main()
