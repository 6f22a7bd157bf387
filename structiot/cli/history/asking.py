"""Which file, which series and which time is asked for. No command."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TypeVar

import asyncclick as click

from structiot._kit.text import did_you_mean
from structiot.cli._common.options import OptionGroup
from structiot.cli.run import config_option
from structiot.errors import ConfigError, UsageError
from structiot.gateway.history.finding import Found, Which, all_series
from structiot.gateway.history.hours import House, ms_of
from structiot.gateway.history.reader import asked

__all__ = ["ask", "chosen", "file_option", "history_of", "range_of", "range_options"]

_SPAN = re.compile(r"(\d{1,6}(?:\.\d+)?)\s*([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}
_ANSWER_S = 600.0

T = TypeVar("T")


def _span(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> timedelta | None:
    """Read a span of time, such as 90m, 12h, 1d or 2w."""
    if value is None:
        return None
    found = _SPAN.fullmatch(value)
    if found is None or not float(found[1]):
        raise click.BadParameter(f"{value!r} is no span of time: 90m, 12h, 1d, 2w")
    return timedelta(seconds=float(found[1]) * _SECONDS[found[2]])


def _moment(
    _ctx: click.Context, _option: click.Parameter, value: str | None
) -> datetime | None:
    """Read a time; one without a zone is of the house."""
    if value is None:
        return None
    try:
        return datetime.fromisoformat(value)
    except ValueError:
        text = f"{value!r} is no time, such as 2026-05-01 or 2026-05-01T12:30"
        raise click.BadParameter(text) from None


file_option: OptionGroup = OptionGroup(
    config_option,
    click.option(
        "--file",
        type=click.Path(dir_okay=False, path_type=Path),
        help="The history's file, instead of that of the configuration.",
    ),
)
range_options: OptionGroup = OptionGroup(
    click.option(
        "--from", "begin", callback=_moment, metavar="TIME", help="From when on."
    ),
    click.option(
        "--to",
        "end",
        callback=_moment,
        metavar="TIME",
        help="Until when; now by default.",
    ),
    click.option(
        "--last",
        callback=_span,
        metavar="SPAN",
        help="How long before that, instead of --from: 90m, 12h, 1d, 2w.",
    ),
)


def history_of(config_path: str, file: Path | None) -> tuple[Path, House]:
    """Find the file of a history and the clock of its house; blocks.

    Raises:
        ConfigError: There is no such file, or no configuration.
    """
    if file is not None:
        if not file.is_file():
            raise ConfigError(f"there is no file {file}")
        zone = None
    else:
        # Half a second of imports, which a given file does without.
        from structiot.cli._common.served_gateway import history_file_of  # noqa: PLC0415
        from structiot.gateway import load_config  # noqa: PLC0415

        config = load_config(config_path)
        zone, found = config.history.timezone, history_file_of(config_path, config)
        if found is None or not found.is_file():
            where = "" if found is None else f" at {found}"
            raise ConfigError(
                f"{config_path} has no history yet{where}; --file names one"
            )
        file = found
    return file, House(zone)


def ask(path: Path, question: Callable[[sqlite3.Connection], T], nothing: T) -> T:
    """Ask a file; blocks, for ten minutes at most."""
    return asked(path, question, nothing, answer_s=_ANSWER_S)


def range_of(
    house: House, begin: datetime | None, end: datetime | None, last: timedelta | None
) -> tuple[int, int]:
    """Give the range of time that the options name; a day by default.

    Raises:
        UsageError: It ends before it begins, or both --from and --last were given.
    """
    if begin is not None and last is not None:
        raise UsageError("--from and --last cannot both be given")
    until = datetime.now(UTC) if end is None else house.aware(end)
    since = until - (last or timedelta(days=1)) if begin is None else house.aware(begin)
    if since >= until:
        raise UsageError("--to is before --from")
    return ms_of(since), ms_of(until)


def chosen(
    connection: sqlite3.Connection, keys: Sequence[str], span: tuple[int, int]
) -> list[tuple[Which, Found]]:
    """Find the series that keys name; all of them where there is none.

    Raises:
        UsageError: One names nothing.
    """
    known = [one for one in all_series(connection) if one.series.kind != "event"]
    # Of one that has had other units, the latest.
    latest = {
        (one.series.system, one.series.device, one.series.entity): one for one in known
    }
    series = sorted(latest.values(), key=lambda one: one.series.key)
    found: dict[int, Found] = {} if keys else {one.number: one for one in series}
    for key in keys:
        fitting = [one for one in series if _fits(one, key)]
        if not fitting:
            names = {one.series.key for one in series}
            names |= {one.series.name for one in series}
            near = did_you_mean(key, names)
            raise UsageError(f"the history has nothing of {key!r}{near}")
        found.update((one.number, one) for one in fitting)
    return [(_which(one, span), one) for one in found.values()]


def _fits(found: Found, key: str) -> bool:
    series, wanted = found.series, key.casefold()
    names = {series.slug.casefold(), series.name.casefold()}
    if _is_any(names, wanted):
        return True
    device, _, entity = wanted.rpartition("/")
    entities = {series.entity.casefold(), series.label.casefold()}
    return _is_any(names, device) and _is_any(entities, entity)


def _is_any(names: set[str], wanted: str) -> bool:
    return wanted in names or any(fnmatchcase(name, wanted) for name in names)


def _which(found: Found, span: tuple[int, int]) -> Which:
    series = found.series
    which = Which(series.key, series.slug, series.entity)
    return replace(
        which,
        identity=(series.system, series.device),
        from_ms=span[0],
        to_ms=span[1],
    )
