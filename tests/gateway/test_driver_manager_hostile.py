"""Devices that dial in and say whatever they like: it harms nobody."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Iterable
from contextlib import AsyncExitStack
from functools import partial

import anyio
import anyio.lowlevel
import pytest

from structiot.gateway.entities.components import component_of
from structiot.gateway.entities.states import state_payload
from structiot.gateway.entities.told_members import (
    entity_of,
    members_in,
    object_in,
    path_of,
    state_of,
    text_in,
    value_at,
)
from structiot.gateway.entities.topics import Topics
from structiot.gateway.entities.typed import check_key
from structiot.model import BinarySensor, Sensor, Switch, Text
from tests.gateway.manager_house import OTHER, UUID, manager_house

pytestmark = pytest.mark.virtual_time

DEEP = 5000
LONGEST_STEP_S = 0.05
# So many may have said nothing yet, and what they say is more than waits for the gateway.
COMING_AT_ONCE = 1900
# What a member may be called, and what it may be, by people who mean no good.
NAMES = ["", "+", "#", "a/b", "\0", "\ud800", "\u202e", "x" * 5000, "ü" * 60, "message"]
VALUES = [
    *("\0", "\ud800", "\ud83d", "+/#", "x" * 16_000, "", " ", "\u202eevil", "None"),
    *(10**400, -(10**18), 1e308, -0.0, True, False, None),
    *([], {}, [1], {"a": {"b": {"c": {"d": 1}}}}),
]
TOPICS = Topics(base="t", discovery_prefix="ha")


def test_whatever_a_member_is_called_and_is_it_can_be_shown():
    taken: set[str] = set()
    for name in NAMES:
        for value in VALUES:
            for path, found in members_in({name: value}):
                entity = entity_of(path, found, taken)
                if entity is None:
                    continue
                check_key(entity.key)
                component_of(entity, device="d", unique_id="u", topics=TOPICS)
                for other in VALUES:
                    state_payload(entity, state_of(entity, other)).encode()
                json.dumps(
                    component_of(entity, device="d", unique_id="u", topics=TOPICS)
                )


@pytest.mark.parametrize(
    "entity",
    [
        Switch(key="x"),
        BinarySensor(key="x"),
        Sensor(key="x"),
        Sensor(key="x", unit="W", state_class="measurement", decimals=1),
        Text(key="x", min_length=1),
    ],
)
@pytest.mark.parametrize("value", VALUES)
def test_whatever_a_described_member_is_its_entity_can_be_it(entity, value):
    assert state_payload(entity, state_of(entity, value)).encode()


def test_two_members_never_have_one_key():
    members = ["a.b", "a b", "a#b", "a+b", "a_b", "A_B", "Ä", "Ö", "厨房", "浴室"]
    taken: set[str] = set()
    for name in members:
        entity = entity_of((name,), 1, taken)
        assert entity is not None
        assert entity.key not in taken
        taken.add(entity.key)
        # The same at each start, whatever came before.
        alone = entity_of((name,), 1, ())
        assert alone is not None
        assert alone.key == entity.key


@pytest.mark.parametrize(
    "message",
    [
        b'{"a":' * DEEP,
        b'{"a":' * DEEP + b"1" + b"}" * DEEP,
        b'{"a":' + b"[" * DEEP + b"]" * DEEP + b"}",
        b'{"a":' + b"9" * 10_000 + b"}",
        b"{" + b" " * 20_000 + b"}",
        b'{"a":1',
        b"[1]",
        b"",
        b"\xff\xfe\0",
    ],
)
def test_what_is_no_object_of_ordinary_size_is_a_text(message):
    assert object_in(message) is None
    assert len(text_in(message)) <= 1024
    assert text_in(message).isprintable()


def test_an_object_with_a_great_many_members_is_looked_at_in_part():
    wide = {str(n): {str(m): m for m in range(100)} for n in range(1000)}
    assert len(list(members_in(wide))) <= 256


@pytest.mark.parametrize(
    ("member", "value"),
    [("a.b", 1), ("/a/b", 1), ("/c~1d", 2), ("e.1", 4), ("/e/9", ...), ("a.b.c", ...)],
)
def test_members_are_found_by_dots_or_as_pointers(member, value):
    data = {"a": {"b": 1}, "c/d": 2, "e": [3, 4]}
    found = value_at(data, path_of(member))
    assert found == value or (value is ... and isinstance(found, object))
    if value is ...:
        assert state_of(Sensor(key="x"), found) is None


async def test_long_messages_full_of_members_do_not_hold_the_loop(
    environment, watched_loop
):
    said = json.dumps({f"m{n}": {"a": n, "b": [n]} for n in range(500)})[:16_000]
    whole = said[: said.rindex("},")] + "}}"
    async with manager_house(environment, {"dialect": "D4"}) as served:
        stream = await environment.network.connect_tcp("127.0.0.1", 8595)
        async with stream:
            await stream.receive()
            await stream.send(framed(f"{UUID}##lamp##{{}}".encode()))
            await anyio.sleep(5)
            async with watched_loop(LONGEST_STEP_S):
                for _ in range(50):
                    await stream.send(framed(whole.encode()) * 4)
                await anyio.sleep(5)
            assert served.available() == "online"
            assert len(served.components()) == 2 + 32


async def test_a_thousand_members_are_a_bounded_number_of_entities(environment):
    async with manager_house(environment) as served, served.device() as device:
        before = len(served.bench.seen)
        for start in range(0, 1000, 100):
            await device.say(
                json.dumps({f"m{n}": n for n in range(start, start + 100)})
            )
        assert len(served.components()) == 2 + 32
        announced = [t for t, _ in served.bench.seen[before:] if "homeassistant/" in t]
        assert len(announced) == 1


@pytest.mark.parametrize("name", NAMES)
async def test_names_and_texts_are_made_fit_to_be_shown(environment, name, caplog):
    # What the gateway's broker and everybody behind it is spared.
    data = {"name": name[:500], name[:500]: "\0\ud800\u202e", "ok": 1}
    async with manager_house(environment) as served, served.device(data) as device:
        assert served.available() == "online"
        assert served.state("ok") == "1"
        await device.say(b"\0\xff\x1b[31m+/#" + b"x" * 5000)
        (told,) = served.happened("message")
        assert len(told["text"]) <= 1024
        assert told["text"].isprintable()
        for topic, payload in served.bench.seen:
            assert topic.isprintable()
            assert not set("+#") & set(topic)
            assert payload.isprintable()
    assert "internal error" not in caplog.text


@pytest.mark.parametrize("kind", ["+/#+", "x" * 64, "a b", "厨房"])
async def test_whatever_a_type_is_it_is_only_a_word(environment, kind):
    async with manager_house(environment) as served, served.device(kind=kind):
        assert served.announced()["device"]["model"] == kind
        assert served.available() == "online"


async def test_who_floods_is_shown_and_so_are_all_others(environment):
    """A piece of 64 KB is more messages than the gateway holds."""
    async with manager_house(environment, {"dialect": "D4"}) as served:
        connect = environment.network.connect_tcp
        async with (
            await connect("127.0.0.1", 8595) as loud,
            await connect("127.0.0.1", 8595) as quiet,
        ):
            await loud.receive()
            await loud.send(framed(f"{UUID}##lamp##{{}}".encode()))
            await loud.send(framed(b"x") * 20_000)
            await quiet.receive()
            await quiet.send(framed(f"{OTHER}##lamp##{{}}".encode()))
            await loud.send(framed(b"x") * 20_000)
            await anyio.sleep(30)
            assert {served.available(), served.available(OTHER)} == {"online"}
            await quiet.send(framed(b"hello"))
            await anyio.sleep(1)
            texts = [one["text"] for one in served.happened("message", OTHER)]
            assert texts == ["hello"]


def framed(data: bytes) -> bytes:
    return len(data).to_bytes(2) + data


async def all_at_once(calls: Iterable[Callable[[], Awaitable[object]]]) -> None:
    """Make calls in one moment; what it costs to set them up is not the gateway's."""
    start = anyio.Event()

    async def wait_and(call: Callable[[], Awaitable[object]]) -> None:
        await start.wait()
        await call()

    async with anyio.create_task_group() as tasks:
        for call in calls:
            tasks.start_soon(wait_and, call)
            await anyio.lowlevel.checkpoint()
        start.set()


