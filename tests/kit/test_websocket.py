"""An open websocket: frames whole, in parts, in a heap, illegal, and its end."""

from __future__ import annotations

import anyio
import anyio.lowlevel
import pytest
from anyio.abc import SocketAttribute

from structiot._kit.net.memory import memory_pipe
from structiot._kit.websocket import accept_websocket, connect_websocket
from structiot.errors import LinkLost, ProtocolViolation, UsageError
from structiot.testing import cancel_sweep
from tests.kit.websocket_frames import (
    BINARY,
    CLOSE,
    CONTINUATION,
    PING,
    PONG,
    TEXT,
    close_payload,
    frame,
    websocket,
)

pytestmark = pytest.mark.virtual_time

# -- messages ------------------------------------------------------------------------


async def test_messages_travel_both_ways_and_keep_their_kind():
    async with websocket() as (ws, peer):
        assert ws.subprotocol == "mqtt"
        assert ws.headers["x-served-by"] == "hand"
        await ws.send("hä")
        await ws.send(b"\x00\xff")
        assert await peer.frame() == (TEXT, "hä".encode())
        assert await peer.frame() == (BINARY, b"\x00\xff")
        await peer.send(frame(TEXT, "hä".encode()), frame(BINARY, b"\x00"))
        assert await ws.receive() == "hä"
        assert await ws.receive() == b"\x00"


@pytest.mark.parametrize("size", [0, 125, 126, 65_535, 65_536])
async def test_every_length_of_a_frame_is_read_and_written(size: int):
    async with websocket(max_message_bytes=100_000) as (ws, peer):
        async with anyio.create_task_group() as tg:
            tg.start_soon(ws.send, b"x" * size)
            assert await peer.frame() == (BINARY, b"x" * size)
            tg.start_soon(peer.send, frame(BINARY, b"y" * size))
            assert await ws.receive() == b"y" * size


async def test_what_comes_with_the_handshake_is_not_lost():
    async with websocket(frame(BINARY, b"early"), frame(TEXT, b"bird")) as (ws, _):
        assert [await ws.receive(), await ws.receive()] == [b"early", "bird"]


async def test_fragments_with_a_ping_between_them_are_one_message():
    async with websocket() as (ws, peer):
        await peer.send(
            frame(BINARY, b"one ", fin=False),
            frame(PING, b"there?"),
            frame(CONTINUATION, b"two ", fin=False),
            frame(CONTINUATION, b"three"),
        )
        assert await ws.receive() == b"one two three"
        assert await peer.frame() == (PONG, b"there?")


async def test_a_message_that_comes_byte_by_byte_is_one_message():
    async with websocket() as (ws, peer):
        for byte in frame(TEXT, "zwölf".encode()):
            await peer.send(bytes([byte]))
            await anyio.wait_all_tasks_blocked()
        assert await ws.receive() == "zwölf"


async def test_pongs_that_nobody_asked_for_are_passed_over():
    async with websocket() as (ws, peer):
        await peer.send(frame(PONG, b"?"), frame(BINARY, b"x"))
        assert await ws.receive() == b"x"


async def test_whether_the_peer_is_there_is_seen_by_what_it_sends():
    async with websocket() as (ws, peer), anyio.create_task_group() as tg:
        tg.start_soon(ws.receive)
        asked_at = anyio.current_time()
        await ws.ping(b"there?")
        assert await peer.frame() == (PING, b"there?")
        await anyio.sleep(7)
        assert ws.heard_at <= asked_at
        await peer.send(frame(PONG, b"there?"))
        await anyio.wait_all_tasks_blocked()
        assert ws.heard_at == asked_at + 7
        assert ws.pings == 0
        await peer.send(frame(PING), frame(PING))
        assert [await peer.frame(), await peer.frame()] == [(PONG, b"")] * 2
        assert ws.pings == 2
        tg.cancel_scope.cancel()


async def test_a_receiver_that_is_cancelled_loses_no_part_of_a_message():
    async with websocket() as (ws, peer):
        await peer.send(frame(BINARY, b"one ", fin=False))
        with anyio.move_on_after(1):
            await ws.receive()
        await peer.send(frame(CONTINUATION, b"two"), frame(BINARY, b"next"))
        assert await ws.receive() == b"one two"
        assert await ws.receive() == b"next"


