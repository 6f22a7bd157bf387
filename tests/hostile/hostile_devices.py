"""Devices that want harm to a manager, and a manager with a program that is attacked."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import struct
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import anyio

from structiot.manager import (
    ConnectionEnd,
    Listener,
    Manager,
    MessageReceived,
    open_manager,
)
from structiot.manager.wire.dialects import LENGTH_16, WORDS, Dialect
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NativeDevice
from tests.hostile.attackers import dial
from tests.hostile.good_client import GoodDevice

UUID = "00000000-0000-4000-8000-000000000002"
GOOD = uuid.UUID("1862cfe1-5dab-4d8e-a946-50d6728f830f")
TYPES = ("light", "door")
DIALECTS = tuple(Dialect)
RESET = struct.pack("ii", 1, 0)
FILES = 16_384

Attack = Callable[[socket.socket], object]


@contextlib.contextmanager
def many_files() -> Iterator[None]:
    """Let this process open as many files as it may: both ends of all are here."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = FILES if hard == resource.RLIM_INFINITY else min(FILES, hard)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, wanted), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@asynccontextmanager
async def attacked(**given: Any) -> AsyncIterator[Manager]:
    """A manager with a listener of each dialect, whose program answers good devices."""
    listeners = [Listener(port=0, dialect=one) for one in DIALECTS if one != "D4"]
    async with (
        open_manager(
            TYPES,
            port=0,
            dialect="D4",
            listeners=[*listeners, *given.pop("listeners", ())],
            **given,
        ) as manager,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(send_back, manager)
        yield manager
        tg.cancel_scope.cancel()


async def send_back(manager: Manager) -> None:
    async with manager.events() as events:
        async for event in events:
            match event:
                case MessageReceived(client=client) if client.type == GoodDevice.type:
                    with contextlib.suppress(ConnectionEnd):
                        await client.send(event.data)


def good_device(manager: Manager) -> GoodDevice:
    return GoodDevice(manager.host, manager.port, GOOD)


def uri_of(manager: Manager, dialect: str) -> str:
    others = [one for one in DIALECTS if one != "D4"]
    index = 0 if dialect == "D4" else 1 + others.index(Dialect(dialect))
    host, port = manager.addresses[index]
    return f"tcp://{host}:{port}"


def join(uri: str, context: ssl.SSLContext | None = None) -> float:
    """Dial in as another good device, and give how long it took to be served."""
    device = GoodDevice("127.0.0.1", 0, uuid.uuid4())
    begun = time.monotonic()
    with dial("127.0.0.1", uri) as sock:
        if context is None:
            device.greet(sock)
        else:
            with context.wrap_socket(sock, server_hostname="127.0.0.1") as encrypted:
                device.greet(encrypted)
    return time.monotonic() - begun


def hang_up_rudely(sock: socket.socket) -> None:
    """Reset the connection."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
    sock.close()


# ------------------------------------------------------------ what they say


def info_of(dialect: str, text: bytes | None = None, device: str = UUID) -> bytes:
    """Say who one is, or what nobody is, as the dialect wraps it."""
    told = text if text is not None else Info(uuid=device, type="door").encode()
    if dialect == "D4":
        return len(told).to_bytes(2) + told
    if dialect != "structiot":
        return told
    if text is None:
        return NativeDevice(bytes(16)).tell_info(Info(uuid=device, type="door"))
    return b"I" + len(told).to_bytes(2) + told


def asked_by(dialect: str) -> int:
    """How long the question is, who one is."""
    if dialect == "structiot":
        return 3 + 18
    words = WORDS.get(Dialect(dialect), LENGTH_16)
    return len(words.ask_info) + (2 if dialect == "D4" else 0)


def read_question(sock: socket.socket, dialect: str) -> None:
    wanted = asked_by(dialect)
    while wanted:
        wanted -= len(sock.recv(wanted)) or wanted


@contextlib.contextmanager
def identified(
    source: str, uri: str, dialect: str, device: str = UUID
) -> Iterator[socket.socket]:
    with dial(source, uri) as sock:
        read_question(sock, dialect)
        sock.sendall(info_of(dialect, device=device))
        yield sock


def send_without_end(sock: socket.socket, block: bytes, most_bytes: int) -> int:
    """Send it again and again until the other side hangs up; give how much that was."""
    sent = 0
    with contextlib.suppress(OSError):
        while sent < most_bytes:
            sock.sendall(block)
            sent += len(block)
    return sent


def together(attack: Callable[[int], object], count: int) -> None:
    """Run an attack several times at once; what one fails with is raised."""
    with ThreadPoolExecutor(count) as threads:
        list(threads.map(attack, range(count)))


def client_hello() -> bytes:
    """Give the first flight of a TLS handshake."""
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = ssl.create_default_context().wrap_bio(
        incoming, outgoing, server_hostname="localhost"
    )
    with contextlib.suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    return outgoing.read()