@pytest.mark.timeout(120)
@pytest.mark.thorough
async def test_all_of_a_fleet_that_comes_at_once_are_there(
    environment, watched_loop, caplog
):
    """More happens at one moment than is kept: who is there is seen all the same."""
    uuids = [f"{n:08x}-0000-4000-8000-{n:012x}" for n in range(COMING_AT_ONCE)]
    section = {"dialect": "D4"}
    async with (
        manager_house(environment, section) as served,
        AsyncExitStack() as stack,
        watched_loop(LONGEST_STEP_S),
    ):
        streams = []
        for number in range(COMING_AT_ONCE):
            stream = await environment.network.connect_tcp("127.0.0.1", 8595)
            streams.append(await stack.enter_async_context(stream))
            if number % 10 == 0:
                await anyio.sleep(0.01)
        await anyio.sleep(0.1)
        await all_at_once(
            partial(
                stream.send,
                framed(f"{uuid}##lamp##{{}}".encode()) + framed(b"hello") * 4,
            )
            for stream, uuid in zip(streams, uuids, strict=True)
        )
        await anyio.sleep(60)
        assert "events of a manager is full" in caplog.text
        assert {served.available(uuid) for uuid in uuids} == {"online"}
        # Who leaves while nobody looks is seen to have left.
        await all_at_once(stream.aclose for stream in streams)
        await anyio.sleep(60)
        assert {served.available(uuid) for uuid in uuids} == {"offline"}
