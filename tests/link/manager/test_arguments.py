"""What cannot be is refused in words, before anything is opened or sent."""

from __future__ import annotations

from typing import Any

import pytest

from structiot import Environment
from structiot.errors import ConfigError, UsageError
from structiot.manager import open_manager, open_manager_client
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, known_device

pytestmark = pytest.mark.virtual_time


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"types": "lamp"}, UsageError, "types is a list"),
        ({"types": [5]}, UsageError, "types"),
        ({"types": [""]}, UsageError, "has 0 characters"),
        ({"types": ["a##b"]}, UsageError, "has what no type may have"),
        ({"host": 5}, UsageError, "host is str"),
        ({"port": "8595"}, UsageError, "port is int or None"),
        ({"secrets": [UUID]}, UsageError, "secrets"),
        ({"secrets": {UUID: "x"}}, ConfigError, "none speaks our own dialect"),
    ],
)
async def test_a_manager_that_cannot_be(
    environment: Environment, arguments: dict[str, Any], error: type, said: str
):
    with pytest.raises(error, match=said):
        async with open_manager(environment=environment, **arguments):
            pass


async def test_a_device_that_cannot_be(environment: Environment):
    wrong: Any = [1]
    with pytest.raises(UsageError, match="data is Mapping or None"):
        async with open_manager_client(
            "127.0.0.1", uuid=UUID, type="lamp", data=wrong, environment=environment
        ):
            pass


@pytest.mark.parametrize("data", [5, None, {"a": 1}, ["x"]])
async def test_what_is_neither_text_nor_bytes_is_not_sent(
    environment: Environment, data: Any
):
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment),
        open_manager_client(
            "127.0.0.1", uuid=OTHER, type="light", environment=environment
        ) as ours,
    ):
        await ours.wait_connected()
        client = manager.clients[UUID]
        for send in (client.send, client.request, manager.send_all, ours.send):
            with pytest.raises(UsageError, match="data is str, bytes"):
                await send(data)
        with pytest.raises(UsageError, match="data is str, bytes"):
            await manager.send(client.uuid, data)
        with pytest.raises(UsageError, match="handler is an async function"):
            await manager.serve(data)