async def test_a_message_that_is_too_long_is_refused_before_all_of_it_is_here():
    async with websocket(max_message_bytes=10) as (ws, peer):
        await peer.send(frame(BINARY, b"12345678901")[:-1])
        await peer.send(b"1")
        with pytest.raises(ProtocolViolation, match="more than 10 bytes"):
            await ws.receive()
        assert await peer.frame() == (CLOSE, close_payload(1009, "too big"))
        with pytest.raises(anyio.ClosedResourceError):
            await ws.receive()


async def test_fragments_count_together():
    async with websocket(max_message_bytes=10) as (ws, peer):
        for opcode in (BINARY, CONTINUATION, CONTINUATION):
            await peer.send(frame(opcode, b"1234", fin=False))
        with pytest.raises(ProtocolViolation, match="more than 10 bytes"):
            await ws.receive()


# -- the end -------------------------------------------------------------------------


async def test_a_goodbye_is_read_though_the_ping_before_it_cannot_be_answered():
    async with websocket() as (ws, peer):
        await peer.send(frame(PING), frame(CLOSE, close_payload(1012, "restart")))
        await peer.stream.aclose()
        with pytest.raises(anyio.EndOfStream):
            await ws.receive()
        assert (ws.close_code, ws.close_reason) == (1012, "restart")


async def test_the_peers_goodbye_is_answered_and_remembered():
    async with websocket() as (ws, peer):
        goodbye = close_payload(1001, "going away")
        await peer.send(frame(CLOSE, goodbye), frame(BINARY, b"too late"))
        with pytest.raises(anyio.EndOfStream):
            await ws.receive()
        assert (ws.close_code, ws.close_reason) == (1001, "going away")
        assert await peer.frame() == (CLOSE, goodbye)
        with pytest.raises(anyio.ClosedResourceError):
            await ws.receive()
        with pytest.raises(LinkLost, match="closed"):
            await ws.send(b"x")


async def test_a_goodbye_without_a_code_is_one():
    async with websocket() as (ws, peer):
        await peer.send(frame(CLOSE))
        with pytest.raises(anyio.EndOfStream):
            await ws.receive()
        assert ws.close_code == 1005


async def test_our_goodbye_is_said_once():
    async with websocket() as (ws, peer):
        await ws.aclose(1001, "bye")
        await ws.aclose()
        assert await peer.frame() == (CLOSE, close_payload(1001, "bye"))
        await peer.end()


async def test_an_end_without_a_goodbye_is_link_lost():
    async with websocket() as (ws, peer):
        await peer.stream.aclose()
        with pytest.raises(LinkLost, match="without a close"):
            await ws.receive()


async def test_a_reset_is_link_lost_for_receiver_and_sender():
    async with websocket() as (ws, peer):
        peer.stream.reset()
        with pytest.raises(LinkLost, match="connection is lost"):
            await ws.receive()
        with pytest.raises(LinkLost, match="connection is lost"):
            await ws.send(b"x")


async def test_a_goodbye_to_a_peer_that_reads_nothing_is_given_up():
    async with websocket(buffer_bytes=200) as (ws, peer):
        peer.stream._inward.buffer += b"x" * 200
        await ws.aclose()
        assert anyio.current_time() == 1


async def test_an_answer_to_a_goodbye_does_not_wait_for_ever():
    async with websocket(buffer_bytes=200) as (ws, peer):
        peer.stream._inward.buffer += b"x" * 200
        await peer.send(frame(CLOSE, close_payload(1000)))
        with pytest.raises(anyio.EndOfStream):
            await ws.receive()
        assert anyio.current_time() == 1


async def test_closing_while_another_task_is_in_a_frame_does_not_wait_for_it():
    async with websocket(buffer_bytes=200) as (ws, _):

        async def write() -> None:
            with pytest.raises(LinkLost):
                await ws.send(b"x" * 1000)

        async with anyio.create_task_group() as tg:
            tg.start_soon(write)
            await anyio.wait_all_tasks_blocked()
            await ws.aclose()
        assert anyio.current_time() < 0.5


