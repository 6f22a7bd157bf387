"""A task group for services: its tasks end with the block, one exception comes out."""

from __future__ import annotations

import sys
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from types import TracebackType
from typing import TypeGuard

import anyio
from anyio.abc import TaskGroup

from structiot.errors import InternalError, StructiotError, UsageError

__all__ = ["service_group"]


class _GroupOfOneTask:
    """A task group that is left in the task that entered it, or says so.

    The backends lose their way otherwise: asyncio tells of cancel scopes, trio waits for
    ever or ends the whole run.
    """

    def __init__(self) -> None:
        self._group = anyio.create_task_group()
        self._task_id = anyio.get_current_task().id

    async def __aenter__(self) -> TaskGroup:
        return await self._group.__aenter__()

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool | None:
        if anyio.get_current_task().id != self._task_id:
            raise UsageError(
                "an `async with` was entered in one task and left in another; let one "
                "task hold the whole block, and tell it by an Event when to leave"
            )
        return await self._group.__aexit__(exc_type, exc, traceback)  # noqa: ASYNC102


@asynccontextmanager
async def service_group(*, is_awaited: bool = False) -> AsyncGenerator[TaskGroup]:
    """Run background tasks for the length of the block; raise at most one exception.

    Leaving the block cancels the tasks, or waits for them if they are `is_awaited`. A task that fails cancels the block. The
    order of choice among several failures is: `KeyboardInterrupt` and `SystemExit`,
    the block's own exception (the others become notes on it), the only one there
    is, and else `InternalError` with the group as its cause. Equal errors of ours,
    as `ReplyTable.fail_all` gives them to every waiter, count as one. Only one level
    is opened: a group that the block raised itself stays a group. Cancellation from
    outside passes untouched where nothing failed.

    Raises:
        InternalError: Two or more background tasks failed at once.
        UsageError: The block is left in another task than it was entered in. Its tasks
            are cancelled, and so is what is left of the task that entered it.
    """
    body_error: BaseException | None = None
    try:
        async with _GroupOfOneTask() as tg:
            try:
                yield tg
            except BaseException as exc:
                body_error = exc
                raise
            finally:
                if not is_awaited:
                    tg.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        chosen = _one_error(group, body_error)
        context = chosen.__context__
        try:
            raise chosen
        finally:
            chosen.__context__ = context
            del chosen, context
    finally:
        if _is_cancellation(body_error) and sys.exception() is not body_error:
            # trio goes on with another one, and nobody sees this one any more; the
            # frames in its traceback lead to those of contextlib, which hold it.
            body_error.__traceback__ = None
        # Its traceback holds this frame: without this the two keep each other alive.
        del body_error


def _one_error(
    group: BaseExceptionGroup[BaseException], body_error: BaseException | None
) -> BaseException:
    own: BaseException | None = None
    members: list[BaseException] = []
    for exc in group.exceptions:
        if own is None and (own := _of_body(exc, body_error)) is not None:
            members.insert(0, own)
        elif not _is_cancellation(exc):
            members.append(exc)
    members = _distinct(members)
    for exc in members:
        interrupt = exc if exc is own else _first_interrupt(exc)
        if isinstance(interrupt, KeyboardInterrupt | SystemExit):
            return interrupt
    if own is not None:
        for exc in members[1:]:
            own.add_note(f"a background task failed too: {exc!r}")
        return own
    if len(members) == 1:
        return members[0]
    if not members:
        return group.exceptions[0]
    error = InternalError(
        "several background tasks failed: "
        + "; ".join(f"{type(exc).__name__}: {exc}" for exc in members)
    )
    error.__cause__ = group
    return error


def _is_cancellation(exc: BaseException | None) -> TypeGuard[BaseException]:
    return exc is not None and isinstance(exc, anyio.get_cancelled_exc_class())


def _of_body(
    exc: BaseException, body_error: BaseException | None
) -> BaseException | None:
    """Give the block's exception if this is it, or what trio has made of it."""
    if body_error is None or _is_cancellation(body_error):
        return None
    if exc is body_error:
        return exc
    if isinstance(exc, BaseExceptionGroup) and isinstance(
        body_error, BaseExceptionGroup
    ):
        # trio passes on a copy of a group, without the cancellations that it caused.
        left, before = set(map(id, _leaves(exc))), set(map(id, _leaves(body_error)))
        if left <= before:
            return body_error if left == before else exc
    return None


def _distinct(errors: list[BaseException]) -> list[BaseException]:
    found: dict[object, BaseException] = {}
    for exc in errors:
        is_ours = isinstance(exc, StructiotError)
        found.setdefault((type(exc), str(exc)) if is_ours else id(exc), exc)
    return list(found.values())


def _first_interrupt(exc: BaseException) -> BaseException | None:
    # InternalError is an ordinary exception and must not hide one of these.
    return next(
        (
            leaf
            for leaf in _leaves(exc)
            if isinstance(leaf, KeyboardInterrupt | SystemExit)
        ),
        None,
    )


def _leaves(exc: BaseException) -> Iterator[BaseException]:
    if isinstance(exc, BaseExceptionGroup):
        for member in exc.exceptions:
            yield from _leaves(member)
    else:
        yield exc
