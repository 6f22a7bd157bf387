"""A SENERGY platform that wants harm: over HTTP, in any of its answers, and by its tokens."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from structiot._kit.net.network import LOST
from structiot._kit.redact import Secret
from structiot.connector import Connecting, Connector, Ended, Waiting
from structiot.connector.wire.parts import check_cost
from structiot.connector.wire.senergy import (
    decode_device,
    decode_hub,
    decode_tokens,
    subject_of,
)
from structiot.errors import ProtocolViolation
from structiot.sim import SenergySim
from structiot.testing.clock import virtual_backend
from tests.conftest import WatchedLoop
from tests.link.connector.gateways import until_state
from tests.link.connector.senergy_house import (
    connector_of,
    lamp,
    pool,
    senergy,
)

pytestmark = pytest.mark.virtual_time

LIAR = "10.0.0.66"
MEGABYTE = 1_048_576
BOMB = gzip.compress(bytes(20_000_000), 1)
OK = b"HTTP/1.1 200 OK\r\n"
Serve = Callable[[ByteStream], Awaitable[None]]


# ---------------------------------------------------------------- replies without an end


async def endless_body(stream: ByteStream) -> None:
    await stream.send(OK + b"\r\n[")
    while True:
        await stream.send(b"0," * 30_000)


async def endless_chunks(stream: ByteStream) -> None:
    await stream.send(OK + b"Transfer-Encoding: chunked\r\n\r\n")
    while True:
        await stream.send(b"1\r\n \r\n" * 1000)


async def endless_head(stream: ByteStream) -> None:
    await stream.send(OK)
    while True:
        await stream.send(b"X: y\r\n" * 1000)


async def endless_line(stream: ByteStream) -> None:
    await stream.send(OK + b"X: ")
    while True:
        await stream.send(b"x" * 10_000)


async def endless_patience(stream: ByteStream) -> None:
    while True:
        await stream.send(b"HTTP/1.1 100 Continue\r\n\r\n" * 100)


async def a_gigabyte(stream: ByteStream) -> None:
    await stream.send(OK + b"Content-Length: 1000000000\r\n\r\n")
    while True:
        await stream.send(bytes(65_536))


async def a_bomb(stream: ByteStream) -> None:
    head = b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(BOMB)
    await stream.send(OK + head + BOMB)


async def by_the_byte(stream: ByteStream) -> None:
    for byte in OK + b"Content-Length: 100\r\n\r\n" + bytes(100):
        await stream.send(bytes([byte]))
        await anyio.sleep(1)


async def silence(_: ByteStream) -> None:
    await anyio.sleep_forever()


ATTACKS: list[Serve] = [
    endless_body,
    endless_chunks,
    endless_head,
    endless_line,
    endless_patience,
    a_gigabyte,
    a_bomb,
    by_the_byte,
    silence,
]


@asynccontextmanager
async def liar(platform: SenergySim, attack: Serve) -> AsyncIterator[str]:
    """Answer each connection by an attack; give the address."""

    async def serve(stream: ByteStream) -> None:
        with suppress(*LOST):
            await stream.receive()
            await attack(stream)

    network = platform.environment.network
    async with (
        network.listen_tcp(LIAR, 80) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, serve)
        yield f"http://{LIAR}"
        tg.cancel_scope.cancel()


@pytest.mark.parametrize("what", ["token_url", "api_url"])
@pytest.mark.parametrize("attack", ATTACKS, ids=lambda one: one.__name__)
async def test_a_reply_without_an_end_costs_the_attempt_alone(
    attack: Serve, what: str, watched_loop: WatchedLoop
):
    async with senergy() as platform, liar(platform, attack) as url:
        address: dict[str, Any] = {what: f"{url}/token" if what == "token_url" else url}
        async with (
            watched_loop(0.05),
            connector_of(platform, is_ready=False, **address) as connector,
        ):
            began = anyio.current_time()
            for _ in range(2):
                waiting = await until_state(connector, Waiting)
                assert waiting.retry_at - anyio.current_time() < 120
                await until_state(connector, Connecting)
            assert anyio.current_time() - began < 120
            assert not isinstance(connector.state, Ended)
            assert connector.events_waiting == 0


# ---------------------------------------------------------------- any JSON at all

NAMES = [
    "id", "name", "hash", "device_local_ids", "device_ids", "owner_id", "attributes",
    "local_id", "device_type_id", "key", "value", "origin", "access_token", "sub",
    "expires_in", "refresh_token", "refresh_expires_in", "error",
]  # fmt: skip
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([0, -1, 10**400, 1e308, -0.0, 1.5]),
    st.sampled_from(["", "dev1", "dev2", "structiot", "lamp", "a.b.c", "a.e30.c"]),
    st.sampled_from(
        ["\ud800", "\x00", "\r\n", "urn:infai:ses:hub:1", "/+#", "x" * 300]
    ),
    st.text(max_size=5),
)
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(NAMES), inner, max_size=8),
    ),
    max_leaves=16,
)
BODIES = VALUES.map(lambda value: json.dumps(value).encode())


def edits(name: str, value: object) -> Callable[[bytes], bytes]:
    """Make a change of one member of a reply, or of each in a list."""

    def change(content: bytes) -> bytes:
        told = json.loads(content)
        for one in told if isinstance(told, list) else [told]:
            if isinstance(one, dict):
                one[name] = value
        return json.dumps(told).encode()

    return change


CHANGES = st.one_of(
    BODIES.map(lambda body: lambda _: body),
    st.builds(edits, st.sampled_from(NAMES), VALUES),
)


async def lied_to(lies: list[tuple[str, Callable[[bytes], bytes]]]) -> None:
    async with senergy() as platform:
        for on, change in lies:
            platform.faults.change_next(change, on=on)
        async with connector_of(platform, pool(lamp()), is_ready=False) as connector:
            await settle(platform, connector, "dev1")
            for on, change in lies:
                platform.faults.change_next(change, on=on)
            await connector.add(lamp("dev2"))
            await connector.update(lamp("dev1", "Other"))
            await settle(platform, connector, "dev1", "dev2")
            assert await connector.event("dev1", "power", 1)


async def settle(platform: SenergySim, connector: Connector, *devices: str) -> None:
    """Tell the truth from some moment on, and wait for all to be well."""
    with anyio.move_on_after(100):
        while platform.faults.waiting:  # noqa: ASYNC110 - nobody tells of it
            await anyio.sleep(1)
    platform.faults.clear()
    with anyio.fail_after(4000):
        while not connector.is_ready or not platform.online >= {*devices}:  # noqa: ASYNC110
            await anyio.sleep(1)


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
@settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    lies=st.lists(
        st.tuples(st.sampled_from(["token", "hubs", "devices"]), CHANGES), max_size=4
    )
)
def test_whatever_json_it_answers_all_is_well_once_it_tells_the_truth(backend, lies):
    with virtual_backend(backend) as (name, options):
        anyio.run(lied_to, lies, backend=name, backend_options=options)


@settings(max_examples=50)
@given(body=BODIES)
def test_whatever_json_it_answers_is_read_or_a_violation(body: bytes):
    with suppress(ProtocolViolation):
        check_cost(body)
    value = json.loads(body)
    for decode in (decode_hub, decode_device):
        with suppress(ProtocolViolation):
            decode(value)
    with suppress(ProtocolViolation):
        tokens = decode_tokens(body)
        assert tokens.expires_in_s >= 0
        subject_of(tokens.access)
    for text in [one for one in json.dumps(value).split('"') if one.isascii()]:
        with suppress(ProtocolViolation):
            assert subject_of(Secret(text))


@pytest.mark.parametrize("item", ["{}", "[]", "0", "1e-300", "9" * 4000, '""'])
@pytest.mark.parametrize("on", ["hubs", "devices"])
async def test_a_megabyte_of_anything_is_read_in_a_short_step(
    item: str, on: str, watched_loop: WatchedLoop
):
    body = f"[{','.join([item] * (MEGABYTE // (len(item) + 1) - 2))}]".encode()
    async with senergy() as platform:
        platform.faults.change_next(lambda _: body, on=on)
        async with watched_loop(0.05), connector_of(platform):
            assert platform.online == {"dev1", "dev2"}
