"""What is sent: `-m`, `-f`, `-l`, `-s` or `-n`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from pathlib import Path
from typing import Any

import asyncclick as click

from structiot.cli._common.options import Decorator, OptionGroup
from structiot.cli._common.standard_input import read_all, read_file, read_some

__all__ = ["file_options", "message_option", "payloads", "source_of"]

_LETTERS = {
    "message": "-m",
    "file": "-f",
    "lines": "-l",
    "whole": "-s",
    "null": "-n",
}


def _once(
    _ctx: click.Context, option: click.Parameter, values: Sequence[Any]
) -> object | None:
    """Give the value of an option that would silently win over itself."""
    if len(values) > 1:
        raise click.UsageError(
            f"one message is sent, not several: {option.opts[0]} once"
        )
    return values[0] if values else None


def message_option(about: str) -> Decorator:
    """Make `-m`."""
    return click.option("-m", "--message", multiple=True, callback=_once, help=about)


file_options: OptionGroup = OptionGroup(
    click.option(
        "-f",
        "--file",
        type=click.Path(path_type=Path),
        multiple=True,
        callback=_once,
        help="Send a file as the message.",
    ),
    click.option(
        "-s", "--stdin-file", "whole", is_flag=True, help="All of stdin as one."
    ),
    click.option(
        "-n", "--null-message", "null", is_flag=True, help="An empty message."
    ),
)


def source_of(given: dict[str, Any]) -> str:
    """Name the one option that says what to send.

    Raises:
        click.UsageError: There is none, or more than one.
    """
    known = [name for name in _LETTERS if name in given]
    chosen = [name for name in known if given[name] not in {None, False}]
    if len(chosen) != 1:
        letters = " ".join(_LETTERS[name] for name in known)
        raise click.UsageError(f"say what to send by exactly one of {letters}")
    return chosen[0]


async def payloads(source: str, given: dict[str, Any]) -> AsyncGenerator[list[bytes]]:  # noqa: ASYNC900 - no scope in it
    """Read what is to be sent; lines come by as many as have been written meanwhile.

    Raises:
        click.ClickException: The file cannot be read.
    """
    if source == "message":
        yield [given["message"].encode()]
    elif source == "null":
        yield [b""]
    elif source == "file":
        try:
            yield [await read_file(given["file"])]
        except OSError as exc:
            message = f"cannot read {given['file']}: {exc.strerror}"
            raise click.ClickException(message) from exc
    elif source == "whole":
        yield [await read_all()]
    else:
        begun = b""
        while chunk := await read_some():
            *lines, begun = (begun + chunk).split(b"\n")
            yield lines
        if begun:
            yield [begun]
