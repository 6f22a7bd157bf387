"""The original iot-manager and its client, unmodified, with our client and our manager."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.streams.buffered import BufferedByteReceiveStream

from structiot.manager.device_client import open_manager_client
from structiot.manager.events import (
    ClientConnected,
    ClientDisconnected,
    MessageReceived,
)
from structiot.manager.opening import open_manager
from tests._support.environments import PythonEnvironment
from tests._support.ports import free_port
from tests.originals.conftest import MANAGER_005, MANAGER_035, MANAGER_CLIENT

pytestmark = pytest.mark.e2e

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
DATA = {"key_1": "data_1"}


class Told:
    """What an original says that happens."""

    def __init__(self, lines: BufferedByteReceiveStream) -> None:
        self._lines = lines

    async def next(self, event: str) -> dict[str, Any]:
        with anyio.fail_after(20):
            while True:
                line = await self._lines.receive_until(b"\n", 65_536)
                found: dict[str, Any] = json.loads(line) if line[:1] == b"{" else {}
                if found.get("event") == event:
                    return found


@asynccontextmanager
async def original(
    package: PythonEnvironment, driver: str, *words: object
) -> AsyncGenerator[Told]:
    command = [str(package.python), str(Path(__file__).with_name(driver))]
    command += [str(word) for word in words]
    async with await anyio.open_process(command, stderr=None) as process:
        assert process.stdout is not None
        try:
            yield Told(BufferedByteReceiveStream(process.stdout))
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("package", "version", "dialect"),
    [
        pytest.param(MANAGER_005, "0.0.5", "D1", id="0.0.5"),
        pytest.param(MANAGER_035, "0.0.35", "D4", id="0.0.35"),
    ],
)
async def test_our_client_dials_in_to_the_original(package, version, dialect):
    port = free_port()
    driver = "drive_iot_manager.py"
    async with original(package, driver, version, port) as told:
        await told.next("listens")
        async with open_manager_client(
            "127.0.0.1", port, uuid=UUID, type="test", data=DATA
        ) as device:
            with anyio.fail_after(20):
                await device.wait_connected()
                assert device.dialect == dialect
                found = await told.next("connect")
                assert (found["uuid"], found["type"]) == (UUID, "test")
                assert found["data"] == DATA
                assert await anext(aiter(device)) == b"hello client"
                await device.send("hello server")
                assert (await told.next("message"))["text"] == "hello server"
            if version == "0.0.5":
                # Two heartbeats long; after its first message 0.0.35 is dead.
                await anyio.sleep(7)
                assert device.is_connected
                assert (await told.next("pool"))["size"] == 1


async def test_the_original_client_dials_in_to_us():
    async with (
        open_manager(
            ["test"], port=0, dialect="D4", heartbeat_s=1, reply_s=5
        ) as manager,
        manager.events() as events,
        original(
            MANAGER_CLIENT, "drive_iot_manager_client.py", manager.port, UUID
        ) as told,
    ):
        await told.next("connect")
        with anyio.fail_after(20):
            connected = await anext(events)
            assert isinstance(connected, ClientConnected)
            client = connected.client
            assert client.data.get() == {"uuid": UUID, "type": "test", "data": DATA}
            assert await manager.send_string(UUID, "hello client")
            assert (await told.next("message"))["text"] == "hello client"
            message = await anext(events)
            assert isinstance(message, MessageReceived)
            assert message.data == b"hello server"
            assert (await client.refresh_info()).data == DATA
            assert await client.heartbeat() < 5
            await anyio.sleep(3)
            assert client.is_connected
            await client.end()
            await told.next("disconnect")
            assert isinstance(await anext(events), ClientDisconnected)
