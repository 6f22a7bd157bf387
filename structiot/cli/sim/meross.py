"""`structiot sim meross`: devices and a cloud that are not there, for tests and trials."""

from __future__ import annotations

import ipaddress
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import anyio
import anyio.lowlevel
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.options import (
    OptionGroup,
    common_options,
    configure_logging,
    json_option,
    port_option,
    refuse_given,
)
from structiot.cli._common.output import show_json
from structiot.cli._common.signals import allow_open_files, run_until_stopped
from structiot.cli._common.simulated import count_and_host
from structiot.cli._common.tables import show_pairs, show_rows
from structiot.cli.sim.listing import SimulatorCommand, complete_fault
from structiot.errors import UsageError
from structiot.sim import (
    MEROSS_MODELS,
    MerossCloudSim,
    MerossDeviceSim,
    MerossSim,
    SimHost,
    show_fault,
    sim_meross_cloud,
    sim_meross_device,
)

__all__ = ["meross"]

# One socket that listens, one to the broker, and one there; and some for clients.
_FILES_A_DEVICE = 5
_OTHER_FILES = 64
_OF_CLOUD = MerossCloudSim.named_faults.prefix

_MODEL_ROWS = [
    {
        "name": one.name,
        "model": one.type,
        "firmware": one.firmware,
        "about": one.about,
    }
    for one in MEROSS_MODELS.values()
]
_FAULTS = {
    **MerossSim.named_faults,
    **{
        f"{_OF_CLOUD}{name}": what for name, what in MerossCloudSim.named_faults.items()
    },
}

_LAN_PORT = 80
_NOT_AT_80 = (
    "not at port 80, so name the ports to `structiot meross`: "
    'STRUCTIOT_MEROSS_LAN_PORTS="{ports}", or --lan-port, or --lan {first}'
)

_cloud_options = OptionGroup(
    click.option("--email", default="user@example.com", help="The account."),
    click.option("--password", default="correct horse", help="Its password."),
    click.option("--cloud-host", default="127.0.0.1", help="Address of the cloud."),
    port_option("--cloud-port", 0, "TCP port of its API; 0 takes a free one."),
    port_option("--mqtt-port", 0, "TCP port of its broker; 0 takes a free one."),
    click.option("--mfa-code", help="One-time code that a sign-in needs besides."),
    click.option(
        "--max-tokens",
        type=click.IntRange(1),
        default=10,
        help="Tokens at once; a sign-in beyond them is refused.",
    ),
    click.option(
        "--messages-per-hour",
        type=click.IntRange(1),
        help="Messages to a device beyond which the account is banned.",
    ),
)


@click.command(
    cls=SimulatorCommand,
    families=_MODEL_ROWS,
    faults=_FAULTS,
    short_help="Simulate Meross devices, and their cloud.",
)
@click.option(
    "--model",
    "models",
    type=click.Choice((*MEROSS_MODELS, "all")),
    multiple=True,
    default=("mss310",),
    metavar="MODEL",
    help="Model; several take turns. `structiot sim families` lists them.",
)
@count_and_host
@port_option(
    "--http-port", 80, "TCP port of devices in the local network; 0 takes free ones."
)
@click.option(
    "--key",
    default=MerossDeviceSim.default_key,
    help="Key of the devices; with --cloud they have the account's.",
)
@click.option("--cloud", "has_cloud", is_flag=True, help="A cloud that they live in.")
@_cloud_options
@click.option(
    "--fault",
    "fault_texts",
    shell_complete=complete_fault,
    metavar="NAME[=VALUE][@WHAT][*TIMES][+SECONDS]",
    multiple=True,
    help="What each of them gets wrong, such as `drop*3` or `stuck`, or the cloud:"
    " `cloud:ban+60`. `structiot sim faults` lists them.",
)
@json_option
@common_options
@click.pass_context
async def meross(
    ctx: click.Context,
    /,
    *,
    models: tuple[str, ...],
    count: int,
    has_cloud: bool,
    fault_texts: tuple[str, ...],
    wants_json: bool,
    **given: Any,  # noqa: ANN401 - values of options
) -> None:
    """Simulate Meross devices, in the local network and with --cloud in an account.

    The cloud is spoken to without TLS: `structiot meross login --url URL`.
    """
    configure_logging(ctx)
    of_cloud = [one for one in fault_texts if one.startswith(_OF_CLOUD)]
    if of_cloud and not has_cloud:
        raise UsageError(f"--fault {of_cloud[0]} needs a cloud: --cloud")
    for text in fault_texts:
        kind: type[SimHost[Any]] = MerossCloudSim if text in of_cloud else MerossSim
        kind.named_faults.parse(text)
    mix = tuple(MEROSS_MODELS) if "all" in models else models
    names = _names(mix, max(count, len(mix)))
    allow_open_files(_FILES_A_DEVICE * len(names) + _OTHER_FILES)
    if has_cloud:
        refuse_given(ctx, ("key",), "goes without --cloud: they have the account's")
    else:
        refuse_given(ctx, _cloud_options.names, "goes with --cloud")
    cloud_arguments = _cloud_options.take_from(given)

    async def serve() -> None:
        async with (
            _running(names, given, cloud_arguments if has_cloud else None) as running,
            service_group() as tasks,
        ):
            cloud, devices = running
            for fault in fault_texts:
                hosts: Sequence[SimHost[Any]] = devices
                if cloud is not None and fault in of_cloud:
                    hosts = [cloud]
                for one in hosts:
                    tasks.start_soon(show_fault, one, fault)
            # As for the strips: what begins at once has begun when they are shown.
            await anyio.lowlevel.checkpoint()
            await anyio.lowlevel.checkpoint()
            _show(cloud, devices, wants_json=wants_json)
            await anyio.sleep_forever()

    await run_until_stopped(serve)


