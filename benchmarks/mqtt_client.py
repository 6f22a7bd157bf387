"""How fast MQTT clients in Python receive and publish, side by side.

Every client runs in its own virtual environment and process against the same
raw-socket peer in another process: see benchmarks/README.md for what is measured.

    python benchmarks/mqtt_client.py --quick
    python benchmarks/mqtt_client.py --only structiot,gmqtt --cells receive0,publish1
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

from peers.arguments import (
    CROWDS,
    PAYLOADS,
    QUICK_ROUNDS,
    QUICK_SECONDS,
    add_measuring,
    words,
)
from peers.environments import EnvironmentFailed, ensure
from peers.libraries import CELLS, LIBRARIES, YARDSTICKS, Cell, Library
from peers.measure import Bench, Sample
from peers.rates import Rates
from peers.report import Report, Result, environment, print_environment
from peers.sweep import print_one, print_sweep

Row = tuple[Library, str, Cell]


def parse_cells(text: str) -> tuple[Cell, ...]:
    """`receive0,publish2`, or a whole side: `receive`; each with and without TLS."""
    chosen: list[Cell] = []
    for word in words(text):
        matching = [cell for cell in CELLS if word in (cell.name, cell.mode)]
        if not matching:
            raise argparse.ArgumentTypeError(f"no such cell: {word!r}")
        chosen += matching
    return tuple(dict.fromkeys(chosen))


def parse_arguments(argv: list[str] | None = None) -> argparse.Namespace:
    names = [library.name for library in LIBRARIES]
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--only", type=words, metavar="LIB,...", help=", ".join(names))
    parser.add_argument("--cells", type=parse_cells, default=CELLS, metavar="CELL,...")
    parser.add_argument(
        "--tls",
        choices=("both", "with", "without"),
        default="both",
        help="whether the cells are measured through TLS, without it, or both",
    )
    parser.add_argument(
        "--sweep",
        nargs="?",
        const=PAYLOADS,
        type=lambda text: [int(word) for word in words(text)],
        metavar="BYTES,...",
        help="payloads of 64 bytes to 4 MB at QoS 0 and 1, one table for each",
    )
    parser.add_argument(
        "--topics",
        action="store_true",
        help="1 to 10,000 topics, and subscriptions that match nothing, in the same way",
    )
    parser.add_argument(
        "--one", action="store_true", help="one message of QoS 1 at a time instead"
    )
    add_measuring(parser, measured="client", quick="one short round, asyncio")
    args = parser.parse_args(argv)
    for name in args.only or ():
        if name not in names:
            parser.error(f"no such client: {name!r}; there are {', '.join(names)}")
    if args.quick:
        args.rounds, args.seconds = QUICK_ROUNDS, QUICK_SECONDS
        args.loops = args.loops or ["asyncio"]
    return args


def choose_rows(args: argparse.Namespace) -> list[Row]:
    """Cell by cell, so that what is compared is measured at about the same time."""
    return [
        (library, loop, cell)
        for usual in args.cells
        if args.tls in ("both", "with" if usual.is_tls else "without")
        for cell in variants(usual, args)
        for library in LIBRARIES
        if not args.only or library.name in args.only
        for loop in library.loops
        if not args.loops or loop in args.loops or loop in ("-", "thread")
        if usual in library.cells
        if cell in CELLS or library.name not in YARDSTICKS
    ]


def variants(cell: Cell, args: argparse.Namespace) -> list[Cell]:
    """What is measured in the place of a usual cell."""
    if args.one:
        return [cell._replace(window=1)] if cell.qos == 1 else []
    if args.sweep:
        return [cell._replace(payload=n) for n in args.sweep] if cell.qos < 2 else []
    if args.topics and cell.qos < 2:
        cells = [cell._replace(topics=many) for many in CROWDS]
        if cell.mode == "receive":
            cells += [cell._replace(filters=many) for many in CROWDS]
        return cells
    return [] if args.topics else [cell]


def name_of(row: Row) -> str:
    library, loop, cell = row
    return f"{library.title}, {loop}, {cell.title}"


def note(row: Row, text: str) -> None:
    print(f"{name_of(row)}: {text}", file=sys.stderr)


def install(rows: list[Row]) -> dict[str, Path | str]:
    """The Python of each client, or why it has none."""
    pythons: dict[str, Path | str] = {}
    for library in {row[0].name: row[0] for row in rows}.values():
        try:
            pythons[library.name] = ensure(library)
        except EnvironmentFailed as error:
            pythons[library.name] = f"not installed: {error}"
    return pythons


def measure(args: argparse.Namespace, rows: list[Row]) -> list[Result]:
    bench = Bench(seconds=args.seconds, pin=not args.no_pin)
    pythons = install(rows)
    samples: dict[Row, list[Sample]] = {row: [] for row in rows}
    rates = Rates("client_rates.json")
    try:
        for _ in range(args.rounds):
            for row in rows:
                if any(sample.is_hopeless for sample in samples[row]):
                    continue
                sample = one(bench, pythons[row[0].name], row, rates)
                samples[row].append(sample)
                note(row, sample.problem or f"{sample.rate:,.0f}/s")
    except KeyboardInterrupt:
        print("interrupted; the tables have what there is", file=sys.stderr)
    rates.save()
    return [
        Result(
            library=library,
            loop=loop,
            cell=cell,
            samples=tuple(taken),
            by_cpu_time=args.cpu_time,
        )
        for (library, loop, cell), taken in samples.items()
        if taken
    ]


def one(bench: Bench, python: Path | str, row: Row, rates: Rates) -> Sample:
    """One run of the wanted length, before the very first a trial."""
    if isinstance(python, str):
        return Sample(problem=python)
    rate = rates.get(name_of(row))
    if not rate:
        trial = bench.calibrate(python, *row)
        if trial.problem:
            return trial
        rate = trial.rate
    count = bench.count_for(rate, row[2].payload)
    sample = bench.once(python, *row, count)
    rates.put(name_of(row), sample.rate)
    return sample


def main() -> int:
    args = parse_arguments()
    rows = choose_rows(args)
    if not rows:
        print("nothing to measure: no client has these cells on these loops")
        return 2
    before = environment()
    results = measure(args, rows)
    after = environment()
    if args.sweep:
        print_sweep(results, lambda cell: f"{cell.payload:,}")
    elif args.topics:
        print_sweep(results, lambda cell: cell.crowd)
    elif args.one:
        print_one(results)
    else:
        Report(results).print()
    print_environment(before, after)
    if args.json:
        facts = {
            "environment": before,
            "load_average_after": after["load_average"],
            "rounds": args.rounds,
            "by_cpu_time": args.cpu_time,
            "results": [result.facts() for result in results],
        }
        args.json.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
