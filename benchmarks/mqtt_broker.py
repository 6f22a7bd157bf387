"""How much MQTT brokers can carry, side by side: see benchmarks/README.md.

Every broker runs in its own process, the Python ones in their own virtual environments;
the load is one process of raw sockets on the other core (brokers/load.py).

    python benchmarks/mqtt_broker.py --quick
    python benchmarks/mqtt_broker.py --only structiot,amqtt --cells fanout0,idle
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from pathlib import Path

from brokers.programs import BROKERS, CELLS, OURS, Cell
from brokers.running import Bench, Sample
from peers.environments import EnvironmentFailed, ensure
from peers.libraries import Library
from peers.report import environment, print_environment, print_table

TRIAL = 500
LEAST, MOST = 200, 3_000_000

Row = tuple[Library, str]
Samples = dict[tuple[str, str, str], list[Sample]]


def parse_arguments() -> argparse.Namespace:
    def words(text: str) -> list[str]:
        return [word.strip() for word in text.split(",") if word.strip()]

    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = ", ".join(library.name for library in BROKERS)
    parser.add_argument("--only", type=words, metavar="BROKER,...", help=names)
    cells = ", ".join(cell.name for cell in CELLS)
    parser.add_argument("--cells", type=words, metavar="CELL,...", help=cells)
    parser.add_argument("--loops", type=words, metavar="asyncio,uvloop,trio")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument(
        "--seconds", type=float, default=1.5, help="how long one run should take"
    )
    parser.add_argument("--quick", action="store_true", help="one short round")
    parser.add_argument(
        "--no-pin", action="store_true", help="leave cores to the system"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args()
    if args.quick:
        args.rounds, args.seconds = 1, 0.4
    return args


def measure(args: argparse.Namespace, rows: list[Row], cells: list[Cell]) -> Samples:
    """Cell by cell, so that what is compared is measured at about the same time."""
    bench = Bench(pin=not args.no_pin)
    samples: Samples = {}
    for turn in range(args.rounds):
        for cell in cells:
            for row in rows:
                library, loop = row
                try:
                    python = ensure(library)
                    sample = one(bench, python, row, cell, args.seconds)
                except EnvironmentFailed as error:
                    sample = Sample(problem=f"not installed: {error}")
                samples.setdefault((library.name, loop, cell.name), []).append(sample)
                text = sample.problem or describe(cell, sample)
                place = f"{turn + 1}: {library.title}, {loop}, {cell.title}"
                print(f"{place}: {text}", file=sys.stderr)
    return samples


def one(bench: Bench, python: Path, row: Row, cell: Cell, seconds: float) -> Sample:
    """A trial or two that say how many messages are worth while, then the run."""
    if cell.idle:
        return bench.run(python, row, cell, 0)
    count = max(TRIAL // cell.subscribers, 1) * cell.publishers
    sample = bench.run(python, row, cell, count)
    for share in (0.2, 1.0):
        if sample.problem:
            break
        wanted = sample.rate * seconds * share / cell.subscribers
        count = int(max(LEAST / cell.subscribers, min(MOST, wanted)))
        count = max(count // cell.publishers, 1) * cell.publishers
        sample = bench.run(python, row, cell, count)
    return sample


def describe(cell: Cell, sample: Sample) -> str:
    if cell.idle:
        return f"{sample.memory_kb:.1f} kB each, {sample.rate:,.0f} connects/s"
    return f"{sample.rate:,.0f}/s ({sample.busy:.0%} busy)"


def median(samples: list[Sample]) -> Sample | None:
    good = [sample for sample in samples if not sample.problem]
    if not good:
        return None
    return Sample(
        rate=statistics.median(sample.rate for sample in good),
        busy=statistics.median(sample.busy for sample in good),
        memory_kb=statistics.median(sample.memory_kb for sample in good),
    )


def report(samples: Samples, rows: list[Row], cells: list[Cell]) -> None:
    lines = [["broker", "loop", *(cell.title for cell in cells)]]
    for library, loop in rows:
        line = [library.title, loop]
        for cell in cells:
            taken = samples[library.name, loop, cell.name]
            middle = median(taken)
            if middle is None:
                line.append(f"failed: {taken[0].problem[:40]}")
            elif cell.idle:
                line.append(f"{middle.memory_kb:.1f} kB each")
            else:
                line.append(f"{middle.rate:,.0f}")
        lines.append(line)
    print("\n### messages delivered a second\n")
    print_table(lines)
    print_factors(samples, rows, cells)


def print_factors(samples: Samples, rows: list[Row], cells: list[Cell]) -> None:
    """Ours on asyncio against every other broker."""
    lines = [[f"{OURS} on asyncio against", *(cell.title for cell in cells)]]
    for library, loop in rows:
        if library.name == OURS:
            continue
        line = [f"{library.name} {loop}"]
        for cell in cells:
            mine = median(samples.get((OURS, "asyncio", cell.name), []))
            other = median(samples[library.name, loop, cell.name])
            if mine is None or other is None:
                line.append("-")
            elif cell.idle:
                line.append(f"{mine.memory_kb / max(other.memory_kb, 0.01):.2f} x")
            else:
                line.append(f"{mine.rate / other.rate:.1f} x")
        lines.append(line)
    if len(lines) > 1:
        print()
        print_table(lines)


def main() -> int:
    args = parse_arguments()
    rows = [
        (library, loop)
        for library in BROKERS
        if not args.only or library.name in args.only
        for loop in library.loops
        if not args.loops or loop in (*args.loops, "-")
    ]
    cells = [cell for cell in CELLS if not args.cells or cell.name in args.cells]
    before = environment()
    samples = measure(args, rows, cells)
    report(samples, rows, cells)
    print_environment(before, environment())
    if args.json:
        facts = {
            " ".join(key): [dataclasses.asdict(sample) for sample in taken]
            for key, taken in samples.items()
        }
        text = json.dumps({**before, "samples": facts}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
