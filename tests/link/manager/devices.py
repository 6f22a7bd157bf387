"""Devices that dial in by hand: what is sent and read is said byte by byte."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import anyio
from anyio.abc import ByteStream

from structiot import Environment
from structiot.manager.client import ManagerClient
from structiot.manager.events import ClientRefused, ManagerEvent, MessageReceived
from structiot.manager.manager import Manager

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
OTHER = "00000000-0000-4000-8000-000000000002"


def info(uuid: str = UUID, kind: str = "light", data: str = "{}") -> bytes:
    return f"{uuid}##{kind}##{data}".encode()


async def the_client(manager: Manager) -> ManagerClient:
    with anyio.fail_after(10):
        while not manager.clients:  # noqa: ASYNC110 - virtual time
            await anyio.sleep(0.01)
    (client,) = manager.clients.values()
    return client


def data_of(event: ManagerEvent) -> bytes:
    assert isinstance(event, MessageReceived)
    return event.data


def client_of(event: ManagerEvent) -> ManagerClient:
    assert not isinstance(event, ClientRefused)
    assert isinstance(event.client, ManagerClient)
    return event.client


class Device:
    """A connection to a manager."""

    def __init__(self, stream: ByteStream) -> None:
        self.stream = stream

    async def send(self, data: bytes) -> None:
        await self.stream.send(data)

    async def read(self, expected: bytes) -> None:
        """Read just this."""
        found = b""
        with anyio.fail_after(120):
            while len(found) < len(expected):
                found += await self.stream.receive(len(expected) - len(found))
        assert found == expected

    async def read_to_the_end(self) -> bytes:
        found = b""
        with anyio.fail_after(600):
            while True:
                try:
                    found += await self.stream.receive()
                except (anyio.EndOfStream, anyio.BrokenResourceError):
                    return found


@asynccontextmanager
async def dialled_in(
    environment: Environment, port: int = 8595
) -> AsyncGenerator[Device]:
    stream = await environment.network.connect_tcp("127.0.0.1", port)
    async with stream:
        yield Device(stream)


@asynccontextmanager
async def known_device(
    environment: Environment, told: bytes = info(), asks: bytes = b"\x01"
) -> AsyncGenerator[Device]:
    """A device that has said who it is."""
    async with dialled_in(environment) as device:
        await device.read(asks)
        await device.send(told)
        await anyio.sleep(0.01)
        yield device
