"""Our own dialect as a writer of firmware finds it on its page: byte by byte, by other means."""

from __future__ import annotations

import hmac
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Final

import anyio
import pytest

from structiot import Environment
from structiot.errors import Overflowed, ProtocolViolation
from structiot.manager import ClientDisconnected, InvalidInfo, Manager, open_manager
from structiot.manager.wire.events import InfoAsked
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NativeDevice, NativeServer
from structiot.testing import MemoryNetwork
from tests._support.sources import ROOT
from tests.link.manager.devices import OTHER, UUID, Device

pytestmark = pytest.mark.virtual_time

SECRET: Final = "Schl\u00fcssel"
TYPE_AND_DATA: Final = b"\x04lamp{}"


def frame(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + len(payload).to_bytes(2) + payload


class Firmware(Device):
    """A device that knows nothing but the page."""

    nonce: bytes = b""

    async def frame(self) -> tuple[bytes, bytes]:
        with anyio.fail_after(300):
            head = await self._exactly(3)
            return head[:1], await self._exactly(int.from_bytes(head[1:]))

    async def _exactly(self, count: int) -> bytes:
        found = b""
        while len(found) < count:
            found += await self.stream.receive(count - len(found))
        return found

    def proof(self, who: str, nonce: bytes, told: bytes) -> bytes:
        message = f"structiot {who}".encode() + self.nonce + nonce + told
        return hmac.digest(SECRET.encode("utf-8"), message, "sha256")

    async def say_who(self, nonce: bytes, rest: bytes, uuid: str = UUID) -> bytes:
        told = bytes.fromhex(uuid.replace("-", "")) + rest
        proof = self.proof("device", nonce, told)
        head = b"\x01" + told[:16] + nonce + bytes((len(proof),))
        await self.send(frame(b"I", head + proof + rest))
        return told


@asynccontextmanager
async def taken(
    **settings: Any,
) -> AsyncIterator[tuple[Manager, Firmware]]:
    environment = Environment(network=MemoryNetwork())
    async with open_manager(
        dialect="structiot",
        secrets={UUID: SECRET},
        environment=environment,
        **settings,
    ) as manager:
        stream = await environment.network.connect_tcp("127.0.0.1", 8595)
        async with stream:
            device = Firmware(stream)
            kind, hello = await device.frame()
            assert (kind, hello[:2]) == (b"H", b"\x01\x01")
            device.nonce = hello[2:18]
            nonce = b"d" * 16
            told = await device.say_who(nonce, TYPE_AND_DATA)
            proof = device.proof("server", nonce, told)
            assert await device.frame() == (b"W", b"\x00\x3c" + proof)
            yield manager, device


def examples() -> list[list[tuple[str, bytes]]]:
    """Read the exchanges of the page: who says which frame."""
    page = (ROOT / "docs" / "reference" / "manager_dialects.md").read_text("utf-8")
    found = []
    for block in re.findall(r"```text\n(.*?)```", page, re.DOTALL):
        lines = re.split(r"^(?=[SD] )", block, flags=re.MULTILINE)[1:]
        found.append([(one[0], bytes.fromhex(one[1:])) for one in lines])
    return found


def test_the_exchanges_of_the_page_are_ours():
    plain, proven = examples()
    server, device = NativeServer(bytes(range(16))), NativeDevice(bytes(range(16, 32)))
    info = Info(uuid=UUID, type="lamp", data={"a": 1})
    assert server.ask_info() == plain[0][1]
    device.feed(plain[0][1])
    assert device.tell_info(info) == plain[1][1]
    server.feed(plain[1][1])
    assert server.welcome(60) == plain[2][1]
    assert server.write(b"on", 258) == plain[3][1]
    assert device.acknowledge(258) == plain[4][1]

    secret = b"open sesame"
    server = NativeServer(bytes(range(16)), wants_proof=True)
    device = NativeDevice(bytes(range(16, 32)), secret=secret)
    assert server.ask_info() == proven[0][1]
    device.feed(proven[0][1])
    assert device.tell_info(info) == proven[1][1]
    server.feed(proven[1][1])
    assert server.is_proven_by(secret)
    assert server.welcome(60, secret) == proven[2][1]
    device.feed(proven[2][1])
    assert server.ask_info() == proven[3][1]
    server.feed(proven[4][1])
    assert server.is_proven_by(secret)
    assert not server.is_proven_by(b"another")
    assert [who for who, _ in proven] == ["S", "D", "S", "S", "D"]


@pytest.mark.parametrize("nonce", [b"d" * 16, b"e" * 16], ids=["same", "new"])
async def test_an_info_that_is_asked_for_again_has_a_proof_and_no_welcome(nonce):
    async with taken() as (manager, device), anyio.create_task_group() as tasks:
        client = manager.clients[UUID]
        tasks.start_soon(client.refresh_info)
        assert await device.frame() == (b"G", b"")
        await device.say_who(nonce, b'\x04lamp{"a":2}')
        await device.send(frame(b"P"))
        assert await device.frame() == (b"O", b"")
        assert client.data.data == {"a": 2}


async def test_an_info_of_another_device_ends_the_connection():
    async with taken() as (manager, device):
        client = manager.clients[UUID]

        async def refresh() -> None:
            with pytest.raises(InvalidInfo):
                await client.refresh_info()

        async with anyio.create_task_group() as tasks:
            tasks.start_soon(refresh)
            assert await device.frame() == (b"G", b"")
            await device.say_who(b"d" * 16, TYPE_AND_DATA, OTHER)
            assert (await device.frame())[0] == b"E"


async def test_a_kind_that_is_not_known_ends_the_connection():
    for sent in (frame(b"Z"), frame(b"H", b"\x01\x00" + bytes(16)), frame(b"W", b"12")):
        async with taken() as (manager, device), manager.events() as events:
            await device.send(sent)
            kind, reason = await device.frame()
            assert (kind, reason != b"") == (b"E", True)
            while not isinstance(gone := await anext(events), ClientDisconnected):
                pass
            assert gone.reason == reason.decode()


def test_an_unknown_kind_is_none_for_a_device_either():
    with pytest.raises(ProtocolViolation):
        NativeDevice(bytes(16)).feed(frame(b"Z"))


def test_a_hello_may_grow():
    device = NativeDevice(bytes(16))
    assert device.feed(frame(b"H", b"\x02\x00" + bytes(16) + b"and more")) != []


async def test_what_stands_in_a_ping_or_a_pong_is_passed_over():
    async with taken(heartbeat_s=60) as (manager, device):
        await device.send(frame(b"P", b"anything"))
        assert await device.frame() == (b"O", b"")
        for _ in range(3):
            assert await device.frame() == (b"P", b"")
            await device.send(frame(b"O", b"anything"))
            await anyio.sleep(20)
            assert manager.clients[UUID].is_connected
    side = NativeDevice(bytes(16))
    side.feed(frame(b"H", b"\x01\x00" + bytes(16)))
    side.tell_info(Info(uuid=UUID, type="lamp"))
    side.feed(frame(b"W", b"\x00\x3c"))
    assert side.feed(frame(b"G", b"anything")) == [InfoAsked()]


async def test_an_acknowledgement_that_nobody_waits_for_is_passed_over():
    async with taken() as (manager, device):
        await device.send(frame(b"A", bytes(7) + b"\x05"))
        await device.send(frame(b"P"))
        assert await device.frame() == (b"O", b"")
        assert manager.clients[UUID].is_connected


async def test_thirty_two_messages_are_under_way_in_each_direction():
    async with taken() as (manager, device):
        client = manager.clients[UUID]
        async with anyio.create_task_group() as tasks:
            for _ in range(33):
                tasks.start_soon(client.send, b"x")
            ids = [(await device.frame())[1][:8] for _ in range(32)]
            await device.send(frame(b"P"))
            assert await device.frame() == (b"O", b"")
            report = await manager.send_all(b"y")
            assert isinstance(report.failed[UUID], Overflowed)
            await device.send(frame(b"A", ids[0]))
            kind, message = await device.frame()
            assert (kind, message[8:]) == (b"D", b"x")
            for one in (*ids[1:], message[:8]):
                await device.send(frame(b"A", one))
        # A device that has more under way is not ended for it.
        sent = [(1000 + number).to_bytes(8) for number in range(40)]
        await device.send(b"".join(frame(b"D", one + b"z") for one in sent))
        assert [await device.frame() for _ in sent] == [(b"A", one) for one in sent]
