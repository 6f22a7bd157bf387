"""A store and a clock that cannot be trusted: row B30 of the conformance table."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime, timedelta
from pathlib import Path

import anyio
import pytest

from structiot.mqtt.wire.messages import Message, Puback, Will
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from tests.link.broker.raw import Place, RawClient, broker_place

pytestmark = pytest.mark.virtual_time

TEN_YEARS_S = 315_360_000.0
A_DAY_S = 86_400.0


class Wall:
    """A clock on the wall: goes with the loop's, and can be set."""

    def __init__(self, utc: datetime) -> None:
        self._utc = utc
        self._begun = anyio.current_time()

    def __call__(self) -> datetime:
        return self._utc + timedelta(seconds=anyio.current_time() - self._begun)

    def set(self, by_s: float) -> None:
        self._utc += timedelta(seconds=by_s)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "broker.sqlite"


@pytest.fixture
async def wall() -> Wall:
    return Wall(datetime(2026, 11, 28, tzinfo=UTC))


async def begin(place: Place) -> None:
    """Leave a session of 100 s, a will due in 50 s, and messages that live 40 s."""
    will = Will(
        topic="a/will",
        payload=b"gone",
        qos=1,
        properties=WillProperties(will_delay_s=50),
    )
    for name, options in (("s", {}), ("mortal", {"will": will})):
        client = await place.raw(5)
        await client.connect(
            name, clean_start=False, properties={"session_expiry_s": 100}, **options
        )
        await client.subscribe("a/#", qos=1)
        await client.stream.aclose()
    publisher = await place.client("p", 5)
    properties = PublishProperties(message_expiry_s=40)
    for packet_id, retain in ((1, False), (2, True)):
        await publisher.send(
            Message(
                f"a/{packet_id}",
                b"x",
                qos=1,
                retain=retain,
                packet_id=packet_id,
                properties=properties,
            )
        )
        await publisher.expect(Puback)
    await publisher.stream.aclose()


async def back(place: Place, name: str = "s") -> RawClient | None:
    """Come back to a session; None if it is gone."""
    client = await place.raw(5)
    properties = {"session_expiry_s": 100}
    connack = await client.connect(name, clean_start=False, properties=properties)
    return client if connack.session_present else None


async def left_s(client: RawClient) -> list[int | None]:
    """How long the messages still live, the waiting one and the retained one."""
    times = []
    for _ in range(2):
        message = await client.expect(Message)
        assert message.properties is not None
        times.append(message.properties.message_expiry_s)
    return times


@pytest.mark.parametrize("by_s", [-TEN_YEARS_S, -1.0])
async def test_b30_a_clock_that_went_backwards_makes_nothing_live_longer(
    file: Path, wall: Wall, by_s: float
):
    async with broker_place(store=file, clock=wall) as place:
        await begin(place)
    wall.set(by_s)
    async with broker_place(store=file, clock=wall) as place:
        client = await back(place)
        assert client is not None
        for time_s in await left_s(client):
            assert time_s in {39, 40}
        with anyio.fail_after(51):
            will = await client.expect(Message)
        assert will.payload == b"gone"
        # The session of the one who died ends 100 s after its connection, at most.
        await anyio.sleep(51)
        assert "mortal" not in place.server.core.sessions


@pytest.mark.parametrize("idle_s", [0, 61, 3600 * 24])
async def test_b30_a_clock_that_is_set_forwards_while_the_broker_runs_ends_nothing(
    file: Path, wall: Wall, idle_s: int
):
    """A board begins in the past, and learns the time once there is a network."""
    wall.set(-TEN_YEARS_S)
    async with broker_place(store=file, clock=wall) as place:
        await anyio.sleep(idle_s)
        await begin(place)
        wall.set(TEN_YEARS_S)
        await anyio.sleep(5)
    await anyio.sleep(5)
    async with broker_place(store=file, clock=wall) as place:
        client = await back(place)
        assert client is not None
        assert await left_s(client) == [30, 30]


async def test_b30_a_killed_broker_has_noted_a_minute_later_that_the_clock_was_set(
    file: Path, wall: Wall, tmp_path: Path
):
    copy = tmp_path / "copy.sqlite"
    async with broker_place(store=file, clock=wall) as place:
        client = await place.raw(5)
        properties = {"session_expiry_s": 200}
        await client.connect("s", clean_start=False, properties=properties)
        await client.stream.aclose()
        wall.set(A_DAY_S)
        await anyio.sleep(61)
        for end in ("", "-wal"):
            shutil.copyfile(f"{file}{end}", f"{copy}{end}")
    async with broker_place(store=copy, clock=wall) as place:
        assert await back(place) is not None


async def test_b30_the_time_between_two_processes_counts(file: Path, wall: Wall):
    async with broker_place(store=file, clock=wall) as place:
        await begin(place)
    wall.set(20)
    async with broker_place(store=file, clock=wall) as place:
        client = await back(place)
        assert client is not None
        assert await left_s(client) == [20, 20]
    wall.set(101)
    async with broker_place(store=file, clock=wall) as place:
        assert await back(place) is None


async def test_b30_many_restarts_with_a_bad_clock_make_nothing_live_longer(
    file: Path, wall: Wall
):
    async with broker_place(store=file, clock=wall) as place:
        await begin(place)
    for _ in range(3):
        wall.set(-3600)
        async with broker_place(store=file, clock=wall):
            await anyio.sleep(10)
    async with broker_place(store=file, clock=wall) as place:
        client = await back(place)
        assert client is not None
        assert await left_s(client) == [10, 10]
