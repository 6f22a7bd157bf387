"""Names that have several addresses: which one is taken, and what is left behind."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.abc
import pytest

from structiot._kit.net.by_name import connect_by_name
from structiot._kit.net.connecting import connect
from structiot._kit.net.network import REAL_NETWORK
from structiot.errors import ConnectFailed

# Of these, one listens; a connection to the others is refused at once.
HOSTS = ["127.0.0.3", "127.0.0.4", "127.0.0.5"]
NAME = "house.example"
CONNECT = "structiot._kit.net.by_name.connect"


@contextmanager
def listening(host: str) -> Iterator[int]:
    with socket.socket() as one:
        one.bind((host, 0))
        one.listen()
        yield one.getsockname()[1]


@pytest.fixture
def addresses(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, str]]:
    """What the name has, to be filled by the test."""
    found: list[tuple[int, str]] = []

    async def getaddrinfo(host: str, port: int, **_: Any) -> list[Any]:
        assert host == NAME
        await anyio.lowlevel.checkpoint()
        return [
            (family, socket.SOCK_STREAM, 6, "", (address, port))
            for family, address in found
        ]

    monkeypatch.setattr(anyio, "getaddrinfo", getaddrinfo)
    return found


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.mark.parametrize("position", [0, 1, 2])
async def test_the_address_that_answers_is_taken(addresses, position: int):
    addresses += [(socket.AF_INET, host) for host in HOSTS]
    with listening(HOSTS[position]) as port:
        before = open_files()
        with anyio.fail_after(5):
            stream = await connect_by_name(NAME, port)
        remote = stream.extra(anyio.abc.SocketAttribute.remote_address)
        assert remote == (HOSTS[position], port)
        assert open_files() == before + 1
        await stream.aclose()
        assert open_files() == before


async def test_one_that_does_not_answer_is_not_waited_for(addresses, monkeypatch):
    addresses += [(socket.AF_INET, host) for host in HOSTS[:2]]

    async def slow(address: Any, family: Any) -> Any:
        if address[0] == HOSTS[0]:
            await anyio.sleep_forever()
        return await connect(address, family)

    monkeypatch.setattr(CONNECT, slow)
    with listening(HOSTS[1]) as port, anyio.fail_after(5):
        async with await connect_by_name(NAME, port) as stream:
            remote = stream.extra(anyio.abc.SocketAttribute.remote_address)
            assert remote == (HOSTS[1], port)


async def test_the_families_alternate(addresses, monkeypatch):
    addresses += [(socket.AF_INET6, name) for name in ("6a", "6b", "6a")]
    addresses += [(socket.AF_INET, name) for name in ("4a", "4b")]
    tried = []

    async def refused(address: Any, family: Any) -> Any:
        tried.append(address[0])
        await anyio.lowlevel.checkpoint()
        raise ConnectionRefusedError(111, "Connection refused")

    monkeypatch.setattr(CONNECT, refused)
    with pytest.raises(ConnectFailed, match=r"house\.example:5: connection refused$"):
        await REAL_NETWORK.connect_tcp(NAME, 5)
    assert tried == ["6a", "4a", "6b", "4b"]


async def test_who_is_cancelled_leaves_nothing(addresses, monkeypatch):
    addresses += [(socket.AF_INET, host) for host in HOSTS]

    async def never(address: Any, family: Any) -> Any:
        await anyio.sleep_forever()

    monkeypatch.setattr(CONNECT, never)
    before = open_files()
    with anyio.move_on_after(0.05) as scope:
        await connect_by_name(NAME, 5)
    assert scope.cancelled_caught
    assert open_files() == before
