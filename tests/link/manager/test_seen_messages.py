"""What is remembered of messages that have come, as a plain list would remember it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from structiot.manager.unacknowledged import SeenMessages

# Among them those of which the end and the begin of two look like a third.
IDS = st.integers(1, 2**64 - 1) | st.sampled_from(
    [0x0101010101010101, 0x0102010201020102, 0x0201020102010201, 1, 256, 2**56]
)


@given(ids=st.lists(IDS, max_size=60), most=st.integers(1, 8))
def test_the_latest_are_known(ids, most):
    seen = SeenMessages(1, most)
    known: list[int] = []
    for one in ids:
        assert seen.is_new("a", one) is (one not in known)
        if one not in known:
            known = [*known, one][-most:]


def test_the_least_recent_senders_are_forgotten():
    seen = SeenMessages(2)
    assert seen.is_new("a", 1)
    assert seen.is_new("b", 1)
    assert not seen.is_new("a", 1)
    assert seen.is_new("c", 1)
    assert not seen.is_new("a", 1)
    assert seen.is_new("b", 1)