async def test_nothing_follows_a_frame_that_was_cut_off():
    async with websocket(buffer_bytes=200) as (ws, peer):
        with anyio.move_on_after(1):
            await ws.send(b"x" * 1000)
        with pytest.raises(LinkLost, match="cut off"):
            await ws.send(b"y")
        await ws.aclose()
        assert anyio.current_time() == 1
        received = b""
        with pytest.raises(anyio.EndOfStream):
            while True:
                received += await peer.stream.receive()
        assert len(received) == 200


async def test_cancelled_anywhere_both_ends_close():
    async def flow() -> None:
        near, far = memory_pipe(buffer_bytes=150)

        async def serve() -> None:
            ws = await accept_websocket(far, subprotocols=["mqtt"])
            try:
                await ws.send(await ws.receive())
            finally:
                await ws.aclose()

        async with near, far, anyio.create_task_group() as tg:
            tg.start_soon(serve)
            ws = await connect_websocket(near, host="h", subprotocols=["mqtt"])
            try:
                await ws.send(b"x" * 400)
                assert await ws.receive() == b"x" * 400
                with pytest.raises(anyio.EndOfStream):
                    await ws.receive()
            finally:
                await ws.aclose()

    assert await cancel_sweep(flow) > 10


# -- as a stream of bytes ------------------------------------------------------------


async def test_binary_frames_are_a_stream_whatever_their_bounds():
    async with websocket() as (ws, peer):
        stream = ws.as_byte_stream()
        await peer.send(
            frame(BINARY, b"one", fin=False),
            frame(CONTINUATION, fin=False),
            frame(CONTINUATION, b"two"),
            frame(BINARY, b"three"),
        )
        received = b""
        while len(received) < 11:
            part = await stream.receive(2)
            assert 1 <= len(part) <= 2
            received += part
        assert received == b"onetwothree"
        await stream.send(b"back")
        assert await peer.frame() == (BINARY, b"back")
        assert stream.extra(SocketAttribute.remote_port) == 2
        with pytest.raises(UsageError):
            await stream.send_eof()
        await stream.aclose()
        assert (await peer.frame())[0] == CLOSE


async def test_a_long_frame_is_given_out_as_it_arrives():
    async with websocket(max_message_bytes=10) as (ws, peer):
        stream = ws.as_byte_stream()
        await peer.send(frame(BINARY, b"x" * 1000)[:200])
        assert len(await stream.receive()) > 100


async def test_a_text_frame_in_a_stream_of_bytes_ends_it():
    async with websocket() as (ws, peer):
        stream = ws.as_byte_stream()
        await peer.send(frame(TEXT, b"hello"))
        with pytest.raises(anyio.BrokenResourceError) as caught:
            await stream.receive()
        assert isinstance(caught.value.__cause__, ProtocolViolation)
        assert "text frame" in str(caught.value.__cause__)
        code = close_payload(1003, "binary frames only")
        assert await peer.frame() == (CLOSE, code)


async def test_a_lost_stream_says_so_as_every_stream_does():
    async with websocket() as (ws, peer):
        stream = ws.as_byte_stream()
        peer.stream.reset()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.receive()
        with pytest.raises(anyio.BrokenResourceError):
            await stream.send(b"x")


async def test_frames_of_one_read_leave_others_a_turn():
    """Thousands of empty frames, of which none ends the wait."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            turns += 1
            await anyio.lowlevel.checkpoint()

    async with websocket() as (ws, peer):
        await peer.send(frame(BINARY) * 4000 + frame(BINARY, b"x"))
        async with anyio.create_task_group() as tg:
            tg.start_soon(other)
            assert await ws.receive_bytes() == b"x"
            tg.cancel_scope.cancel()
    assert turns > 100


@pytest.mark.parametrize("cancelled_at", range(1, 12))
async def test_frames_of_one_read_survive_a_cancelled_receiver(cancelled_at: int):
    data = bytes(range(100))
    async with websocket() as (ws, peer):
        await peer.send(*(frame(BINARY, bytes((byte,))) for byte in data))
        received = b""
        while len(received) < len(data):
            with anyio.CancelScope() as scope:
                for number in range(min(20, len(data) - len(received))):
                    if number == cancelled_at:
                        scope.cancel()
                    received += await ws.receive_bytes()
        assert received == data
