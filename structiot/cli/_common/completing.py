"""What a shell offers for words that only the network knows at this moment.

The shell waits, so nobody is asked for long, and whatever fails offers nothing.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Any, TypeAlias

import anyio
import asyncclick as click
from asyncclick.shell_completion import CompletionItem

from structiot.errors import StructiotError

__all__ = ["WAIT_S", "Completer", "Offer", "completer"]

# How long a search should listen.
WAIT_S = 0.8

# A word, and the line about it.
Offer: TypeAlias = tuple[str, str | None]
Completer: TypeAlias = Callable[
    [click.Context, click.Parameter, str], list[CompletionItem]
]


def completer(
    ask: Callable[[Mapping[str, Any]], Awaitable[Iterable[Offer]]],
) -> Completer:
    """Make of a function that asks the network one that a parameter is completed by.

    Args:
        ask: Gets the values that stand on the command line already, by parameter.
    """

    @functools.wraps(ask)
    def complete(
        ctx: click.Context, _parameter: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        return [
            CompletionItem(word, help=line)
            for word, line in _answer(functools.partial(ask, ctx.params))
            if word.startswith(incomplete)
        ]

    return complete


def _answer(ask: Callable[[], Awaitable[Iterable[Offer]]]) -> list[Offer]:
    # The parser calls from inside a loop and does not await.
    offers: list[Offer] = []

    async def gather() -> None:
        with anyio.move_on_after(2 * WAIT_S):
            offers.extend(await ask())

    def run() -> None:
        try:
            anyio.run(gather)
        except (StructiotError, OSError):
            offers.clear()

    thread = threading.Thread(target=run, name="structiot.cli.completing")
    thread.start()
    thread.join()
    return offers
