"""Tasks that fail, at once or when they are cancelled."""

from __future__ import annotations

from typing import NoReturn

import anyio
from anyio.abc import TaskStatus


class Oops(Exception):
    pass


async def fail(
    error: BaseException, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> NoReturn:
    task_status.started()
    raise error


async def fail_when_cancelled(
    error: BaseException, *, task_status: TaskStatus[None] = anyio.TASK_STATUS_IGNORED
) -> None:
    task_status.started()
    try:
        await anyio.sleep_forever()
    finally:
        raise error
