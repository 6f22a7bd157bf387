"""A mailbox whose items have a length: how much of them waits is bounded as well."""

from __future__ import annotations

import pytest

from structiot._kit.flow.mailbox import Mailbox, OverflowPolicy

pytestmark = pytest.mark.virtual_time


def bytes_box(policy: OverflowPolicy) -> Mailbox[bytes]:
    return Mailbox(10, policy=policy, max_bytes=100, size_of=len)


async def test_long_items_push_out_as_many_old_ones_as_it_takes():
    box = bytes_box("drop_oldest")
    for size in (30, 30, 30, 50):
        assert box.put(bytes(size))
    assert box.dropped == 2
    assert [len(box.receive_nowait()), len(await box.receive())] == [30, 50]
    assert box.put(bytes(100))
    assert box.dropped == 2
    assert box.put(bytes(1000))
    assert (len(box), box.dropped) == (1, 3)


@pytest.mark.parametrize("policy", ["drop_newest", "raise"])
def test_a_long_item_too_many_is_refused(policy: OverflowPolicy):
    box = bytes_box(policy)
    assert box.put(bytes(90))
    assert not box.put(bytes(11))
    assert (len(box), box.dropped) == (1, 1)
