"""`structiot manager serve`: the server that devices dial in to."""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

import anyio.to_thread
import asyncclick as click

from structiot._kit.net.network import place
from structiot._kit.net.tls import server_context
from structiot._kit.redact import Secret
from structiot._kit.text import path_fault, printable
from structiot.cli._common.options import (
    common_options,
    configure_logging,
    is_given,
    json_option,
    port_option,
    refuse_given,
)
from structiot.cli._common.output import say_at_terminal, show_json
from structiot.cli._common.signals import allow_open_files, run_until_stopped
from structiot.cli.manager.fleet import (
    URI_VARIABLE,
    backplane_of,
    backplane_options,
    of_the_broker,
    uri_option,
)
from structiot.cli.manager.happenings import show_event
from structiot.errors import ConfigError
from structiot.manager import (
    Dialect,
    Listener,
    Manager,
    ManagerLimits,
    open_manager,
)
from structiot.manager.secrets_file import secrets_in

__all__ = ["serve"]

_PLACE: Final = re.compile(
    r"(\w+)(\+tls)?://(\[[^\[\]/]+\]|[^\[\]:/@]+):(\d{1,5})", re.ASCII
)
_HIGHEST_PORT: Final = 65_535
_OTHER_FILES: Final = 64
_path: Final = click.Path(path_type=Path)


@click.command(short_help="Serve devices, and show what they say.")
@click.option(
    "--type",
    "types",
    multiple=True,
    metavar="TYPE",
    help="Type of devices that is taken; several may be given. By default all are.",
)
@click.option("--host", default="127.0.0.1", help="Address to listen at.")
@port_option("--port", 8595, "TCP port; 0 takes a free one.")
@click.option(
    "--dialect",
    type=click.Choice([one.value for one in Dialect], case_sensitive=False),
    default=Dialect.D0.value,
    help="What the devices speak.",
)
@click.option(
    "--listen",
    "listeners",
    multiple=True,
    metavar="DIALECT[+tls]://HOST:PORT",
    help="A further place to listen at, such as structiot+tls://0.0.0.0:8596; several may"
    " be given.",
)
@click.option("--certfile", type=_path, help="Certificate for TLS.")
@click.option("--keyfile", type=_path, help="Its key.")
@click.option(
    "--keyfile-password",
    envvar="STRUCTIOT_MANAGER_KEY_PASSWORD",
    show_envvar=True,
    help="The key's passphrase; better in the variable.",
)
@click.option(
    "--client-cafile",
    type=_path,
    help="Authorities of which devices need a certificate.",
)
@click.option(
    "--secrets",
    "secrets_file",
    type=_path,
    help='Secrets of the devices, for the dialect structiot: lines UUID = "secret".',
)
@click.option(
    "--heartbeat",
    "heartbeat_s",
    type=click.FloatRange(min=0, min_open=True),
    default=60.0,
    metavar="SECONDS",
    help="How often devices are asked whether they are there.",
)
@uri_option(required=False)
@click.option("--node", help="Name of this manager among those of --uri.")
@backplane_options
@json_option
@common_options
@click.pass_context
async def serve(ctx: click.Context, /, *, wants_json: bool, **given: Any) -> None:  # noqa: ANN401 - values of options
    """Serve devices that dial in until Ctrl-C, a line for whatever happens.

    With --uri and --node it is one of several managers that are joined by that broker; what
    happens at the others is shown, too.
    """
    configure_logging(ctx)
    _decide_whether_alone(ctx, given)
    settings = await anyio.to_thread.run_sync(_settings, given, abandon_on_cancel=True)
    allow_open_files(ManagerLimits().connections + _OTHER_FILES)

    async def show() -> None:
        async with _opened(given, settings) as manager, manager.events() as events:
            _show_places(manager, settings["listeners"], wants_json=wants_json)
            async for event in events:
                show_event(event, wants_json=wants_json)

    await run_until_stopped(show)


