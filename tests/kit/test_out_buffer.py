"""What waits to be written: every byte once, in order, whatever the pieces."""

from __future__ import annotations

import random
import tracemalloc

import pytest

from structiot._kit.out_buffer import LARGE_BYTES, OutBuffer, size_of


def filled(rng: random.Random, count: int) -> tuple[OutBuffer, bytes]:
    out, expected = OutBuffer(), bytearray()
    for _ in range(count):
        head = rng.randbytes(rng.randrange(1, 40))
        out += head
        expected += head
        if rng.random() < 0.5:
            large = rng.randbytes(rng.randrange(LARGE_BYTES, 3 * LARGE_BYTES))
            out.add_large(large)
            expected += large
    return out, bytes(expected)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_dropped_in_steps_leaves_the_rest(seed: int):
    rng = random.Random(seed)
    out, expected = filled(rng, 30)
    at = 0
    while at < len(expected):
        assert out.size == size_of(out) == len(expected) - at
        pieces = b"".join(out.pieces())
        assert expected[at:].startswith(pieces)
        step = rng.randrange(1, len(pieces) + 1)
        out.drop(step)
        at += step
    assert not out
    assert not out.size


@pytest.mark.parametrize("seed", range(20))
def test_portions_and_what_is_taken_are_the_same_bytes(seed: int):
    rng = random.Random(seed)
    out, expected = filled(rng, 30)
    out.prepend(b"before")
    got = b"".join(bytes(out.portion(5_000)) for _ in range(4))
    got += b"".join(out.take())
    assert got == b"before" + expected
    assert out.size == 0


def test_a_packet_is_cut_off_again():
    out, expected = filled(random.Random(1), 10)
    own, large = len(out), out.large_bytes
    out += b"head"
    out.add_large(bytes(LARGE_BYTES))
    out.cut(own, large)
    assert b"".join(out.take()) == expected


def test_a_large_payload_for_many_is_there_once():
    payload = bytes(1_000_000)
    outs = [OutBuffer() for _ in range(100)]
    tracemalloc.start()
    try:
        for out in outs:
            out.extend(b"head")
            out.add_large(payload)
            out.drop(4 + 500_000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 200_000
    assert all(out.size == 500_000 for out in outs)
