"""`structiot history size`: how large a history is, and what is in it."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_pairs
from structiot.cli.history.asking import ask, file_option, history_of
from structiot.gateway.history.hours import House, at_utc
from structiot.gateway.history.store import size_of_file
from structiot.model.text import figure_text

__all__ = ["size"]

_COUNTS = {
    "series": "SELECT count(*) FROM series",
    "readings": "SELECT (SELECT count(*) FROM figures) + (SELECT count(*) FROM steps)",
    "hours": "SELECT count(*) FROM hours",
    "occurrences": "SELECT count(*) FROM occurrences",
    "outbox_bytes": "SELECT ifnull(sum(length(lines)), 0) FROM outbox",
}
_TIMES = {
    "oldest_utc": "SELECT min(from_ms) FROM stretches",
    "oldest_reading_utc": "SELECT min(from_ms) FROM stretches WHERE has_raw",
    "latest_utc": "SELECT max(until_ms) FROM stretches",
}


@click.command(short_help="Show how large the history is.")
@file_option
@json_option
@common_options
@click.pass_context
async def size(
    ctx: click.Context, path: str, *, file: Path | None, wants_json: bool
) -> None:
    """Show the size of the file, what is in it, and from when on."""
    configure_logging(ctx)
    history, house = await anyio.to_thread.run_sync(history_of, path, file)

    def count(connection: sqlite3.Connection) -> dict[str, Any]:
        found: dict[str, Any] = {
            name: connection.execute(query).fetchone()[0]
            for name, query in _COUNTS.items()
        }
        for name, query in _TIMES.items():
            (ms,) = connection.execute(query).fetchone()
            found[name] = None if ms is None else at_utc(ms)
        found["size_bytes"] = size_of_file(history)
        return found

    counted = await anyio.to_thread.run_sync(ask, history, count, {})
    told = {"path": str(history), **counted}
    if wants_json:
        show_json(told)
    else:
        show_pairs(dict(_readable(told, house)))


def _readable(told: Mapping[str, Any], house: House) -> Iterator[tuple[str, object]]:
    """Give sizes in bytes as they are read, times by the house's clock."""
    for name, value in told.items():
        words = name.removesuffix("_bytes").removesuffix("_utc").replace("_", " ")
        if name.endswith("_bytes"):
            yield words, figure_text(value / 1_000_000, "MB")
        elif isinstance(value, datetime):
            local = value.astimezone(house.zone)
            yield words, local.isoformat(sep=" ", timespec="seconds")
        else:
            yield words, f"{value:,}" if isinstance(value, int) else value
