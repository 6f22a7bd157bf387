"""Whether a change has made anything slower: this checkout beside another one.

    git worktree add ../before COMMIT
    python benchmarks/before_after.py ../before
    python benchmarks/before_after.py ../before --loops asyncio --cells receive0,fanout0

Each cell of `mqtt_client.py` and `mqtt_broker.py` is run by both checkouts in turn,
seven times, and compared by the messages in a second of processor time: the median of
the ratios, pair by pair, so that a machine whose speed drifts does not decide.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import sys
from collections.abc import Callable
from pathlib import Path

from brokers import programs, running
from peers.arguments import words
from peers.environments import ensure
from peers.libraries import CELLS, LIBRARIES, OURS, UVLOOP, Library
from peers.measure import Bench
from peers.report import environment, print_environment, print_table

SLOWER = 0.95
TRIAL = 20_000

# A run has so many windows of all that publishers have under way: in the first one
# nobody waits for anybody, and what is left to do at its end is not seen.
WINDOWS = 4

Measure = Callable[[Library, int], float]
# Its name, its loop, how to measure it, and the fewest messages of a run.
Chosen = tuple[str, str, Measure, int]


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("other", type=Path, help="the checkout to compare with")
    parser.add_argument("--loops", type=words, default=["asyncio", "uvloop", "trio"])
    parser.add_argument("--cells", type=words, help="receive0, publish2, fanout0, ...")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=0.4)
    parser.add_argument(
        "--tls", action="store_true", help="the client's cells with TLS"
    )
    parser.add_argument("--json", type=Path, metavar="FILE")
    return parser.parse_args()


def both(library: Library, other: Path) -> tuple[Library, Library]:
    """The same program on this checkout, and on the other one."""
    requirements = (f"-e{other.resolve()}", UVLOOP)
    before = dataclasses.replace(library, name="before", requirements=requirements)
    return library, before


def client_cells(args: argparse.Namespace) -> list[Chosen]:
    bench, cells = Bench(seconds=args.seconds), []
    for loop in args.loops:
        for cell in CELLS:
            if cell.is_tls is not args.tls:
                continue

            def once(library: Library, count: int, loop=loop, cell=cell) -> float:
                sample = bench.once(ensure(library), library, loop, cell, count)
                if sample.problem:
                    raise SystemExit(f"{library.name}, {cell.title}: {sample.problem}")
                return sample.rate / sample.busy

            name = f"{cell.name}{'-tls' if cell.is_tls else ''}"
            cells.append((name, loop, once, 0))
    return cells


def broker_cells(args: argparse.Namespace) -> list[Chosen]:
    bench, cells = running.Bench(pin=True), []
    for loop in args.loops:
        for cell in programs.CELLS:

            def once(library: Library, count: int, loop=loop, cell=cell) -> float:
                if not cell.idle:
                    each = count // (cell.subscribers * cell.publishers)
                    count = max(each, 1) * cell.publishers
                sample = bench.run(ensure(library), (library, loop, cell), count)
                if sample.problem:
                    raise SystemExit(f"{library.name}, {cell.title}: {sample.problem}")
                # Of an idle connection less is better, of messages more.
                return 1 / sample.memory_kb if cell.idle else sample.rate / sample.busy

            window = cell.window * cell.publishers * cell.subscribers
            cells.append((cell.name, loop, once, WINDOWS * window))
    return cells


def compare(
    chosen: Chosen, pair: tuple[Library, Library], args: argparse.Namespace
) -> list[float]:
    """Give the ratio of each pair of runs, this checkout over the other."""
    name, loop, measure, fewest = chosen
    count = int(max(TRIAL, fewest, measure(pair[0], TRIAL) * args.seconds))
    count = min(count, 2_000_000) // 100 * 100
    ratios = []
    for turn in range(args.rounds):
        # Who goes first alternates, too.
        order = pair if turn % 2 else pair[::-1]
        rates = {library.name: measure(library, count) for library in order}
        ratios.append(rates[OURS] / rates["before"])
    print(
        f"{name}, {loop}: {statistics.median(ratios):.3f}", file=sys.stderr, flush=True
    )
    return ratios


def main() -> int:
    args = parse_arguments()
    client = next(one for one in LIBRARIES if one.name == OURS)
    broker = next(one for one in programs.BROKERS if one.name == OURS)
    chosen = [(cell, both(client, args.other)) for cell in client_cells(args)]
    if not args.tls:
        chosen += [(cell, both(broker, args.other)) for cell in broker_cells(args)]
    machine, found = environment(), {}
    for cell, pair in chosen:
        name, loop, *_ = cell
        if not args.cells or name in args.cells:
            found[f"{name}, {loop}"] = compare(cell, pair, args)
    lines = [["cell", "this / other, median", "least", "most", ""]]
    for title, ratios in found.items():
        median = statistics.median(ratios)
        figures = [f"{figure:.3f}" for figure in (median, min(ratios), max(ratios))]
        lines.append([title, *figures, "slower" if median < SLOWER else ""])
    print_table(lines)
    print_environment(machine, environment())
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
