"""How many commands a second Meross plugs take, side by side: see benchmarks/README.md.

The cloud and the plugs are simulated in a process of their own; the client is another
process, the original package in an environment of its own.

    python benchmarks/meross_commands.py                # three minutes
    python benchmarks/meross_commands.py --quick        # 10 plugs, 2 s each
    python benchmarks/meross_commands.py --only structiot --loops asyncio,uvloop,trio
    python benchmarks/meross_commands.py --ways lan --seconds 30
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

from peers.environments import EnvironmentFailed, ensure, ensure_certificate
from peers.libraries import OURS, ROOT, UVLOOP, Library
from peers.report import environment, print_environment, print_table

BENCHMARKS = Path(__file__).resolve().parent
RUNNERS = BENCHMARKS / "meross"
ORIGINAL = "meross-iot"
CLIENTS = {
    OURS: Library(
        name=OURS,
        runner="run_structiot.py",
        requirements=(f"-e{ROOT}", UVLOOP),
        loops=("asyncio",),
    ),
    ORIGINAL: Library(
        name=ORIGINAL,
        runner="run_meross_iot.py",
        requirements=("meross-iot==0.4.10.4", "aiohttp==3.14.5", "paho-mqtt==2.2.0"),
        loops=("asyncio",),
    ),
}
COLUMNS = (
    "client", "loop", "way", "at once", "commands a second", "p50", "p99",
    "CPU", "CPU a command", "memory", "simulators' CPU",
)  # fmt: skip
PORT_80 = (
    "The plugs must be at TCP port 80, as the original package knows no other: run as\n"
    "root, or sysctl net.ipv4.ip_unprivileged_port_start=80 (as root, once)."
)
WAYS = ("lan", "cloud")
# What asks each plug through the cloud what it can, and where it is, is below this.
ASKED_AT_FIRST = 6
MISTAKES = 0.01

Result = dict[str, float]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--plugs", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=20, help="of each row")
    parser.add_argument("--model", default="mss110", help="encrypted, so that all can")
    parser.add_argument("--ways", default=",".join(WAYS), metavar="WAY,...")
    parser.add_argument("--only", default=",".join(CLIENTS), metavar="CLIENT,...")
    parser.add_argument("--loops", default="asyncio", metavar="asyncio,uvloop,trio")
    parser.add_argument("--quick", action="store_true", help="10 plugs, 2 seconds")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.plugs, args.seconds = 10, 2
    return args


def environment_of(client: Library, authority: Path) -> dict[str, str]:
    """Both trust the simulated cloud by way of the system's authorities."""
    folders = [ROOT, BENCHMARKS] if client.name == OURS else [BENCHMARKS]
    path = os.pathsep.join(str(folder) for folder in folders)
    return {**os.environ, "PYTHONPATH": path, "SSL_CERT_FILE": str(authority)}


class Simulators:
    """A process with a cloud and plugs."""

    def __init__(self, python: Path, plugs: int, model: str) -> None:
        certificate, authority = ensure_certificate()
        command = [python, RUNNERS / "simulate.py", str(plugs), model, certificate]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment_of(CLIENTS[OURS], authority),
            # Linux shares processors out by session: the two sides are not one.
            start_new_session=True,
        )
        line = self._process.stdout.readline()
        if not line:
            self._process.communicate()
            raise SystemExit(PORT_80)
        self.place: dict[str, object] = json.loads(line)

    def end(self) -> Result:
        """End it; give the messages that it has relayed, and what it has used."""
        line = self._process.communicate()[0]
        return json.loads(line) if line else {"messages": 0, "cpu_s": 0}


def measure(
    args: argparse.Namespace, client: Library, loop: str, way: str, at_once: int
) -> Result:
    python = ensure(client)
    ours = python if client.name == OURS else ensure(CLIENTS[OURS])
    _, authority = ensure_certificate()
    simulators = Simulators(ours, args.plugs, args.model)
    job = {
        **simulators.place,
        "way": way,
        "plugs": args.plugs,
        "at_once": at_once,
        "seconds": args.seconds,
        "loop": loop,
    }
    done = subprocess.run(
        [str(python), str(RUNNERS / client.runner), json.dumps(job)],
        capture_output=True,
        text=True,
        env=environment_of(client, authority),
        timeout=args.seconds + 180,
        check=False,
    )
    used = simulators.end()
    if done.returncode or not done.stdout:
        reason = done.stderr.strip()[-500:]
        raise SystemExit(f"{client.title}, {loop}, {way}: {reason}")
    result: Result = json.loads(done.stdout.splitlines()[-1])
    by_mistake = used["messages"] - ASKED_AT_FIRST * args.plugs
    if way == "lan" and by_mistake > MISTAKES * result["commands"]:
        text = f"{by_mistake} commands went through the cloud"
        raise SystemExit(f"{client.title}, {loop}, lan: {text}")
    return {**result, "simulators_cpu_s": used["cpu_s"]}


def line_of(
    client: Library, loop: str, way: str, at_once: int, result: Result
) -> list[str]:
    commands, elapsed_s = result["commands"], result["elapsed_s"]
    return [
        client.title,
        loop,
        way,
        f"{at_once}",
        f"{commands / elapsed_s:,.0f}",
        f"{result['p50_ms']:,.1f} ms",
        f"{result['p99_ms']:,.1f} ms",
        f"{100 * result['cpu_s'] / elapsed_s:.0f} %",
        f"{1e6 * result['cpu_s'] / commands:,.0f} us",
        f"{result['memory_mb']:.0f} MB",
        f"{100 * result['simulators_cpu_s'] / elapsed_s:.0f} %",
    ]


def main() -> None:
    args = parse_arguments()
    before = environment()
    lines, results = [list(COLUMNS)], {}
    for way in args.ways.split(","):
        for at_once in (args.plugs, 1):
            for name in args.only.split(","):
                client = CLIENTS[name]
                for loop in args.loops.split(",") if name == OURS else client.loops:
                    try:
                        result = measure(args, client, loop, way, at_once)
                    except EnvironmentFailed as exc:
                        raise SystemExit(f"{client.title}: {exc}") from exc
                    results[f"{client.title}, {loop}, {way}, {at_once}"] = result
                    lines.append(line_of(client, loop, way, at_once, result))
                    print(" ".join(lines[-1]), file=sys.stderr, flush=True)
    print_table(lines)
    print(f"\n{args.plugs} plugs {args.model}, {args.seconds:g} s a row")
    print_environment(before, after := environment())
    if args.json:
        args.json.write_text(json.dumps({"results": results, "machine": after}))


if __name__ == "__main__":
    main()