def _names(models: Sequence[str], count: int) -> list[tuple[str, str]]:
    """Give the model and the name of each device: no two are called alike."""
    turns = [models[index % len(models)] for index in range(count)]
    many, seen = Counter(turns), Counter[str]()
    found = []
    for model in turns:
        seen[model] += 1
        found.append((model, f"{model} {seen[model]}" if many[model] > 1 else model))
    return found


@asynccontextmanager
async def _running(
    names: Sequence[tuple[str, str]],
    given: Mapping[str, Any],
    cloud_arguments: Mapping[str, Any] | None,
) -> AsyncGenerator[tuple[MerossCloudSim | None, list[MerossSim]]]:
    try:
        first = ipaddress.ip_address(given["host"])
    except ValueError:
        raise UsageError(f"--host is no address: {given['host']!r:.100}") from None
    async with AsyncExitStack() as stack:
        cloud = None
        if cloud_arguments is not None:
            arguments = dict(cloud_arguments)
            places = {
                "host": arguments.pop("cloud_host"),
                "http_port": arguments.pop("cloud_port"),
            }
            cloud = await stack.enter_async_context(
                sim_meross_cloud(**places, **arguments)
            )
        devices = [
            await stack.enter_async_context(
                sim_meross_device(
                    str(first + index),
                    model=model,
                    name=name,
                    key=given["key"],
                    http_port=given["http_port"],
                    cloud=cloud,
                )
            )
            for index, (model, name) in enumerate(names)
        ]
        yield cloud, devices


def _show(
    cloud: MerossCloudSim | None, devices: Sequence[MerossSim], *, wants_json: bool
) -> None:
    rows = [
        {
            "host": one.host,
            "http_port": one.http_port,
            "name": one.device.name,
            "model": one.device.model.name,
            "uuid": one.device.uuid,
        }
        for one in devices
    ]
    key = devices[0].device.key
    account = cloud and {
        "url": cloud.url,
        "email": cloud.email,
        "password": cloud.password,
        "brokers": [f"{one.host}:{one.port}" for one in cloud.brokers],
    }
    if wants_json:
        show_json({"cloud": account, "key": key, "devices": rows})
        return
    pairs = {**account, "brokers": ", ".join(account["brokers"])} if account else {}
    show_pairs({**pairs, "key": key})
    click.echo()
    show_rows(rows, wants_json=False)
    ports = " ".join(
        f"{one.host}:{one.http_port}" for one in devices if one.http_port != _LAN_PORT
    )
    if ports:
        click.echo()
        click.echo(_NOT_AT_80.format(ports=ports, first=ports.partition(" ")[0]))
