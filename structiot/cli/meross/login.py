"""`structiot meross login` and `logout`: getting a token once, and giving it back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import anyio.to_thread
import asyncclick as click

from structiot._kit.redact import Secret
from structiot.cli._common.asking import ask_secret, interruptible
from structiot.cli._common.device_commands import DeviceCommands, DeviceTarget
from structiot.cli._common.output import show_json
from structiot.cli._common.tables import show_pairs
from structiot.cli.meross.account import (
    PASSWORD,
    account_options,
    advised,
    files_of,
    keep_list,
    open_account,
    password_given,
    url_of,
)
from structiot.cli.meross.kept import KeptDevice, KeptFiles
from structiot.meross import Credentials, Meross, TokenExpired
from structiot.meross.link.cloud import MerossCloud, open_cloud
from structiot.meross.wire.device_list import CloudDevice

__all__ = ["kept_of_cloud", "login", "logout"]

_sign_in_command: DeviceCommands[Meross] = DeviceCommands(
    open_account, account_options, argument=None
)


@click.command(short_help="Sign in, and keep the token.")
@_sign_in_command(
    click.option("--country", default="us", help="Country of the account."), opens=False
)
@click.option(
    "--show-key", is_flag=True, help="Show the key of devices in the LAN, too."
)
async def login(
    target: DeviceTarget[Meross], *, show_key: bool, wants_json: bool
) -> None:
    """Sign in, and keep the token for all other commands.

    The password and a one-time code are asked for. An account that makes many tokens is
    locked for hours: a kept token that is still good is kept.
    """
    options = dict(target.options)
    if not options["email"] and await (await files_of(options)).store.load() is None:
        options["email"] = await _ask("E-mail", "say whose account it is: --email")
    files = await files_of(options)
    with advised():
        credentials, is_new = await _signed_in(files, options)
    key = credentials.key.reveal()
    if wants_json:
        show_json(
            {
                "email": credentials.email,
                "user_id": credentials.user_id,
                "url": credentials.domain,
                "is_new": is_new,
                "store": str(files.store.path),
                **({"key": key} if show_key else {}),
            }
        )
        return
    show_pairs(
        {
            "account": credentials.email,
            "token": "new" if is_new else "as before",
            "kept in": files.store.path,
            **({"LAN key": key} if show_key else {}),
        }
    )


async def _signed_in(
    files: KeptFiles, options: Mapping[str, Any]
) -> tuple[Credentials, bool]:
    """Give the credentials, and whether they are new."""
    email, country = options["email"], options["country"]
    kept = await files.store.load()
    url = url_of(options["url"], kept)
    if kept is not None:
        try:
            # Without a password nothing is signed in: it is seen whether the token is good.
            async with open_cloud(email=email, store=files.store, url=url) as cloud:
                return await _listed(cloud, files), False
        except TokenExpired:
            email = email or kept.email
            await files.store.forget()
    password = await password_given(options["password_file"]) or Secret(
        await ask_secret(
            "Password", instead=f"give it by --password-file or ${PASSWORD}"
        )
    )
    async with open_cloud(
        email=email,
        password=password,
        mfa=_ask_code if sys.stdin.isatty() else None,
        store=files.store,
        url=url,
        country=country,
    ) as cloud:
        return await _listed(cloud, files), True


async def _listed(cloud: MerossCloud, files: KeptFiles) -> Credentials:
    """Keep which devices there are: by the answer the token has proved good, too."""
    await keep_list(files, map(kept_of_cloud, await cloud.devices()))
    return cloud.credentials


def kept_of_cloud(one: CloudDevice) -> KeptDevice:
    """Give what the cloud's list says of a device."""
    return KeptDevice(
        id=one.uuid,
        name=one.name or f"{one.model} {one.uuid[-4:]}",
        model=one.model,
        firmware=one.firmware,
        channels={str(each.number): each.name for each in one.channels if each.name},
    )


async def _ask_code() -> str:
    return await _ask("One-time code", "")


async def _ask(what: str, instead: str) -> str:
    if not sys.stdin.isatty():
        raise click.UsageError(f"there is no terminal to ask at: {instead}")
    with interruptible():
        text: str = await click.prompt(what, err=True)
    return text


@click.command(short_help="Give the token back.")
@_sign_in_command(opens=False)
async def logout(target: DeviceTarget[Meross], *, wants_json: bool) -> None:
    """Give the kept token back to the cloud, and forget it and the list of devices.

    What was sent in the last hour stays kept: the cloud does not forget it either.
    """
    files = await files_of(target.options)
    kept = await files.store.load()
    if kept is not None:
        url = url_of(target.options["url"], kept)
        email = target.options["email"]
        async with open_cloud(email=email, store=files.store, url=url) as cloud:
            await cloud.log_out()
        await anyio.to_thread.run_sync(files.forget_devices)
    if wants_json:
        show_json({"email": kept.email if kept else None})
    elif kept is None:
        click.echo("nobody is signed in", err=True)
