"""The tables: messages a second and peak memory, in Markdown."""

from __future__ import annotations

import dataclasses
import os
import platform
import statistics
import sys
from collections.abc import Iterable
from pathlib import Path

from peers.libraries import (
    BARE,
    CEILING,
    CELLS,
    OURS,
    UVLOOP,
    YARDSTICKS,
    Cell,
    Library,
)
from peers.measure import Sample

Key = tuple[str, str, Cell]
ANY = "any"
WAITED_BELOW = 0.85
REASON_WIDTH = 30


@dataclasses.dataclass(frozen=True, kw_only=True)
class Result:
    """One cell of one row over all rounds."""

    library: Library
    loop: str
    cell: Cell
    samples: tuple[Sample, ...]
    by_cpu_time: bool = False

    @property
    def rates(self) -> list[float]:
        """One figure a run: by the clock, or by the client's own processor time."""
        if self.by_cpu_time:
            return [sample.rate / sample.busy for sample in self.good]
        return [sample.rate for sample in self.good]

    @property
    def good(self) -> list[Sample]:
        return [sample for sample in self.samples if not sample.problem]

    @property
    def problems(self) -> list[str]:
        return [sample.problem for sample in self.samples if sample.problem]

    @property
    def rate(self) -> float:
        return statistics.median(self.rates) if self.good else 0.0

    @property
    def waited(self) -> bool:
        busy = [sample.busy for sample in self.good]
        return bool(busy) and statistics.median(busy) < WAITED_BELOW

    def text(self) -> str:
        if not self.good:
            return f"failed: {self.problems[0][:REASON_WIDTH]}"
        rates = self.rates
        spread = f" ({min(rates):,.0f}-{max(rates):,.0f})" if len(rates) > 1 else ""
        peak = max(sample.peak_mb for sample in self.good)
        marks = "!" * bool(self.problems) + "~" * self.waited
        return f"{self.rate:,.0f}{marks}{spread} {peak:.0f} MB"

    def facts(self) -> dict[str, object]:
        return {
            "library": self.library.title,
            "loop": self.loop,
            "mode": self.cell.mode,
            "qos": self.cell.qos,
            "tls": self.cell.is_tls,
            "median_rate": self.rate,
            "samples": [dataclasses.asdict(sample) for sample in self.samples],
        }


