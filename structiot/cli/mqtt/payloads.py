"""What is sent: `-m`, `-f`, `-l`, `-s` or `-n`."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Callable
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import OptionGroup

__all__ = ["file_options", "payloads", "source_of"]

_CHUNK_BYTES = 65536
_LETTERS = {
    "message": "-m",
    "file": "-f",
    "lines": "-l",
    "whole": "-s",
    "null": "-n",
}

file_options: OptionGroup = OptionGroup(
    click.option(
        "-f",
        "--file",
        type=click.Path(path_type=Path),
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
            yield [await anyio.Path(given["file"]).read_bytes()]
        except OSError as exc:
            message = f"cannot read {given['file']}: {exc.strerror}"
            raise click.ClickException(message) from exc
    elif source == "whole":
        yield [await _in_thread(sys.stdin.buffer.read)]
    else:
        begun = b""
        while chunk := await _in_thread(_available):
            *lines, begun = (begun + chunk).split(b"\n")
            yield lines
        if begun:
            yield [begun]


def _available() -> bytes:
    read: Callable[[int], bytes] = sys.stdin.buffer.read1  # type: ignore[union-attr]
    return read(_CHUNK_BYTES)


async def _in_thread(read: Callable[[], bytes]) -> bytes:
    # A read from a terminal cannot be interrupted, only left alone.
    return await anyio.to_thread.run_sync(read, abandon_on_cancel=True)
