"""Tables with a column for each variation of a cell, or of one message at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from peers.libraries import OURS, YARDSTICKS, Cell
from peers.report import Result, print_table

Column = Callable[[Cell], str]


def print_sweep(results: Iterable[Result], column: Column) -> None:
    """One table for each side, QoS and kind of connection, a column for each variation."""
    groups: dict[str, list[Result]] = {}
    for result in results:
        cell = result.cell
        tls = " through TLS" if cell.is_tls else ""
        groups.setdefault(f"{cell.mode} QoS {cell.qos}{tls}", []).append(result)
    for title, found in groups.items():
        print_group(title, found, column)


def print_one(results: Iterable[Result]) -> None:
    """One table of round trips, a column for each side."""
    print_group("one at a time", list(results), lambda cell: cell.title)


def print_group(title: str, results: list[Result], column: Column) -> None:
    columns = list(dict.fromkeys(column(result.cell) for result in results))
    rows: dict[tuple[str, str], dict[str, Result]] = {}
    for result in results:
        row = rows.setdefault((result.library.title, result.loop), {})
        row[column(result.cell)] = result
    second = "second of processor time" if results[0].by_cpu_time else "second"
    print(f"\n### {title}: messages a {second}\n")
    lines = [["client", "loop", *columns]]
    for (name, loop), row in rows.items():
        texts = [figure(row.get(one)) for one in columns]
        lines.append([name, loop, *texts])
    print_table([*lines, *leads(rows, columns)])


def figure(result: Result | None) -> str:
    if result is None:
        return "-"
    return f"{result.rate:,.0f}" if result.good else "failed"


def leads(
    rows: dict[tuple[str, str], dict[str, Result]], columns: list[str]
) -> list[list[str]]:
    """For each loop of ours: how many times the best other client's on any loop."""
    lines = []
    for (name, loop), row in rows.items():
        if name != OURS:
            continue
        line = [f"{OURS} / best other", loop]
        for one in columns:
            others = [
                other[one].rate
                for (title, _), other in rows.items()
                if title not in (OURS, *YARDSTICKS) and one in other
            ]
            best = max(others, default=0.0)
            mine = row[one].rate if one in row else 0.0
            line.append(f"{mine / best:.2f}" if best else "-")
        lines.append(line)
    return lines
