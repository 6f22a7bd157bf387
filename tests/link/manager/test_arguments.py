"""What cannot be is refused in words, before anything is opened or sent."""

from __future__ import annotations

import math
import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from structiot import Environment
from structiot.errors import ConfigError, UsageError
from structiot.manager import (
    Listener,
    ManagedDevice,
    Manager,
    ManagerClient,
    ManagerLimits,
    open_backplane,
    open_manager,
    open_manager_client,
)
from structiot.sim import sim_devices
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, known_device

pytestmark = pytest.mark.virtual_time


OWN: Any = {"dialect": "structiot"}
WRONG: Any = [5]


def limited(**limits: Any) -> dict[str, Any]:
    return {"limits": ManagerLimits(**limits)}


TWICE = {UUID: "x", UUID.upper(): "y"}
OF_CLIENT = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
OF_SERVER = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
DEEP: Any = {}
for _ in range(100_000):
    DEEP = {"a": DEEP}


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"types": "lamp"}, UsageError, "types is a list"),
        ({"types": [5]}, UsageError, "types"),
        ({"types": []}, UsageError, "no type is taken"),
        ({"types": [""]}, UsageError, "has 0 characters"),
        ({"types": ["a##b"]}, UsageError, "has what no type may have"),
        ({"host": 5}, UsageError, "host is str"),
        ({"dialect": "D9"}, ConfigError, "no dialect 'D9'; there are D0"),
        ({"dialect": [4]}, ConfigError, r"no dialect \[4\]"),
        ({"ssl_context": OF_CLIENT}, UsageError, "TLS of a server, not of a client"),
        ({"listeners": [Listener(ssl_context=OF_CLIENT)]}, UsageError, "of a listener"),
        ({"port": "8595"}, UsageError, "port is int or None"),
        ({"secrets": [UUID]}, UsageError, "secrets"),
        ({"secrets": {UUID: "x"}}, ConfigError, "none speaks our own dialect"),
        ({"heartbeat_s": "5"}, UsageError, "heartbeat_s is float"),
        ({"heartbeat_s": math.inf}, ConfigError, "heartbeat_s is a number of seconds"),
        ({"reply_s": math.nan}, ConfigError, "reply_s is a number of seconds"),
        ({**OWN, "secrets": {UUID: ""}}, ConfigError, "a secret is empty"),
        ({**OWN, "secrets": {UUID: 5}}, UsageError, "a secret is str, bytes or Secret"),
        ({**OWN, "secrets": {UUID: "\ud800"}}, ConfigError, "half a character"),
        ({**OWN, "secrets": {5: "x"}}, UsageError, "UUIDs of secrets is str"),
        ({"listeners": 5}, UsageError, "listeners is a list"),
        ({"listeners": ["x"]}, UsageError, "each of listeners is Listener"),
        (
            {"listeners": [Listener(port=WRONG)]},
            UsageError,
            "port of a listener is int",
        ),
        ({"listeners": [Listener(WRONG)]}, UsageError, "host of a listener is str"),
        (limited(connections=0), ConfigError, "connections is 1 or more"),
        (limited(unidentified=-1), ConfigError, "unidentified is 1 or more"),
        (limited(per_address=0), ConfigError, "per_address is 1 or more"),
        (limited(waiting_bytes="x"), UsageError, "waiting_bytes is int"),
        (limited(stall_s=0), ConfigError, "stall_s is a number of seconds"),
        (limited(replacements=-1), ConfigError, "replacements is 0 or more"),
        ({**OWN, "secrets": TWICE}, ConfigError, "two secrets are of one UUID"),
    ],
)
async def test_a_manager_that_cannot_be(
    environment: Environment, arguments: dict[str, Any], error: type, said: str
):
    with pytest.raises(error, match=said):
        async with open_manager(environment=environment, **arguments):
            pass


@pytest.mark.parametrize(
    ("arguments", "error", "said"),
    [
        ({"data": [1]}, UsageError, "data is Mapping or None"),
        ({"data": DEEP}, UsageError, "cannot be written as JSON"),
        ({"data": {"a": [[]] * 300}}, UsageError, "302 brackets, 256 at most"),
        ({"host": 5}, UsageError, "host is str"),
        ({"port": "8595"}, UsageError, "port is int"),
        ({"port": 0}, UsageError, "port is from 1 to 65535"),
        ({"port": 70_000}, UsageError, "port is from 1 to 65535"),
        ({"ssl_context": OF_SERVER}, UsageError, "TLS of a client, not of a server"),
        ({"uuid": 5}, UsageError, "uuid is str"),
        ({"type": 5}, UsageError, "type is str"),
        ({"secret": ""}, ConfigError, "a secret is empty"),
        ({"heartbeat_s": "60"}, UsageError, "heartbeat_s is float"),
        ({"heartbeat_s": -5}, ConfigError, "heartbeat_s is a number of seconds"),
        ({"max_items": 0}, UsageError, "at least one item"),
    ],
)
async def test_a_device_that_cannot_be(
    environment: Environment, arguments: dict[str, Any], error: type, said: str
):
    given = {"host": "127.0.0.1", "uuid": UUID, "type": "lamp", **arguments}
    with pytest.raises(error, match=said):
        async with open_manager_client(environment=environment, **given):
            pass


