"""The devices in `examples/clients` against our server; they know nothing of structiot."""

from __future__ import annotations

import ast
import hashlib
import hmac
import runpy
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream, SocketAttribute
from anyio.streams.buffered import BufferedByteStream

from structiot._kit.flow.mailbox import Mailbox
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Manager,
    ManagerEvent,
    open_manager,
)
from structiot.sim import fault_proxy
from tests._support.interpreter import PYTHON
from tests._support.sources import ROOT
from tests.e2e.processes import Running, running

pytestmark = pytest.mark.e2e
CLIENTS = ROOT / "examples" / "clients"
UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
SECRET = "a word"
# What MicroPython has on every board.
MODULES = {"hashlib", "json", "os", "random", "socket", "sys", "time"}
FILES = {"D0": "device_d0.py", "structiot": "device_structiot.py"}


@pytest.fixture(params=FILES)
def dialect(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@asynccontextmanager
async def served(
    dialect: str, **settings: Any
) -> AsyncGenerator[tuple[Manager, Mailbox[ManagerEvent]]]:
    secrets = {UUID: SECRET} if dialect == "structiot" else None
    async with (
        open_manager(
            ["lamp"], port=0, dialect=dialect, secrets=secrets, **settings
        ) as manager,
        manager.events() as events,
    ):
        yield manager, events


def device(dialect: str, port: int, secret: str = SECRET):
    program = [*PYTHON, "-u", str(CLIENTS / FILES[dialect])]
    words = [secret] if dialect == "structiot" else []
    return running(*program, "127.0.0.1", str(port), UUID, *words)


async def connected(events: Mailbox[ManagerEvent], program: Running) -> ClientConnected:
    try:
        with anyio.fail_after(30):
            async for event in events:
                if isinstance(event, ClientConnected):
                    return event
    except TimeoutError:
        pass
    raise AssertionError(program.lines + program.errors)


async def test_it_says_who_it_is_and_does_as_it_is_told(dialect):
    async with (
        served(dialect) as (manager, events),
        device(dialect, manager.port) as program,
    ):
        lamp = (await connected(events, program)).client
        assert (lamp.uuid, lamp.type) == (UUID, "lamp")
        assert lamp.data.data == {"is_on": False}
        with anyio.fail_after(30):
            assert await lamp.request("toggle") == b'{"is_on": true}'
            assert await lamp.request("nonsense") == (
                b'{"error": "on, off, toggle or state"}'
            )
            info = await lamp.refresh_info()
            assert info.data == {"is_on": True}
            assert 0 <= await lamp.heartbeat() < 30
            assert await lamp.request("state") == b'{"is_on": true}'
        await lamp.end("that is all")
        await program.until(lambda: [x for x in program.lines if "goodbye" in x])


async def test_it_answers_heartbeats_between_messages(dialect):
    async with (
        served(dialect, heartbeat_s=0.05, reply_s=2) as (manager, events),
        device(dialect, manager.port) as program,
    ):
        lamp = (await connected(events, program)).client
        for number in range(40):
            word = ("on", "off")[number % 2]
            with anyio.fail_after(10):
                assert await lamp.request(word) == (
                    b'{"is_on": %s}' % (b"false" if number % 2 else b"true")
                )
        assert lamp.is_connected


async def test_it_comes_again_when_the_connection_is_lost(dialect):
    async with (
        served(dialect) as (manager, events),
        fault_proxy("127.0.0.1", manager.port) as way,
        device(dialect, way.address[1]) as program,
    ):
        await connected(events, program)
        way.cut()
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        lamp = (await connected(events, program)).client
        with anyio.fail_after(30):
            assert await lamp.request("on") == b'{"is_on": true}'


@pytest.mark.parametrize("secret", ["a guess", ""], ids=["wrong", "none"])
async def test_without_the_secret_it_is_not_taken(secret):
    async with (
        served("structiot") as (manager, events),
        device("structiot", manager.port, secret) as program,
    ):
        with anyio.fail_after(30):
            refused = await anext(events)
        assert isinstance(refused, ClientRefused)
        await program.until(lambda: [x for x in program.lines if "goodbye" in x])


async def test_it_believes_no_server_that_does_not_know_the_secret():
    async with (
        open_manager(["lamp"], port=0, dialect="structiot") as manager,
        device("structiot", manager.port) as program,
    ):
        await program.until_line("goodbye: the server does not know our secret")


@pytest.mark.parametrize("file", FILES.values())
def test_it_imports_only_what_micropython_has(file):
    tree = ast.parse((CLIENTS / file).read_text("utf-8"))
    found = {
        name.name
        for node in ast.walk(tree)
        if isinstance(node, ast.Import)
        for name in node.names
    }
    assert found <= MODULES
    assert not [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)]


