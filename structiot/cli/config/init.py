"""`structiot config init`: a configuration to begin with."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path

import anyio.to_thread
import asyncclick as click

from structiot._kit.private_file import replace_file
from structiot._kit.text import did_you_mean, path_fault
from structiot.cli._common.options import common_options
from structiot.cli.run import config_option
from structiot.errors import ConfigError, UsageError

__all__ = ["init"]


@click.command()
@click.argument("systems", nargs=-1, metavar="[SYSTEM]...")
@config_option
@click.option("--force", is_flag=True, help="Replace a file that is there.")
@common_options
async def init(systems: tuple[str, ...], path: str, *, force: bool) -> None:
    """Write a configuration that explains every setting.

    The SYSTEMs that are named are served, such as 'maxsmart meross'; without any, all
    are explained and none is served yet. The file is for its owner alone, as secrets may
    come to stand in it.
    """
    said = await anyio.to_thread.run_sync(
        partial(_write, is_forced=force), Path(path), systems
    )
    click.echo(f"{path} is written; 'structiot run -c {path}' serves what it says")
    for line in said:
        click.echo(line, err=True)


def _write(path: Path, systems: tuple[str, ...], *, is_forced: bool) -> list[str]:
    # Half a second of imports, which the help of the program does without.
    from structiot.gateway.config.template import template  # noqa: PLC0415
    from structiot.gateway.installed import installed_drivers  # noqa: PLC0415

    known = sorted(installed_drivers())
    for name in systems:
        if name not in known:
            near = did_you_mean(name, known) or f"; there are {', '.join(known)}"
            raise UsageError(f"there is no system {name!r}{near}")
    made = template(systems)
    data = made.text.encode()
    try:
        if is_forced:
            # A link goes on to lead to the file.
            replace_file(path.resolve(), data)
        else:
            with open(path, "xb", opener=_private) as file:
                file.write(data)
    except FileExistsError:
        message = f"{path} is there already, and is left as it is; --force replaces it"
        raise ConfigError(message) from None
    except (OSError, ValueError) as exc:
        raise ConfigError(f"{path} cannot be written: {path_fault(exc)}") from exc
    return [
        f"[{name}] is not in force yet: {why}" for name, why in made.left_out.items()
    ]


def _private(name: str, flags: int) -> int:
    return os.open(name, flags, 0o600)