@pytest.mark.parametrize("dialect", ["d4", "Structiot"])
async def test_a_dialect_is_named_in_any_case(environment: Environment, dialect: str):
    given: Any = {"environment": environment, "dialect": dialect}
    async with (
        open_manager(**given) as manager,
        open_manager_client("127.0.0.1", uuid=UUID, type="lamp", **given) as ours,
        sim_devices(uuids=[OTHER], **given),
        manager.events() as events,
    ):
        await ours.wait_connected()
        while len(manager.clients) < 2:
            await anext(events)


async def nothing(client: ManagerClient) -> None:
    """Do nothing with a device."""


async def test_a_type_that_is_not_taken_is_sent_nothing(environment: Environment):
    types: Any = ["lamp"]
    async with open_manager(types, environment=environment) as manager:
        with pytest.raises(UsageError, match="no type 'lmap' is taken, only lamp"):
            await manager.send_type("lmap", "on")
        with pytest.raises(UsageError, match="type is str or None, not list"):
            await manager.serve(nothing, types)


@asynccontextmanager
async def both_sides(
    environment: Environment,
) -> AsyncGenerator[tuple[Manager, ManagedDevice]]:
    """A manager, a device that it knows, and one of ours."""
    async with (
        open_manager(environment=environment) as manager,
        known_device(environment),
        open_manager_client(
            "127.0.0.1", uuid=OTHER, type="light", environment=environment
        ) as ours,
    ):
        await ours.wait_connected()
        yield manager, ours


async def test_what_is_no_text_is_refused_and_costs_no_connection(
    environment: Environment,
):
    wrong: Any = 5
    text: Any = "5"
    async with both_sides(environment) as (manager, ours):
        client = manager.clients[UUID]
        for send in (client.send, client.request, manager.send_all, ours.send):
            with pytest.raises(UsageError, match="half a character"):
                await send("\ud800")
        with pytest.raises(UsageError, match="uuid is str"):
            await manager.send(wrong, "x")
        with pytest.raises(UsageError, match="reason is str"):
            await client.end(wrong)
        with pytest.raises(UsageError, match="quiet_s is a number of seconds"):
            await manager.fleet_told(-1)
        with pytest.raises(UsageError, match="max_items is int"):
            async with manager.events(max_items=text):
                pass
        with pytest.raises(UsageError, match="data is Mapping"):
            ours.describe(wrong)
        with pytest.raises(UsageError, match="heartbeat_s is float"):
            manager.heartbeat_s = text
        assert client.is_connected
        assert ours.is_connected


async def test_an_error_shows_no_secret(environment: Environment):
    exchanged = {"open sesame": UUID}
    with pytest.raises(UsageError, match="secrets stand behind UUIDs") as caught:
        async with open_manager(
            dialect="structiot", secrets=exchanged, environment=environment
        ):
            pass
    assert "sesame" not in str(caught.value)


@pytest.mark.parametrize("arguments", [{"node": 5}, {"node": b"x"}, {"name": 5}])
async def test_a_node_that_cannot_be(
    environment: Environment, arguments: dict[str, Any]
):
    with pytest.raises(UsageError, match="is str"):
        async with open_backplane(
            "mqtt://127.0.0.1", environment=environment, **arguments
        ):
            pass


@pytest.mark.parametrize("data", [5, None, {"a": 1}, ["x"]])
async def test_what_is_neither_text_nor_bytes_is_not_sent(
    environment: Environment, data: Any
):
    async with both_sides(environment) as (manager, ours):
        client = manager.clients[UUID]
        for send in (client.send, client.request, manager.send_all, ours.send):
            with pytest.raises(UsageError, match="data is str, bytes"):
                await send(data)
        with pytest.raises(UsageError, match="data is str, bytes"):
            await manager.send(client.uuid, data)
        with pytest.raises(UsageError, match="handler is an async function"):
            await manager.serve(data)
