"""Figures as a file of comma-separated values, or on standard output."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

import anyio
import asyncclick as click

from structiot._kit.text import table_cell
from structiot.cli._common.options import Decorator

__all__ = ["csv_option", "write_csv"]

csv_option: Decorator = click.option(
    "--csv",
    "csv_path",
    type=click.Path(dir_okay=False),
    help="Write the figures into this file instead; - is standard output.",
)


async def write_csv(
    path: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write the names of the columns and the rows; a truth value is yes or no.

    Raises:
        click.ClickException: The file cannot be written.
    """
    text = io.StringIO(newline="")
    table = csv.writer(text, lineterminator="\n")
    table.writerow(columns)
    for row in rows:
        table.writerow(
            ("no", "yes")[one] if isinstance(one, bool) else table_cell(one)
            for one in row
        )
    if path == "-":
        click.echo(text.getvalue(), nl=False)
        return
    try:
        await anyio.Path(path).write_text(text.getvalue(), "utf-8", newline="")
    except OSError as exc:
        message = f"cannot write {path}: {exc.strerror}"
        raise click.ClickException(message) from exc
