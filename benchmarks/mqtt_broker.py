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
import sys

from brokers.programs import BROKERS, CELLS, Cell, swept
from brokers.report import Report
from brokers.running import Bench, Sample
from peers.arguments import (
    CROWDS,
    PAYLOADS,
    QUICK_ROUNDS,
    QUICK_SECONDS,
    add_measuring,
    words,
)
from peers.environments import EnvironmentFailed, ensure
from peers.libraries import Library
from peers.rates import Rates
from peers.report import environment, print_environment

TRIAL = 500
TRIAL_BYTES = 1 << 25
LEAST, MOST = 200, 3_000_000

Row = tuple[Library, str, Cell]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    names = [library.name for library in BROKERS]
    parser.add_argument(
        "--only", type=words, metavar="BROKER,...", help=", ".join(names)
    )
    cells = [cell.name for cell in CELLS]
    parser.add_argument(
        "--cells", type=words, metavar="CELL,...", help=", ".join(cells)
    )
    parser.add_argument(
        "--sweep",
        action="store_true",
        help="payloads of 64 bytes to 4 MB and up to 10,000 topics and filters instead",
    )
    add_measuring(parser, measured="broker", quick="one short round")
    args = parser.parse_args()
    if args.sweep:
        cells = [cell.name for cell in swept(PAYLOADS, CROWDS)]
    for given, known in ((args.only, names), (args.cells, cells)):
        for word in given or ():
            if word not in known:
                parser.error(f"there is no {word!r}, but {', '.join(known)}")
    if args.quick:
        args.rounds, args.seconds = QUICK_ROUNDS, QUICK_SECONDS
    return args


def choose_rows(args: argparse.Namespace) -> list[Row]:
    """Cell by cell, so that what is compared is measured at about the same time."""
    cells = swept(PAYLOADS, CROWDS) if args.sweep else CELLS
    return [
        (library, loop, cell)
        for cell in cells
        if not args.cells or cell.name in args.cells
        for library in BROKERS
        if not args.only or library.name in args.only
        for loop in library.loops
        if not args.loops or loop in (*args.loops, "-")
    ]


def measure(args: argparse.Namespace, rows: list[Row]) -> dict[Row, list[Sample]]:
    bench = Bench(pin=not args.no_pin)
    rates = Rates("broker_rates.json")
    samples: dict[Row, list[Sample]] = {row: [] for row in rows}
    try:
        for turn in range(args.rounds):
            for row in rows:
                sample = one(bench, row, args.seconds, rates)
                samples[row].append(sample)
                text = sample.problem or describe(row[2], sample)
                note = f"{turn + 1}: {name_of(row)}: {text}"
                print(note, file=sys.stderr, flush=True)
    except KeyboardInterrupt:
        print("interrupted; the tables have what there is", file=sys.stderr)
    rates.save()
    return {row: taken for row, taken in samples.items() if taken}


def name_of(row: Row) -> str:
    library, loop, cell = row
    return f"{library.title}, {loop}, {cell.title}"


def one(bench: Bench, row: Row, seconds: float, rates: Rates) -> Sample:
    """One run of about so many seconds, before the very first a trial or two."""
    library, _, cell = row
    try:
        python = ensure(library)
    except EnvironmentFailed as error:
        return Sample(problem=f"not installed: {error}")
    if cell.idle:
        return bench.run(python, row, 0)
    rate = rates.get(name_of(row))
    if not rate:
        few = max(16, min(TRIAL, TRIAL_BYTES // cell.payload))
        for count in (few, 10 * few):
            trial = bench.run(python, row, published(cell, count))
            if trial.problem:
                return trial
            rate = trial.rate
            if rate < 2 * few:
                break
    count = max(min(LEAST, TRIAL_BYTES // cell.payload), min(MOST, int(rate * seconds)))
    sample = bench.run(python, row, published(cell, count))
    rates.put(name_of(row), sample.rate)
    return sample


def published(cell: Cell, delivered: int) -> int:
    """How many messages to publish for so many deliveries, the same by everybody."""
    each = delivered // (cell.subscribers * cell.publishers)
    return max(each, 1) * cell.publishers


def describe(cell: Cell, sample: Sample) -> str:
    if cell.idle:
        return f"{sample.memory_kb:.1f} kB each, {sample.rate:,.0f} connects/s"
    return f"{sample.rate:,.0f}/s ({sample.busy:.0%} busy)"


def main() -> int:
    args = parse_arguments()
    rows = choose_rows(args)
    if not rows:
        print("nothing to measure: no broker runs on these loops")
        return 2
    before = environment()
    samples = measure(args, rows)
    Report(samples, by_cpu_time=args.cpu_time).print()
    print_environment(before, environment())
    if args.json:
        facts = {
            f"{library.title}, {loop}, {cell.name}": list(
                map(dataclasses.asdict, taken)
            )
            for (library, loop, cell), taken in samples.items()
        }
        text = json.dumps({**before, "samples": facts}, indent=1)
        args.json.write_text(text + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