class Report:
    """All results, and what can be said about them."""

    def __init__(self, results: Iterable[Result]) -> None:
        self.results = {(r.library.name, r.loop, r.cell): r for r in results}

    def rows(self) -> list[tuple[Library, str]]:
        seen: dict[tuple[str, str], tuple[Library, str]] = {}
        for result in self.results.values():
            key = result.library.name, result.loop
            seen.setdefault(key, (result.library, result.loop))
        return list(seen.values())

    def print(self) -> None:
        for is_tls in (False, True):
            for mode in ("receive", "publish"):
                cells = self.cells(mode, is_tls=is_tls)
                if cells:
                    self.print_cells(cells)
        self.print_notes()
        self.print_comparison()
        self.print_aims()

    def cells(self, mode: str, *, is_tls: bool) -> list[Cell]:
        found = {cell for _, _, cell in self.results}
        return [
            cell
            for cell in CELLS
            if cell in found and cell.mode == mode and cell.is_tls == is_tls
        ]

    def print_cells(self, cells: list[Cell]) -> None:
        by_cpu = any(result.by_cpu_time for result in self.results.values())
        second = "second of processor time" if by_cpu else "second"
        what = f"{cells[0].mode}{' through TLS' if cells[0].is_tls else ''}"
        print(f"\n### {what}: messages a {second} (least-most), peak memory\n")
        lines = [["client", "loop", *(f"QoS {cell.qos}" for cell in cells)]]
        for library, loop in self.rows():
            found = [self.results.get((library.name, loop, cell)) for cell in cells]
            if any(found):
                texts = [result.text() if result else "-" for result in found]
                lines.append([library.title, loop, *texts])
        print_table(lines)

    def print_notes(self) -> None:
        if any(name == CEILING for name, _, _ in self.results):
            print(f"\nThe {CEILING} is the raw-socket peer talking to itself.")
        if any(r.waited for r in self.results.values()):
            print(
                f"\n`~`: the client's processor was busy for less than "
                f"{WAITED_BELOW:.0%} of the time: it waited for round trips or timers, "
                "or for other programs on its core."
            )
        failures: dict[tuple[str, str, str], list[Cell]] = {}
        for result in self.results.values():
            for problem in result.problems:
                key = result.library.title, result.loop, problem
                failures.setdefault(key, []).append(result.cell)
        if failures:
            print("\n`!` and failures:")
        for (title, loop, problem), cells in failures.items():
            places = ", ".join(cell.title for cell in dict.fromkeys(cells))
            print(f"- {title}, {loop}: {problem} ({places}: {len(cells)} runs)")

    def best_other(self, loop: str, cell: Cell) -> Result | None:
        """The fastest other client on this loop; paho's thread counts as asyncio."""
        loops = {loop, "thread"} if loop == "asyncio" else {loop}
        others = [
            result
            for (name, its_loop, its_cell), result in self.results.items()
            if (loop == ANY or its_loop in loops)
            and its_cell == cell
            and name not in (OURS, *YARDSTICKS)
            and result.good
        ]
        return max(others, key=lambda result: result.rate, default=None)

    def best_of_ours(self, loop: str, cell: Cell) -> Result | None:
        ours = [
            result
            for (name, its_loop, its_cell), result in self.results.items()
            if name == OURS and loop in (ANY, its_loop) and its_cell == cell
        ]
        good = [result for result in ours if result.good]
        return max(good, key=lambda result: result.rate, default=None)

    def print_comparison(self) -> None:
        ours = [r for r in self.results.values() if r.library.name == OURS and r.good]
        if not ours:
            return
        loops = (*dict.fromkeys(r.loop for r in ours), ANY)
        print(f"\n### {OURS} against the fastest other client on the same loop\n")
        lines = [["cell", *loops]]
        for cell in sorted({r.cell for r in ours}, key=CELLS.index):
            line = [cell.title]
            for loop in loops:
                mine, other = self.best_of_ours(loop, cell), self.best_other(loop, cell)
                if mine and other:
                    line.append(f"{mine.rate / other.rate:.2f} x {other.library.name}")
                else:
                    line.append("-")
            lines.append(line)
        print_table(lines)

    def print_aims(self) -> None:
        """Say how far the client is in what it is meant to reach."""
        head = ["trio over asyncio", "share of the bare loop", "times mqttium"]
        lines = [["cell", *head]]
        measured = {cell for name, _, cell in self.results if name == OURS}
        ours = OURS, "asyncio"
        for cell in sorted(measured, key=CELLS.index):
            line = [
                self.ratio((OURS, "trio"), ours, cell),
                self.ratio(ours, (BARE, "asyncio"), cell),
                self.ratio(ours, ("mqttium", "asyncio"), cell),
            ]
            lines.append([cell.title, *line])
        if len(lines) > 1:
            print(f"\n### {OURS} on asyncio beside other yardsticks\n")
            print_table(lines)

    def ratio(self, one: tuple[str, str], other: tuple[str, str], cell: Cell) -> str:
        above = self.results.get((*one, cell))
        below = self.results.get((*other, cell))
        if above and below and above.rate and below.rate:
            return f"{above.rate / below.rate:.2f}"
        return "-"


def print_table(lines: list[list[str]]) -> None:
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    for at, line in enumerate(lines):
        print(f"| {' | '.join(map(str.ljust, line, widths))} |")
        if at == 0:
            print(f"|{'|'.join('-' * (width + 2) for width in widths)}|")


def environment() -> dict[str, object]:
    return {
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "system": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "uvloop": UVLOOP.partition("==")[2],
        "load_average": round(os.getloadavg()[0], 2)
        if hasattr(os, "getloadavg")
        else None,
    }


def cpu_model() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or sys.platform
    return text.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()


def print_environment(before: dict[str, object], after: dict[str, object]) -> None:
    print(
        f"\n{before['cpu']}, {before['cores']} cores, {before['system']}, "
        f"{before['python']}, uvloop {before['uvloop']}; "
        f"load average {before['load_average']} before, {after['load_average']} after"
    )