def _decide_whether_alone(ctx: click.Context, given: dict[str, Any]) -> None:
    """Take it for one of several if it has a name among them, else for one alone.

    Raises:
        click.UsageError: Options say the one and the other.
    """
    if given["node"] is not None:
        if given["uri"] is None:
            raise click.UsageError(f"--node goes with --uri, or with ${URI_VARIABLE}")
        return
    if is_given(ctx, "uri"):
        raise click.UsageError("--uri goes with --node, the name of this manager")
    refuse_given(ctx, backplane_options.names, "goes with --node")
    if given["uri"] is not None:
        given["uri"] = None
        if os.environ.get(URI_VARIABLE):
            text = f"this manager is alone: ${URI_VARIABLE} counts with --node"
            say_at_terminal(text)


@asynccontextmanager
async def _opened(
    given: Mapping[str, Any], settings: Mapping[str, Any]
) -> AsyncGenerator[Manager]:
    async with AsyncExitStack() as stack:
        backplane = None
        if given["uri"] is not None:
            # What is wrong with the devices' own files has been found before.
            stack.enter_context(of_the_broker())
            opened = backplane_of(given["uri"], given, given["node"])
            backplane = await stack.enter_async_context(opened)
        yield await stack.enter_async_context(
            open_manager(
                given["types"] or None,
                port=None,
                heartbeat_s=given["heartbeat_s"],
                backplane=backplane,
                **settings,
            )
        )


def _show_places(
    manager: Manager, listeners: Sequence[Listener], *, wants_json: bool
) -> None:
    for (host, port), one in zip(manager.addresses, listeners, strict=True):
        dialect, is_tls = f"{one.dialect}", one.ssl_context is not None
        if wants_json:
            told = {"host": host, "port": port, "dialect": dialect, "is_tls": is_tls}
            show_json({"event": "listening", **told})
        else:
            by = " by TLS" if is_tls else ""
            click.echo(f"listening at {place(host, port)}, {dialect}{by}")


def _listener(text: str, context: ssl.SSLContext | None) -> Listener:
    """Read what `--listen` says.

    Raises:
        ConfigError: It is no such place, or wants TLS without a certificate.
    """
    found = _PLACE.fullmatch(text)
    known = [one.value.lower() for one in Dialect]
    if found is None or found[1].lower() not in known or int(found[4]) > _HIGHEST_PORT:
        raise ConfigError(
            f"--listen is DIALECT://HOST:PORT or DIALECT+tls://HOST:PORT, not "
            f"{printable(text, most=100)}; there are {', '.join(Dialect)}"
        )
    dialect, tls, host, port = Dialect(found[1]), found[2], found[3], int(found[4])
    if tls and context is None:
        raise ConfigError(f"--listen {printable(text)} goes with --certfile")
    return Listener(host.strip("[]"), port, dialect, context if tls else None)


def _settings(given: Mapping[str, Any]) -> dict[str, Any]:
    """Read the files.

    Raises:
        ConfigError: One cannot be read, or is missing.
    """
    certfile, secrets_file = given["certfile"], given["secrets_file"]
    if certfile is None and (given["keyfile"] or given["client_cafile"]):
        raise ConfigError("--keyfile and --client-cafile go with --certfile")
    context = None
    if certfile is not None:
        context = server_context(
            certfile=certfile,
            keyfile=given["keyfile"],
            keyfile_password=given["keyfile_password"],
            client_cafile=given["client_cafile"],
        )
    first = Listener(given["host"], given["port"], Dialect(given["dialect"]), context)
    listeners = [first, *(_listener(one, context) for one in given["listeners"])]
    spoken = {one.dialect for one in listeners}
    if secrets_file is not None and Dialect.STRUCTIOT not in spoken:
        raise ConfigError(
            "--secrets goes with --dialect structiot: others know of none"
        )
    return {
        "listeners": listeners,
        "secrets": None if secrets_file is None else _read_secrets(secrets_file),
    }


def _read_secrets(path: Path) -> dict[str, Secret]:
    try:
        return secrets_in(path.read_bytes())
    except ConfigError as exc:
        raise ConfigError(f"{printable(str(path))} {exc}") from None
    except (OSError, ValueError) as exc:
        raise ConfigError(f"cannot read {path}: {path_fault(exc)}") from exc
