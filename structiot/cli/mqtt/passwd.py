"""`structiot mqtt passwd`: who may connect to a broker of ours."""

from __future__ import annotations

import os
from pathlib import Path

import anyio
import asyncclick as click

from structiot._kit.regular_file import read_regular
from structiot._kit.text import path_fault, printable
from structiot.cli._common.asking import ask_secret
from structiot.cli._common.options import common_options
from structiot.cli._common.standard_input import read_some
from structiot.errors import ConfigError
from structiot.mqtt.broker import Passwords, hash_password
from structiot.mqtt.broker.passwords import MAX_FILE_BYTES

__all__ = ["passwd"]

# MQTT has no longer ones.
_LONGEST = 65_536


@click.command(short_help="Edit a broker's password file.")
@click.argument("file", type=click.Path(path_type=Path))
@click.argument("user")
@click.option("-D", "--delete", "deletes", is_flag=True, help="Remove the user.")
@click.option(
    "--stdin", "from_stdin", is_flag=True, help="Read the password from stdin."
)
@common_options
async def passwd(file: Path, user: str, *, deletes: bool, from_stdin: bool) -> None:
    """Set the password of USER in FILE, which is made if there is none."""
    if not user or set(user) & set(":\n\r") or user.startswith("#"):
        raise ConfigError(f"a user name without : at its end or # before, not {user!r}")
    if deletes:
        await anyio.to_thread.run_sync(_edit, file, user, None)
        return
    if from_stdin:
        password = await _line_of_input()
    else:
        instead = "give it on stdin, with --stdin"
        password = await ask_secret("Password", instead=instead, is_repeated=True)
    await anyio.to_thread.run_sync(_edit, file, user, password)


async def _line_of_input() -> str:
    """Give the first line of standard input, without its end."""
    found = b""
    while b"\n" not in found and (some := await read_some()):
        found += some
        if len(found) > _LONGEST:
            raise ConfigError("what comes on stdin is too long for a password")
    try:
        return found.partition(b"\n")[0].rstrip(b"\r").decode()
    except UnicodeDecodeError:
        raise ConfigError("the password is not text in UTF-8") from None


def _edit(file: Path, user: str, password: str | None) -> None:
    try:
        _rewrite(file, user, password)
    except OSError as exc:
        shown = printable(str(file))
        text = f"cannot write {shown}: {path_fault(exc)}; nothing has changed"
        raise click.ClickException(text) from exc


def _lines_of(file: Path) -> list[str]:
    try:
        return read_regular(file, most_bytes=MAX_FILE_BYTES).decode().splitlines()
    except FileNotFoundError:
        return []
    except UnicodeDecodeError:
        raise ConfigError(f"{printable(str(file))} is not text") from None
    except ValueError as exc:
        raise ConfigError(f"cannot use {printable(str(file))}: {exc}") from None


def _rewrite(file: Path, user: str, password: str | None) -> None:
    """Rewrite a file with one line changed, all of it or nothing."""
    lines = _lines_of(file)
    kept = [line for line in lines if line.partition(":")[0] != user]
    if password is None and len(kept) == len(lines):
        raise ConfigError(f"{file} has no user {user!r}")
    if password is not None:
        kept.append(f"{user}:{hash_password(password)}")
    fresh = file.with_name(f"{file.name}.new")
    fresh.unlink(missing_ok=True)
    made = os.open(fresh, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    try:
        with os.fdopen(made, "w", encoding="utf-8") as out:
            out.write("".join(f"{line}\n" for line in kept))
            out.flush()
            os.fsync(out.fileno())
        Passwords.read(fresh)
        fresh.replace(file)
    except BaseException:
        fresh.unlink(missing_ok=True)
        raise
