"""The longest frames that are read: whatever stands in them, nobody is held up for long."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress

import anyio.lowlevel
import pytest

from structiot._kit.json_text import compact, violation
from structiot.connector.wire.envelope import (
    MAX_FRAME_BYTES,
    Frame,
    read_frame,
    write_frame,
)
from structiot.connector.wire.parts import held_bytes, read_command, response_payload
from structiot.connector.wire.senergy import decode_command
from structiot.errors import ProtocolViolation, UsageError
from tests.conftest import WatchedLoop

HEAD = '{"handler":"command","payload":{"device_url":"a","service_url":"b","x":['


@pytest.mark.parametrize(
    "item",
    [
        "1",
        "1.5",
        "1e300",
        "1.234567890123456789e-300",
        "1e999",
        '""',
        '"\\ud800"',
        '{"a":1}',
        "[1]",
        "null",
        "1" * 4000,
        "1" * 999,
        '"' + "ä" * 4000 + '"',
        '"password":"a"',
    ],
    ids=lambda item: item[:20],
)
@pytest.mark.parametrize("most", [MAX_FRAME_BYTES, 32_000, 8_000])
async def test_a_long_command_is_read_and_answered_in_short_steps(
    item: str, most: int, watched_loop: WatchedLoop
):
    count = (MAX_FRAME_BYTES - len(HEAD) - 3) // (len(item.encode()) + 1)
    count = min(count, most)
    text = HEAD + ",".join([item] * count) + "]}}"
    async with watched_loop(0.05):
        await anyio.lowlevel.checkpoint()
        try:
            command = read_command(read_frame(text).payload)
        except ProtocolViolation:
            command = None
        await anyio.lowlevel.checkpoint()
        if command is not None:
            payload = response_payload(command.payload, "on")
            with suppress(UsageError):
                # What is not ASCII is longer when it is written.
                write_frame(Frame("response", "a", payload))
            await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("item", ["0", "1.234567890123456789e-300", "9" * 4000])
async def test_a_long_command_of_senergy_is_read_in_a_short_step(
    item: str, watched_loop: WatchedLoop
):
    items = ",".join([item] * (MAX_FRAME_BYTES // (len(item) + 1)))
    data = f'{{"correlation_id":"a","payload":{{"data":[{items}]}}}}'.encode()
    async with watched_loop(0.05):
        await anyio.lowlevel.checkpoint()
        with suppress(ProtocolViolation):
            decode_command(data)
        await anyio.lowlevel.checkpoint()


@pytest.mark.parametrize("item", ["{}", "[]", "[[{}]]", '{"a":{}}', '{"a":0}'])
@pytest.mark.thorough
def test_what_a_command_takes_in_memory_is_counted(item: str):
    text = HEAD + ",".join([item] * 10_000) + "]}}"
    gc.collect()
    tracemalloc.start()
    try:
        command = read_command(read_frame(text).payload)
        gc.collect()
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert command.device_id == "a"
    assert held_bytes(text.encode()) > taken


def test_one_wide_character_makes_a_text_wide():
    text = "a" * 10_000 + "\N{GRINNING FACE}"
    for shown in (text.encode(), compact(text, is_ascii=True).encode()):
        assert held_bytes(shown) > 40_000


async def test_what_is_refused_is_refused_in_a_short_step(watched_loop: WatchedLoop):
    data = b'"" ,' * 400_000
    async with watched_loop(0.05):
        await anyio.lowlevel.checkpoint()
        error = violation("no", data)
        await anyio.lowlevel.checkpoint()
    assert error.data == data[:255]
