"""Commands of somebody else: one ends in whatever way a test asks for, one tells its loop."""

from __future__ import annotations

import asyncio

import anyio
import asyncclick as click
import sniffio

from structiot.cli._common.options import common_options
from structiot.errors import ConfigError, ConnectFailed, UsageError

ENDS: dict[str, BaseException] = {
    "abort": click.Abort(),
    "bug": ZeroDivisionError("oops"),
    "config": ConfigError("no such thing"),
    "connect": ConnectFailed("cannot connect\nto 10.0.0.7:80"),
    "exit": SystemExit(7),
    "interrupt": KeyboardInterrupt(),
    "interrupts": BaseExceptionGroup("both", [KeyboardInterrupt(), ValueError("no")]),
    "usage": UsageError("no port 7"),
}


@click.command()
@click.argument("how")
@common_options
async def boom(how: str) -> None:
    """End somehow."""
    if how in ENDS:
        raise ENDS[how]
    loop = anyio.get_current_task().coro
    click.echo(f"{how} in {type(loop).__name__}")


@click.command()
@common_options
async def which() -> None:
    """Name the loop."""
    name = sniffio.current_async_library()
    if name == "asyncio":
        name = type(asyncio.get_running_loop()).__module__.split(".")[0]
    click.echo(name)
