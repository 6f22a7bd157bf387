"""Mailbox: a reader that always finds something lets others have their turn."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.flow.mailbox import Mailbox

pytestmark = pytest.mark.virtual_time


async def test_a_reader_of_a_box_that_is_never_empty_lets_others_run():
    box: Mailbox[int] = Mailbox()

    async def close_it() -> None:
        box.close()

    box.put(0)
    read = 0
    async with anyio.create_task_group() as tg:
        tg.start_soon(close_it)
        async for item in box:
            read += 1
            if read < 10_000:
                box.put(item + 1)
    assert read < 1000
