"""The tables of the brokers, in Markdown: one row for each load."""

from __future__ import annotations

import statistics

from peers.libraries import Library
from peers.report import WAITED_BELOW, print_table

from brokers.programs import CELLS, OURS, Cell
from brokers.running import Sample


def order(cell: Cell) -> int:
    """The usual cells in their order; others as they were measured."""
    return CELLS.index(cell) if cell in CELLS else len(CELLS)


Place = tuple[str, str]
"""A broker's name and its loop."""


class Report:
    """All samples, and what can be said about them."""

    def __init__(
        self,
        samples: dict[tuple[Library, str, Cell], list[Sample]],
        *,
        by_cpu_time: bool,
    ) -> None:
        self.by_cpu_time = by_cpu_time
        self.places: dict[Place, str] = {}
        self.samples: dict[tuple[Place, Cell], list[Sample]] = {}
        for (library, loop, cell), taken in samples.items():
            place = library.name, loop
            title = library.title if loop == "-" else f"{library.title}, {loop}"
            self.places[place] = title
            self.samples[place, cell] = taken
        found = dict.fromkeys(cell for _, cell in self.samples)
        self.cells = sorted(found, key=order)

    def print(self) -> None:
        second = "second of processor time" if self.by_cpu_time else "second"
        print(f"\n### messages delivered a {second} (least-most); memory\n")
        lines = [["load", *self.places.values()]]
        lines += [
            [cell.title, *(self.text(place, cell) for place in self.places)]
            for cell in self.cells
        ]
        print_table(lines)
        self.print_notes()
        self.print_factors()

    def figures(self, place: Place, cell: Cell) -> list[float]:
        good = [s for s in self.samples.get((place, cell), []) if not s.problem]
        if cell.idle:
            return [sample.memory_kb for sample in good]
        if self.by_cpu_time:
            return [sample.rate / sample.busy for sample in good if sample.busy]
        return [sample.rate for sample in good]

    def text(self, place: Place, cell: Cell) -> str:
        figures = self.figures(place, cell)
        taken = self.samples.get((place, cell), [])
        if not figures:
            return "failed" if any(s.problem for s in taken) else "-"
        middle = statistics.median(figures)
        if cell.idle:
            return f"{middle:.1f} kB each"
        waited = statistics.median(s.busy for s in taken if not s.problem)
        marks = "!" * any(s.problem for s in taken) + "~" * (waited < WAITED_BELOW)
        spread = f" ({min(figures):,.0f}-{max(figures):,.0f})" * (len(figures) > 1)
        return f"{middle:,.0f}{marks}{spread}"

    def print_notes(self) -> None:
        print(
            f"\n`~`: the broker's processor was busy for less than {WAITED_BELOW:.0%} of "
            "the time: it waited for the load, or for other programs on its core."
        )
        problems = [
            f"- {self.places[place]}, {cell.title}: {sample.problem}"
            for (place, cell), taken in self.samples.items()
            for sample in taken
            if sample.problem
        ]
        if problems:
            print("\n`!` and failures:", *dict.fromkeys(problems), sep="\n")

    def print_factors(self) -> None:
        """Ours on asyncio against everything else."""
        ours = OURS, "asyncio"
        others = [place for place in self.places if place != ours]
        if ours not in self.places or not others:
            return
        print(f"\n### {self.places[ours]}, against the others\n")
        lines = [["load", *(self.places[place] for place in others)]]
        lines += [
            [cell.title, *(self.factor(ours, place, cell) for place in others)]
            for cell in self.cells
        ]
        print_table(lines)

    def factor(self, ours: Place, place: Place, cell: Cell) -> str:
        mine, other = self.figures(ours, cell), self.figures(place, cell)
        if not mine or not other or not statistics.median(other):
            return "-"
        factor = statistics.median(mine) / statistics.median(other)
        return f"{factor:.2f} x" + " the memory" * bool(cell.idle)
