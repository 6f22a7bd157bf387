"""Managers that want harm to a device: they cost the connection, and nothing else."""

from __future__ import annotations

import contextlib
import socket
import time

import anyio
import pytest

from structiot.manager import open_manager_client
from structiot.manager.wire.dialects import WORDS, Dialect
from structiot.manager.wire.native import NativeServer
from tests.hostile.hostile_devices import DIALECTS, UUID, send_without_end
from tests.hostile.hostile_server import hostile_server

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

MB = 1_000_000
MOST_BYTES, MOST_WORDS = 24 * MB, 60_000
HELLO = NativeServer(bytes(16)).ask_info() + b"W\0\2\0\x3c"


@pytest.fixture
def attacker() -> str:
    """One address is enough: the device has no neighbour."""
    return "127.0.0.2"


FLOODS: dict[str, dict[str, bytes]] = {
    "D4": {
        "questions": b"\0\1\1",
        "heartbeats": b"\0\1\2",
        "empty messages": b"\0\0",
        "long messages": b"\xff\xff" + bytes(65_535),
    },
    "structiot": {
        "hellos": HELLO,
        "pings": b"P\0\0",
        "messages": b"D\0\x09\0\0\0\0\0\0\0\1x",
        "acknowledgements": b"A\0\x08\0\0\0\0\0\0\0\1",
        "another dialect": b"\0\1\1",
    },
    **{
        dialect: {
            "questions": WORDS[dialect].ask_info,
            "heartbeats": WORDS[dialect].ask_alive,
            "what is nearly one": b"e" if dialect == "D0" else b"\x01\xf8",
            "messages": b"x",
            "markers": WORDS[dialect].marker or b"\n",
        }
        for dialect in DIALECTS
        if not Dialect(dialect).is_framed
    },
}


@pytest.mark.parametrize(
    ("dialect", "what"),
    [(dialect, what) for dialect, floods in FLOODS.items() for what in floods],
)
async def test_a_manager_that_says_more_than_anybody_wants(
    watched, attacker, dialect, what
):
    flood = FLOODS[dialect][what]
    block = flood * (65_536 // len(flood) or 1)
    said = 0

    def serve(sock: socket.socket) -> None:
        nonlocal said
        sock.settimeout(2)
        with contextlib.suppress(OSError):
            sock.sendall(HELLO if dialect == "structiot" else b"")
            most = min(MOST_BYTES, MOST_WORDS * len(flood))
            said += send_without_end(sock, block, most)
            time.sleep(1)

    with hostile_server(attacker, serve) as port:
        async with watched(grows_mb=32, keeps_mb=24):
            async with open_manager_client(
                attacker, port, uuid=UUID, type="light", dialect=dialect
            ) as device:
                with anyio.fail_after(30):
                    while not said:  # noqa: ASYNC110 - of another thread
                        await anyio.sleep(0.05)
                await anyio.sleep(0.5)
                assert device.info.uuid == UUID
