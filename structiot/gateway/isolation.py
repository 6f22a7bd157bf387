"""Somebody else's code, run so that its faults cost only itself.

A driver or a device may raise anything: groups, errors that cannot be printed, a
cancellation that nobody asked for. All of that is an error of its own and comes back as
one. What passes are the orders to stop: ours to cancel, Ctrl-C and the program's end; the
last is no matter of what is only looked at, such as a module that is imported.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

import anyio

from structiot._kit.text import fault_text
from structiot.errors import (
    AuthRefused,
    ConfigError,
    InternalError,
    RateLimited,
    StructiotError,
)

__all__ = ["as_ours", "called", "failure_of"]

R = TypeVar("R")

# What of several errors decides what follows.
_TELLING = (AuthRefused, ConfigError, RateLimited, StructiotError)


def called(work: Callable[[], R]) -> R:
    """Run `work`, which waits for nothing, and give what it gives.

    Raises:
        InternalError: Whatever it raised, fit to be shown.
    """
    try:
        return work()
    except KeyboardInterrupt:
        raise
    # Nothing of ours is cancelled in there.
    except BaseException as exc:  # noqa: ASYNC103
        raise InternalError(fault_text(exc)) from exc  # noqa: ASYNC104


async def failure_of(work: Callable[[], Awaitable[object]]) -> StructiotError | None:
    """Run `work`; give what it failed with, None if it did not.

    An error that is none of ours comes back as `InternalError` with it as the cause.
    """
    try:
        await work()
    except (KeyboardInterrupt, SystemExit):
        raise
    # A cancellation of ours goes on, without what was raised beside it.
    except BaseException as exc:  # noqa: BLE001, ASYNC103
        is_cancelled = anyio.current_effective_deadline() == float("-inf")
        if is_cancelled and (cancellation := _cancellation_in(exc)) is not None:
            raise cancellation from None  # noqa: ASYNC104
        return as_ours(exc)  # noqa: ASYNC104
    return None


def _cancellation_in(error: BaseException) -> BaseException | None:
    if isinstance(error, BaseExceptionGroup):
        return error.split(anyio.get_cancelled_exc_class())[0]
    return error if isinstance(error, anyio.get_cancelled_exc_class()) else None


def as_ours(error: BaseException) -> StructiotError:
    """Give an error of ours for what somebody else's code has raised."""
    leaves = list(_leaves(error))
    for leaf in leaves:
        if isinstance(leaf, KeyboardInterrupt | SystemExit):
            raise leaf
    for kind in _TELLING:
        for leaf in leaves:
            if isinstance(leaf, kind):
                return leaf
    leaf = leaves[0] if leaves else error
    ours = InternalError(f"internal error: {fault_text(leaf)}")
    ours.__cause__ = error
    return ours


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for member in error.exceptions:
            yield from _leaves(member)
    else:
        yield error
