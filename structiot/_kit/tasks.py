"""A task group for services: its tasks end with the block, one exception comes out."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import TaskGroup

from structiot.errors import InternalError

__all__ = ["service_group"]


@asynccontextmanager
async def service_group() -> AsyncGenerator[TaskGroup]:
    """Run background tasks for the length of the block; raise at most one exception.

    Leaving the block cancels the tasks. A task that fails cancels the block. The
    order of choice among several failures is: `KeyboardInterrupt` and `SystemExit`,
    the block's own exception (the others become notes on it), the only one there
    is, and else `InternalError` with the group as its cause. Only one level is
    opened: a group that the block raised itself stays a group. Cancellation from
    outside passes untouched.

    Raises:
        InternalError: Two or more background tasks failed at once.
    """
    body_error: BaseException | None = None
    try:
        async with anyio.create_task_group() as tg:
            try:
                yield tg
            except BaseException as exc:
                body_error = exc
                raise
            finally:
                tg.cancel_scope.cancel()
    except BaseExceptionGroup as group:
        chosen = _one_error(group, body_error)
        context = chosen.__context__
        try:
            raise chosen
        finally:
            chosen.__context__ = context
            del chosen, context, body_error


def _one_error(
    group: BaseExceptionGroup[BaseException], body_error: BaseException | None
) -> BaseException:
    cancelled = anyio.get_cancelled_exc_class()
    members = [exc for exc in group.exceptions if not isinstance(exc, cancelled)]
    for exc in members:
        if isinstance(exc, KeyboardInterrupt | SystemExit):
            return exc
    if body_error is not None and any(exc is body_error for exc in members):
        for exc in members:
            if exc is not body_error:
                body_error.add_note(f"a background task failed too: {exc!r}")
        return body_error
    if len(members) == 1:
        return members[0]
    if not members:
        return group
    error = InternalError(
        "several background tasks failed: "
        + "; ".join(f"{type(exc).__name__}: {exc}" for exc in members)
    )
    error.__cause__ = group
    return error