class Pieces:
    """A socket whose peer says this, piece by piece, and hangs up."""

    def __init__(self, *pieces: bytes) -> None:
        self.pieces, self.said = [*pieces, b""], b""

    def recv(self, _: int) -> bytes:
        return self.pieces.pop(0)

    def sendall(self, data: bytes) -> None:
        self.said += data


@pytest.mark.parametrize(
    ("pieces", "said", "is_goodbye"),
    [
        ([b"\x02on\x02"], b'beatbeat{"is_on": true}', False),
        ([b"on", b"off"], b'{"is_on": true}{"is_on": false}', False),
        ([b"en", b"d", b"\n"], b"", True),
        ([b"\x02\x02", b"end\n"], b"beatbeat", True),
        ([b"en", b"ough"], b'{"error": "on, off, toggle or state"}', False),
        ([], b"", False),
    ],
)
def test_words_without_frames_are_told_apart_as_far_as_they_can(
    pieces, said, is_goodbye
):
    listen = runpy.run_path(str(CLIENTS / "device_d0.py"))["listen"]
    server = Pieces(*pieces)
    assert listen(server, UUID) is is_goodbye
    assert server.said == said


@pytest.mark.parametrize("length", [0, 1, 63, 64, 65, 200])
def test_its_hmac_is_that_of_the_standard(length):
    ours = runpy.run_path(str(CLIENTS / "device_structiot.py"))["hmac_sha256"]
    key = bytes(range(length))
    assert ours(key, b"words") == hmac.digest(key, b"words", hashlib.sha256)


def frame(kind: bytes, payload: bytes) -> bytes:
    return kind + len(payload).to_bytes(2) + payload


class Server:
    """A server by hand that acknowledges nothing."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = BufferedByteStream(stream)

    async def read(self, kind: bytes) -> bytes:
        with anyio.fail_after(15):
            head = await self.stream.receive_exactly(3)
            payload = await self.stream.receive_exactly(int.from_bytes(head[1:]))
        assert head[:1] == kind, (head, payload)
        return payload

    async def welcome(self) -> None:
        await self.stream.send(frame(b"H", b"\x01\x00" + bytes(16)))
        await self.read(b"I")
        await self.stream.send(frame(b"W", b"\x00\x3c"))


async def test_what_was_not_acknowledged_comes_again_and_is_obeyed_once():
    toggle = frame(b"D", bytes(7) + b"\x01toggle")
    answers: list[bytes] = []

    async def serve(stream: ByteStream) -> None:
        async with stream:
            server = Server(stream)
            await server.welcome()
            if not answers:
                await stream.send(toggle)
                assert await server.read(b"A") == bytes(7) + b"\x01"
                answers.append(await server.read(b"D"))
                return
            answers.append(await server.read(b"D"))
            await stream.send(frame(b"A", answers[0][:8]) + toggle)
            # It says that it has it, as before, and does not obey it again.
            assert await server.read(b"A") == bytes(7) + b"\x01"
            await stream.send(frame(b"D", bytes(7) + b"\x02state"))
            assert await server.read(b"A") == bytes(7) + b"\x02"
            answers.append(await server.read(b"D"))
            listening.cancel()

    listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
    port = listener.extra(SocketAttribute.local_port)
    with anyio.CancelScope() as listening:
        async with listener, device("structiot", port, secret=""):
            await listener.serve(serve)
    first, again, then = answers
    assert first[8:] == b'{"is_on": true}'
    assert again == first
    assert then[8:] == b'{"is_on": true}'
