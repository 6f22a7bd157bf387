"""What RFC 6455 allows and forbids on the wire, vector by vector, at both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager
from functools import partial

import anyio
import pytest

from structiot._kit.websocket import WebSocket
from structiot.errors import ProtocolViolation
from tests.kit.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    MASK,
    PING,
    PONG,
    TEXT,
    Peer,
    close_payload,
    frame,
    served_websocket,
    websocket,
)

pytestmark = pytest.mark.virtual_time

Opened = Callable[..., AbstractAsyncContextManager[tuple[WebSocket, Peer]]]
# A frame without its mask, which is the side's.
Part = Callable[..., bytes]

both_sides = pytest.mark.parametrize(
    "opened", [websocket, served_websocket], ids=["client", "server"]
)

# The first and the last character of each length, and the neighbours of the surrogates.
TEXT_OF_ALL_LENGTHS = (
    "\0\x7f\x80\u07ff\u0800\ud7ff\ue000\ufffe\uffff\U00010000\U0010ffff"
)


def part(
    opcode: int, payload: bytes = b"", *, fin: bool = True, reserved: int = 0
) -> Part:
    return partial(frame, opcode, payload, fin=fin, reserved=reserved)


def fragments(opcode: int, payload: bytes, size: int) -> Iterator[Part]:
    """Frames of `size` bytes at most, of which the last is empty."""
    for at in range(0, len(payload), size):
        yield part(opcode, payload[at : at + size], fin=False)
        opcode = CONTINUATION
    yield part(opcode)


def header(*length: int) -> Part:
    """The beginning of a binary frame, with its length written in these bytes."""

    def made(mask: bytes) -> bytes:
        return bytes([128 | BINARY, length[0] | (128 if mask else 0), *length[1:]])

    return made


def wrongly_masked(mask: bytes) -> bytes:
    return frame(BINARY, b"x", mask=b"" if mask else MASK)


# -- what is forbidden ---------------------------------------------------------------

NOT_UTF_8 = {
    "continuation byte alone": b"\x80",
    "two bytes for one": b"\xc1\xbf",
    "three bytes for two": b"\xe0\x9f\xbf",
    "four bytes for three": b"\xf0\x8f\xbf\xbf",
    "first surrogate": b"\xed\xa0\x80",
    "last surrogate": b"\xed\xbf\xbf",
    "behind the last character": b"\xf4\x90\x80\x80",
    "five bytes": b"\xf8\x88\x80\x80\x80",
    "byte that never occurs": b"\xff",
    "character cut by another": b"\xe2\x82A",
    "character cut by the end": b"ok \xf0\x9f\x92",
}
NO_CLOSE_CODES = [0, 999, 1004, 1005, 1006, 1015, 1016, 2000, 2999, 5000, 65_535]

FORBIDDEN: dict[str, tuple[int, dict[str, list[Part]]]] = {
    "reserved bits": (
        1002,
        {
            f"{bits:03b} on {opcode}": [part(opcode, b"x", reserved=bits)]
            for bits in range(1, 8)
            for opcode in (TEXT, PING)
        },
    ),
    "opcodes": (
        1002,
        {str(opcode): [part(opcode)] for opcode in (*range(3, 8), *range(11, 16))},
    ),
    "masks": (1002, {"the other side's": [wrongly_masked]}),
    "lengths": (
        1002,
        {
            "two bytes for one": [header(126, 0, 125)],
            "eight bytes for two": [header(127, 0, 0, 0, 0, 0, 0, 255, 255)],
            "highest bit": [header(127, 128, 0, 0, 0, 0, 0, 0, 0)],
        },
    ),
    "control frames": (
        1002,
        {
            f"{opcode} {how}": [made]
            for opcode in (CLOSE, PING, PONG)
            for how, made in {
                "in fragments": part(opcode, close_payload(1000), fin=False),
                "too long": part(opcode, close_payload(1000, "x" * 124)),
            }.items()
        },
    ),
    "fragments": (
        1002,
        {
            "of nothing": [part(CONTINUATION, b"x")],
            "of nothing, unfinished": [part(CONTINUATION, b"x", fin=False)],
            "after the last": [
                *fragments(TEXT, b"x", 1),
                part(CONTINUATION, b"x"),
            ],
            "text within": [part(TEXT, b"x", fin=False), part(TEXT, b"x")],
            "binary within": [part(TEXT, b"x", fin=False), part(BINARY, b"x")],
        },
    ),
    "text": (1007, {name: [part(TEXT, data)] for name, data in NOT_UTF_8.items()}),
    "text in fragments": (
        1007,
        {name: [*fragments(TEXT, data, 1)] for name, data in NOT_UTF_8.items()},
    ),
    "close codes": (
        1002,
        {
            "half a code": [part(CLOSE, b"\x03")],
            **{
                str(code): [part(CLOSE, close_payload(code))] for code in NO_CLOSE_CODES
            },
        },
    ),
    "close reasons": (
        1007,
        {
            name: [part(CLOSE, close_payload(1000) + data)]
            for name, data in NOT_UTF_8.items()
        },
    ),
}


async def told_after(opened: Opened, parts: list[Part]) -> int | None:
    """The close code that the peer is told; none if these frames end nothing."""
    async with opened() as (ws, peer):
        await peer.send(*(one(mask=peer.mask) for one in parts))
        await peer.send(frame(BINARY, b"never seen", mask=peer.mask))
        raised = None
        with anyio.move_on_after(1):
            try:
                while True:
                    await ws.receive()
            except ProtocolViolation as exc:
                raised = exc.code
            except anyio.EndOfStream:
                pass
        if raised is None:
            return None
        opcode, payload = await peer.frame()
        told = int.from_bytes(payload[:2], "big")
        assert (opcode, told) == (CLOSE, raised)
        await peer.end()
        assert ws.close_code is None, "the peer has not said goodbye"
        return told


@both_sides
@pytest.mark.parametrize("kind", FORBIDDEN)
async def test_what_is_forbidden_ends_the_websocket_and_the_peer_is_told(
    opened: Opened, kind: str
):
    code, vectors = FORBIDDEN[kind]
    told = {name: await told_after(opened, parts) for name, parts in vectors.items()}
    assert told == dict.fromkeys(vectors, code)


@both_sides
@pytest.mark.parametrize("is_one_frame", [True, False])
async def test_text_that_cannot_become_legal_is_refused_before_its_end(
    opened: Opened, is_one_frame: bool
):
    async with opened() as (ws, peer):
        if is_one_frame:
            whole = frame(TEXT, b"legal \xf4\x90 and much more", mask=peer.mask)
            head = len(whole) - 15
            pieces = whole[:head], whole[head : head + 1]
        else:
            pieces = (
                frame(TEXT, b"legal \xf4", fin=False, mask=peer.mask),
                frame(CONTINUATION, b"\x90", fin=False, mask=peer.mask),
            )
        await peer.send(pieces[0])
        with anyio.move_on_after(1) as waiting:
            await ws.receive()
        assert waiting.cancelled_caught, "so far it could become legal"
        await peer.send(pieces[1])
        with anyio.fail_after(1), pytest.raises(ProtocolViolation) as caught:
            await ws.receive()
        assert caught.value.code == 1007


# -- what is allowed -----------------------------------------------------------------


@both_sides
async def test_each_ping_is_answered_with_what_it_carries(opened: Opened):
    payloads = [b"", b"\x00\xff\xfe", *(b"%d" % n for n in range(10)), b"x" * 125]
    async with opened() as (ws, peer):
        for payload in payloads:
            await peer.send(frame(PING, payload, mask=peer.mask))
            await peer.send(frame(PONG, payload, mask=peer.mask))
        await peer.send(frame(TEXT, b"", mask=peer.mask))
        assert await ws.receive() == ""
        for payload in payloads:
            assert await peer.frame() == (PONG, payload)
        assert ws.pings == len(payloads)


@both_sides
async def test_characters_may_be_cut_between_frames_and_pings(opened: Opened):
    async with opened() as (ws, peer):
        for one in fragments(TEXT, TEXT_OF_ALL_LENGTHS.encode(), 1):
            await peer.send(frame(PING, mask=peer.mask), one(mask=peer.mask))
        await peer.send(*(one(mask=peer.mask) for one in fragments(BINARY, b"\xff", 1)))
        assert await ws.receive() == TEXT_OF_ALL_LENGTHS
        assert await ws.receive() == b"\xff"


@both_sides
async def test_a_long_message_comes_in_fragments_and_chops_that_do_not_fit(
    opened: Opened,
):
    message = TEXT_OF_ALL_LENGTHS * 2500

    async with opened(max_message_bytes=100_000) as (ws, peer):
        parts = fragments(TEXT, message.encode(), 1300)
        data = b"".join(one(mask=peer.mask) for one in parts)

        async def send() -> None:
            for at in range(0, len(data), 997):
                await peer.send(data[at : at + 997])

        async with anyio.create_task_group() as tg:
            tg.start_soon(send)
            assert await ws.receive() == message


@both_sides
async def test_a_legal_goodbye_is_remembered_and_answered(opened: Opened):
    codes = [*range(1000, 1004), *range(1007, 1014), 3000, 3999, 4000, 4999]
    goodbyes = [(code, "") for code in codes] + [(1000, "ä" * 61 + "x")]
    for goodbye in goodbyes:
        payload = close_payload(*goodbye)
        async with opened() as (ws, peer):
            await peer.send(frame(CLOSE, payload, mask=peer.mask))
            with pytest.raises(anyio.EndOfStream):
                await ws.receive()
            assert (ws.close_code, ws.close_reason) == goodbye
            assert await peer.frame() == (CLOSE, payload)
