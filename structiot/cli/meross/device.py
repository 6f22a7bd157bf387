"""What commands for one device share: which it is, and how it is opened."""

from __future__ import annotations

import logging
import math
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit

import anyio
import anyio.to_thread
import asyncclick as click

from structiot._kit.redact import Secret
from structiot._kit.text import printable
from structiot.cli._common.asking import ask_secret
from structiot.cli._common.device_commands import DeviceCommands
from structiot.cli._common.options import OptionGroup, refuse_given
from structiot.cli.meross.account import (
    account_options,
    files_of,
    open_account,
    policy_option,
)
from structiot.cli.meross.complete import complete_device
from structiot.cli.meross.finding import AnyDevice, called_among, device_of
from structiot.cli.meross.kept import called, kept_files
from structiot.errors import StructiotError, UsageError
from structiot.meross import (
    Channel,
    Meross,
    MerossDevice,
    MerossSubdevice,
    Policy,
    open_meross_lan,
)
from structiot.meross.link.lan import LanLink

__all__ = [
    "DeviceCommand",
    "device_command",
    "lan_options",
    "open_lan",
    "whole_device",
]

# How long a device may take to answer at the address where it was last.
_NEAR_S = 2.0
_KEY = "STRUCTIOT_MEROSS_KEY"

_log = logging.getLogger(__name__)

lan_options: OptionGroup = OptionGroup(
    click.option(
        "--lan",
        metavar="HOST[:PORT]",
        help="Speak to the device at this address, without any cloud; it stands for"
        " DEVICE.",
    ),
    click.option(
        "--key",
        envvar=_KEY,
        show_envvar=True,
        help="With --lan: its key; better in the variable, or - to be asked for it. By"
        " default that of the kept token.",
    ),
)
_sub_option = click.option(
    "--sub",
    metavar="NAME",
    help="With --lan: what hangs on the hub there, by its name or id.",
)


class DeviceCommand(click.Command):
    """A command for a DEVICE, which is not said where `--lan HOST` says it."""

    async def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Put the host in the place of the device."""
        host = _lan_host(args)
        if host is not None:
            args = [host, *args]
        rest = await super().parse_args(ctx, args)
        if host is None and not ctx.resilient_parsing:
            refuse_given(ctx, ("key",), "goes with --lan")
            why = "goes with --lan; else name what hangs on a hub"
            refuse_given(ctx, ("sub",), why)
        return rest


def _lan_host(words: Sequence[str]) -> str | None:
    for index, word in enumerate(words):
        if word == "--":
            break
        if word.startswith("--lan="):
            return word.partition("=")[2]
        if word == "--lan" and index + 1 < len(words):
            return words[index + 1]
    return None


@asynccontextmanager
async def _open_device(
    place: str,
    *,
    lan: str | None,
    key: str | None,
    sub: str | None,
    **account: Any,  # noqa: ANN401 - options of the account
) -> AsyncGenerator[AnyDevice]:
    async with AsyncExitStack() as stack:
        device: AnyDevice | None
        if lan is not None:
            opening = open_lan(lan, key=key, account=account)
            hub = device = await stack.enter_async_context(opening)
            if sub is not None:
                device = called_among(list(hub.subdevices.values()), sub)
                if device is None:
                    raise UsageError(f"nothing hangs on {hub.info.name}")
        else:
            device = await stack.enter_async_context(_near(place, **account))
            if device is None:
                opened = await stack.enter_async_context(open_account(**account))
                _say_if_waiting(opened, place)
                device = await device_of(opened, place)
        yield device


def _say_if_waiting(account: Meross, place: str) -> None:
    """Say what is waited for where the budget has no room to ask a device."""
    try:
        device = account.device(place)
    except UsageError:
        return
    budget = account.budget.of(device.info.id)
    if budget.left != 0 and budget.next_at is not None:
        after_s = math.ceil((budget.next_at - datetime.now(UTC)).total_seconds())
        text = (
            f"{device.info.name} may be sent nothing through the cloud for {after_s} s"
        )
        click.echo(printable(text), err=True)


@asynccontextmanager
async def _near(
    place: str,
    *,
    store: str | None,
    email: str | None,
    url: str | None,
    policy: Policy,
    lan_ports: Mapping[str, int],
    **_: Any,  # noqa: ANN401 - what only the cloud wants to know
) -> AsyncGenerator[AnyDevice | None]:
    """Open a device at the address where it was last, which costs nothing; else None."""
    files = await kept_files(store, email, url)
    token = await files.store.load()
    devices = await anyio.to_thread.run_sync(files.devices)
    wanted = called(place, devices)
    ids = {one.id: one for one in devices}
    whole = wanted and ids.get(wanted.hub or wanted.id)
    if policy == "cloud_only" or not (token and wanted and whole and whole.address):
        yield None
        return
    host, usual_port = _place_of(whole.address)
    port = lan_ports.get(host, usual_port)
    link = LanLink(host, port, key=token.key.reveal(), uuid=whole.id)
    try:
        await link.identify(timeout_s=_NEAR_S)
    except StructiotError as exc:
        _log.info("%s is not at %s: %s", whole.name, host, exc)
        yield None
        return
    async with open_meross_lan(host, port, key=token.key) as device:
        channels = [Channel(number=int(n), name=t) for n, t in whole.channels.items()]
        about = replace(device.about, channels=tuple(channels))
        device.described(about, whole.name)
        if wanted.hub is not None:
            found = (o for o in device.subdevices.values() if o.info.id == wanted.id)
            yield next(found, None)
        else:
            yield device


device_command: DeviceCommands[AnyDevice] = DeviceCommands(
    _open_device,
    account_options,
    policy_option,
    lan_options,
    _sub_option,
    argument="device",
    complete=complete_device,
)


@asynccontextmanager
async def open_lan(
    lan: str, *, key: str | None, account: Mapping[str, Any]
) -> AsyncGenerator[MerossDevice]:
    """Open a device in the local network.

    Raises:
        click.UsageError: No address, or nobody knows the key.
        StructiotError: As `open_meross_lan`.
    """
    host, port = _place_of(lan)
    async with open_meross_lan(host, port, key=await _key_of(key, account)) as device:
        yield device


def _place_of(lan: str) -> tuple[str, int]:
    if lan.count(":") > 1 and not lan.startswith("["):
        lan = f"[{lan}]"
    try:
        where = urlsplit(f"//{lan}")
        host, port = where.hostname, 80 if where.port is None else where.port
    except ValueError:
        host, port = None, 0
    if not (host and port) or set(lan) & set("/@?# "):
        raise click.UsageError(f"--lan takes HOST or HOST:PORT, not {printable(lan)!r}")
    return host, port


async def _key_of(given: str | None, account: Mapping[str, Any]) -> str | Secret:
    if given == "-":
        return await ask_secret("Key", instead=f"put it into ${_KEY}")
    if given is not None:
        return given
    kept = await (await files_of(account)).store.load()
    if kept is None:
        message = (
            f"--lan needs the key of the device: put it into ${_KEY}, or sign in once: "
            "`structiot meross login`"
        )
        raise click.UsageError(message)
    return kept.key


def whole_device(device: AnyDevice) -> MerossDevice:
    """Give a device that is none of a hub's.

    Raises:
        UsageError: It is one.
    """
    if isinstance(device, MerossSubdevice):
        message = (
            f"{device.info.name} hangs on {device.hub.info.name}: that one can do this"
        )
        raise UsageError(message)
    return device
