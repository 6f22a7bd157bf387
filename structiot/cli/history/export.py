"""`structiot history export`: every reading as it was told."""

from __future__ import annotations

import csv
import json
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import IO, Any

import anyio.to_thread
import asyncclick as click

from structiot._kit.text import table_cell
from structiot.cli._common.options import common_options, configure_logging
from structiot.cli.history.asking import (
    ask,
    chosen,
    file_option,
    history_of,
    range_of,
    range_options,
)
from structiot.gateway.history.finding import held, stretches_in
from structiot.gateway.history.hours import at_utc

__all__ = ["export"]

_COLUMNS = ("from", "until", "system", "device", "entity", "name", "value", "unit")


@click.command(short_help="Write every reading into a file.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@file_option
@range_options
@click.option(
    "--format",
    "kind",
    type=click.Choice(("csv", "json")),
    default="csv",
    help="CSV, or a JSON object a line.",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(dir_okay=False),
    default="-",
    help="Where to; - is standard output.",
)
@common_options
@click.pass_context
async def export(
    ctx: click.Context,
    path: str,
    *,
    keys: tuple[str, ...],
    file: Path | None,
    begin: datetime | None,
    end: datetime | None,
    last: timedelta | None,
    kind: str,
    output: str,
) -> None:
    """Write each value of KEYs, or of all, with when it was so, in UTC.

    What was not heard is left out. A value that goes on over a full hour is told anew.
    """
    configure_logging(ctx)
    history, house = await anyio.to_thread.run_sync(history_of, path, file)
    span = range_of(house, begin, end, last)

    failed: list[OSError] = []

    def write(connection: sqlite3.Connection) -> None:
        try:
            with ExitStack() as stack:
                out: IO[str] = sys.stdout
                if output != "-":
                    out = stack.enter_context(
                        Path(output).open("w", encoding="utf-8", newline="")
                    )
                put = _writer(out, kind)
                for row in _rows(connection, keys, span):
                    put(row)
                out.flush()
        # Whoever asks would take it for one of the history.
        except OSError as exc:
            failed.append(exc)

    await anyio.to_thread.run_sync(ask, history, write, None)
    for error in failed:
        if isinstance(error, BrokenPipeError):
            raise error
        message = f"cannot write {output}: {error.strerror}"
        raise click.ClickException(message) from error


def _writer(out: IO[str], kind: str) -> Callable[[tuple[Any, ...]], object]:
    if kind == "json":
        return lambda row: out.write(
            json.dumps(dict(zip(_COLUMNS, row, strict=True)), ensure_ascii=False) + "\n"
        )
    table = csv.writer(out, lineterminator="\n")
    table.writerow(_COLUMNS)
    return lambda row: table.writerow(map(table_cell, row))


def _rows(
    connection: sqlite3.Connection, keys: tuple[str, ...], span: tuple[int, int]
) -> Iterator[tuple[Any, ...]]:
    stretches = [one for one in stretches_in(connection, *span) if one.has_raw]
    for _, found in chosen(connection, keys, span):
        series = found.series
        who = (series.system, series.device, series.entity, series.name)
        for stretch in stretches:
            for one in held(connection, found, stretch):
                begin, end = max(one.from_ms, span[0]), min(one.until_ms, span[1])
                if begin < end:
                    when = (at_utc(begin).isoformat(), at_utc(end).isoformat())
                    yield (*when, *who, one.value, series.unit or None)
