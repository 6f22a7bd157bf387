"""`structiot doctor`: why something does not work, and what helps."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
)
from structiot.cli._common.output import show_json
from structiot.cli.run import config_option

if TYPE_CHECKING:
    from structiot.cli.doctor.findings import Finding

__all__ = ["doctor"]

_WRONG = 1
_MISUSED = 2


@click.command(short_help="Find out what is wrong, and what helps.")
@config_option
@click.option(
    "--seconds",
    "patience_s",
    type=click.FloatRange(1, 600),
    default=20.0,
    help="Longest time for a trial of the systems.",
)
@click.option(
    "--try-client-id",
    "tries_id",
    is_flag=True,
    help="See whether others have the client id; whoever has it loses its connection.",
)
@click.option(
    "--bundle",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write what others need to help to this zip file, without secrets.",
)
@click.option(
    "--log",
    "log_file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --bundle: a log whose last lines shall be in it.",
)
@json_option
@common_options
@click.pass_context
async def doctor(
    ctx: click.Context,
    path: str,
    patience_s: float,
    bundle: Path | None,
    log_file: Path | None,
    *,
    tries_id: bool,
    wants_json: bool,
) -> None:
    """Look at all that the gateway of a configuration needs, and name what is wrong.

    Clock, files, ports, the broker and what it allows; and, unless the gateway runs, all
    of its systems for a short time, with a broker of their own. Each finding is a line:
    where, what, and what to do. The status is 0 if nothing is wrong, 1 if something is,
    and 2 if that is the configuration.
    """
    configure_logging(ctx)
    if log_file is not None and bundle is None:
        raise click.UsageError("--log goes with --bundle")
    # Half a second of imports, which the help of the program does without.
    examine, write_bundle = await anyio.to_thread.run_sync(_loaded)
    report = await examine(path, patience_s=patience_s, tries_id=tries_id)
    if wants_json:
        show_json(report.findings)
    else:
        for finding in report.findings:
            click.echo(finding.line)
    if bundle is not None:
        await anyio.to_thread.run_sync(write_bundle, bundle, report, log_file)
        click.echo(f"{bundle} holds what others need to help", err=True)
    raise SystemExit(_status_of(report.findings))


def _loaded():  # type: ignore[no-untyped-def]  # noqa: ANN202 - of what is loaded here
    from structiot.cli.doctor.bundle import write_bundle  # noqa: PLC0415
    from structiot.cli.doctor.examine import examine  # noqa: PLC0415

    return examine, write_bundle


def _status_of(findings: Iterable[Finding]) -> int:
    wrong = [one for one in findings if one.level == "wrong"]
    if any(one.is_about_config for one in wrong):
        return _MISUSED
    return _WRONG if wrong else 0
