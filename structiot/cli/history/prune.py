"""`structiot history prune`: what is old is taken out, and the file made smaller."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio.to_thread
import asyncclick as click

from structiot._kit.sqlite_file import lock_sqlite_file, open_sqlite_file
from structiot._kit.text import printable
from structiot.cli._common.options import Decorator, common_options, configure_logging
from structiot.cli.history.asking import chosen, file_option, history_of
from structiot.errors import ConfigError, UsageError
from structiot.gateway.history.hours import ms_of
from structiot.gateway.history.retention import Keep, forget_series, let_go, take_out
from structiot.gateway.history.schema import PROGRAM_ID, SCHEMA, VERSION
from structiot.gateway.history.store import size_of_file

__all__ = ["prune"]


def _days_option(name: str, about: str) -> Decorator:
    return click.option(name, type=click.IntRange(min=0), metavar="DAYS", help=about)


@click.command(short_help="Take out what is old.")
@click.argument("keys", nargs=-1, metavar="[KEY]...")
@file_option
@_days_option("--raw-days", "Keep readings of the last DAYS.")
@_days_option("--five-minutes-days", "Keep courses by five minutes of the last DAYS.")
@_days_option("--hours-days", "Keep hours of the last DAYS.")
@common_options
@click.pass_context
async def prune(
    ctx: click.Context,
    path: str,
    *,
    keys: tuple[str, ...],
    file: Path | None,
    raw_days: int | None,
    five_minutes_days: int | None,
    hours_days: int | None,
) -> None:
    """Take out all of KEYs, or what is older than so many days, and make the file smaller.

    A gateway that runs does so by itself, as `[history]` says; its file is not touched
    by this.
    """
    configure_logging(ctx)
    days = (raw_days, five_minutes_days, hours_days)
    if not keys and all(one is None for one in days):
        raise UsageError("say what is taken out: KEYs, or days of which all is kept")
    if keys and any(one is not None for one in days):
        raise UsageError("KEYs are taken out altogether: give either them or days")
    now = datetime.now(UTC)
    raw, fives, hours = (
        None if one is None else ms_of(now - timedelta(days=one)) for one in days
    )
    keep = Keep(raw_ms=raw, fives_ms=fives, hours_ms=hours)
    history, _ = await anyio.to_thread.run_sync(history_of, path, file)
    before, after = await anyio.to_thread.run_sync(_prune, history, keys, keep)
    click.echo(f"{history}: {before:,} bytes before, {after:,} now")


def _prune(path: Path, keys: tuple[str, ...], keep: Keep) -> tuple[int, int]:
    before = size_of_file(path)
    try:
        with closing(lock_sqlite_file(path)):
            opened = open_sqlite_file(
                path, SCHEMA, program_id=PROGRAM_ID, version=VERSION, is_durable=True
            )
            with closing(opened) as connection:
                connection.execute("BEGIN IMMEDIATE")
                for _, found in chosen(connection, keys, (0, 0)) if keys else ():
                    take_out(connection, found.number)
                let_go(connection, keep, at_once=True)
                forget_series(connection, keep, at_once=True)
                connection.execute("COMMIT")
                connection.execute("VACUUM")
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except (sqlite3.Error, OSError) as exc:
        if isinstance(exc, ConfigError):
            raise
        raise ConfigError(f"cannot prune {path}: {printable(str(exc))}") from exc
    return before, size_of_file(path)
