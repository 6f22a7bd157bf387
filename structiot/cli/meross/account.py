"""What commands for an account share: whose it is, and how it is opened."""

from __future__ import annotations

import math
import os
from collections.abc import AsyncGenerator, Generator, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import asyncclick as click

from structiot._device.device import BaseDevice
from structiot._kit.redact import Secret
from structiot._kit.text import path_fault, printable
from structiot.cli._common.device_commands import DeviceCommands
from structiot.cli._common.options import Decorator, OptionGroup
from structiot.cli._common.standard_input import read_file
from structiot.cli.meross.kept import KeptDevice, KeptFiles, kept_files
from structiot.errors import ConfigError, StructiotError
from structiot.meross import (
    About,
    CallDropped,
    Credentials,
    Meross,
    MfaRequired,
    NotSignedIn,
    Policy,
    TokenExpired,
    TooManyTokens,
    open_meross,
)
from structiot.meross.link.cloud import DEFAULT_URL
from structiot.model import DeviceInfo

__all__ = [
    "PASSWORD",
    "account_command",
    "account_options",
    "advised",
    "files_of",
    "files_options",
    "keep_list",
    "listed",
    "open_account",
    "password_given",
    "policy_option",
    "url_of",
]

PASSWORD = "STRUCTIOT_MEROSS_PASSWORD"  # noqa: S105 - the name of a variable
_LOGIN = "`structiot meross login`"
_ADVICE: dict[type[StructiotError], str] = {
    TokenExpired: f"{_LOGIN} gets a new one",
    MfaRequired: f"{_LOGIN} asks for it at a terminal, and keeps the token",
    NotSignedIn: f"{_LOGIN} does that",
    TooManyTokens: "`structiot meross logout` gives one back where it was made",
    CallDropped: "`structiot meross budget` shows what may be sent, and when",
}

_store_option: Decorator = click.option(
    "--store",
    type=click.Path(dir_okay=False),
    envvar="STRUCTIOT_MEROSS_STORE",
    show_envvar=True,
    help="File of the token; by default one for each account in structiot's state folder.",
)


def _ports_of(
    _ctx: click.Context, _option: click.Parameter, given: tuple[str, ...]
) -> dict[str, int]:
    """Read TCP ports by host."""
    found: dict[str, int] = {}
    for one in given:
        host, _, port = one.rpartition(":")
        if not host or not port.isdecimal() or not 0 < int(port) < 65_536:
            raise click.BadParameter(f"{printable(one)!r} is no HOST:PORT")
        found[host.strip("[]")] = int(port)
    return found


policy_option: OptionGroup = OptionGroup(
    click.option(
        "--policy",
        type=click.Choice(("lan_first", "lan_only", "cloud_only")),
        default="lan_first",
        help="Ways to devices.",
    ),
    click.option(
        "--lan-port",
        "lan_ports",
        multiple=True,
        metavar="HOST:PORT",
        callback=_ports_of,
        envvar="STRUCTIOT_MEROSS_LAN_PORTS",
        show_envvar=True,
        help="A device in the local network that is not at port 80, as a simulated one;"
        " may be given again.",
    ),
)
_email_option: Decorator = click.option(
    "--email",
    envvar="STRUCTIOT_MEROSS_EMAIL",
    show_envvar=True,
    help="Whose account; by default that of the kept token.",
)
_url_option: Decorator = click.option(
    "--url",
    envvar="STRUCTIOT_MEROSS_URL",
    show_envvar=True,
    help="The cloud; by default that of the kept token, else Meross's.",
)
files_options: OptionGroup = OptionGroup(_email_option, _url_option, _store_option)
account_options: OptionGroup = OptionGroup(
    _email_option,
    click.option(
        "--password-file",
        type=click.Path(dir_okay=False),
        help=f"Its first line is the password; else ${PASSWORD} has it.",
    ),
    _url_option,
    _store_option,
)


@asynccontextmanager
async def open_account(
    *,
    email: str | None,
    password_file: str | None,
    url: str | None,
    store: str | None,
    policy: Policy,
    lan_ports: Mapping[str, int] | None = None,
) -> AsyncGenerator[Meross]:
    """Open the account whose token is kept; nobody is asked for anything.

    Raises:
        ConfigError: No token is kept, and there is no password to get one.
        StructiotError: As `open_meross`, with what to do about it.
    """
    files = await kept_files(store, email, url)
    kept = await files.store.load()
    password = await password_given(password_file)
    if kept is None and password is None:
        raise ConfigError(f"nobody is signed in to Meross: {_LOGIN} does that")
    with advised():
        async with open_meross(
            email=email,
            password=password,
            store=files.store.path,
            state_file=files.state,
            policy=policy,
            lan_ports=lan_ports or None,
            url=url_of(url, kept),
        ) as account:
            await keep_list(files, listed(account))
            yield account
            await keep_list(files, listed(account))


account_command: DeviceCommands[Meross] = DeviceCommands(
    open_account, account_options, policy_option, argument=None
)


async def files_of(options: Mapping[str, Any]) -> KeptFiles:
    """Give the files of the account that the options name."""
    return await kept_files(options["store"], options["email"], options["url"])


def url_of(given: str | None, kept: Credentials | None) -> str:
    """Give the address of the cloud: the one of the token knows where it is at home."""
    return given or (kept.domain if kept else "") or DEFAULT_URL


async def keep_list(
    files: KeptFiles, devices: Iterable[KeptDevice]
) -> list[KeptDevice]:
    """Keep which devices there are; give what is known of them."""
    return await anyio.to_thread.run_sync(files.keep, list(devices))


def listed(account: Meross) -> Iterator[KeptDevice]:
    """Give what an account knows of its devices, and of what hangs on them."""
    for device in account.devices.values():
        yield _kept(device, device.about)
        for one in device.subdevices.values():
            yield _kept(one)


def _kept(device: BaseDevice[DeviceInfo], about: About | None = None) -> KeptDevice:
    info = device.info
    is_known = about is None or bool(about.abilities)
    main = [e.key for e in device.entities if e.category is None and e.is_enabled]
    channels = about.channels if about is not None else ()
    return KeptDevice(
        id=info.id,
        name=info.name,
        model=info.model,
        hub=info.via,
        firmware=info.firmware,
        address=about.system.lan_host if about is not None else None,
        has=tuple(main) if is_known else None,
        channels={str(one.number): one.name for one in channels if one.name},
    )


@contextmanager
def advised() -> Generator[None]:
    """Say with an error what can be done about it, if that is something of ours."""
    try:
        yield
    except tuple(_ADVICE) as exc:
        if isinstance(exc, CallDropped) and exc.retry_after_s is not None:
            exc.add_note(f"try again in {math.ceil(exc.retry_after_s)} s")
        exc.add_note(_ADVICE[type(exc)])
        raise


async def password_given(password_file: str | None) -> Secret | None:
    """Give the password, from the file, or from the environment; None without either.

    Raises:
        ConfigError: The file cannot be read, or there is none in it.
    """
    if password_file is None:
        password = os.environ.get(PASSWORD)
        return Secret(password) if password else None
    shown = printable(password_file)
    try:
        text = (await read_file(Path(password_file))).decode()
    except (OSError, ValueError) as exc:
        # The text of a decoding error has the password in it.
        why = "no text" if isinstance(exc, UnicodeDecodeError) else path_fault(exc)
        raise ConfigError(f"cannot read the password in {shown}: {why}") from None
    password = text.partition("\n")[0].rstrip("\r")
    if not password:
        raise ConfigError(f"no password is in {shown}")
    return Secret(password)
