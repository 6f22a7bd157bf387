"""`structiot sim sepl`: a SEPL platform that is not there, with a console."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    json_option,
    port_option,
    refuse_given,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import run_until_stopped
from structiot.cli._common.standard_input import can_come
from structiot.cli.sim.listing import SimulatorCommand
from structiot.cli.sim.platform_console import (
    Console,
    device_types_of,
    platform_options,
    tls_context,
)
from structiot.cli.sim.sepl_console import show_record, words_of
from structiot.sim import SeplPlatformSim, show_fault, sim_sepl_platform

__all__ = ["sepl"]

_PORT: Final = 8093


@click.command(
    cls=SimulatorCommand,
    faults=SeplPlatformSim.named_faults,
    short_help="Simulate the SEPL platform, and give devices commands.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@port_option("--port", _PORT, "TCP port; 0 takes a free one.")
@click.option(
    "--busy",
    "busy_s",
    type=click.FloatRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long it takes for each clear and commit.",
)
@platform_options("STRUCTIOT_SIM_SEPL_PASSWORD", "refuse@put3*1` or `drop+60")
@json_option
@common_options
@click.pass_context
async def sepl(
    ctx: click.Context,
    /,
    *,
    types: tuple[str, ...],
    certfile: Path | None,
    keyfile: Path | None,
    fault_texts: tuple[str, ...],
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Simulate the SEPL platform until Ctrl-C, a line for whatever a connector does.

    Type `DEVICE SERVICE [DATA [METADATA]]` to give a device a command, with quotes as in a
    shell: lamp-1 on '{"level": 5}'. `help` says what else can be typed.
    """
    configure_logging(ctx)
    faults = [SeplPlatformSim.named_faults.parse(text) for text in fault_texts]
    device_types = device_types_of(types)
    context = None
    if certfile is None:
        refuse_given(ctx, ("keyfile",), "goes with --certfile")
    else:
        context = await anyio.to_thread.run_sync(
            tls_context, certfile, keyfile, abandon_on_cancel=True
        )
    users = {given.pop("user"): given.pop("password")}

    async def serve() -> None:
        async with (
            sim_sepl_platform(
                users, device_types=device_types, ssl_context=context, **given
            ) as platform,
            service_group() as tasks,
        ):
            with platform.following() as records:
                for fault in faults:
                    tasks.start_soon(show_fault, platform, fault)
                _show_place(platform, wants_json=wants_json)
                if can_come():
                    tasks.start_soon(Console(platform, tasks, words_of(platform)).run)
                async for record in records:
                    show_record(record, wants_json=wants_json)

    await run_until_stopped(serve)


def _show_place(platform: SeplPlatformSim, *, wants_json: bool) -> None:
    config = platform.config
    if wants_json:
        show_json({"event": "listening", "url": platform.url, **config})
        return
    user, password = config["user"], config["password"]
    click.echo(f"listening at {platform.url}, user {user}, password {password}")
