"""What a client's store makes of a clock that somebody sets.

Threads write the file, so the clock of the loop is real; that of the system is the test's.
"""

from __future__ import annotations

import sqlite3
from contextlib import AbstractAsyncContextManager, closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.mqtt import (
    MessageExpired,
    MqttClient,
    PublishProperties,
    open_mqttclient,
)
from structiot.mqtt.wire.messages import Message
from tests._support.fake_broker import FakeBroker

WAIT_S = 10.0
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


@pytest.fixture
def store(tmp_path: Path) -> Path:
    return tmp_path / "session.sqlite"


class Clock:
    def __init__(self, now: datetime = NOW) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now


def at(
    broker: FakeBroker, store: Path, clock: Clock, **config: Any
) -> AbstractAsyncContextManager[MqttClient]:
    config = {"goodbye_s": 0, "reconnect_retries": -1, "protocol": "5.0", **config}
    return open_mqttclient(
        broker.uri,
        "tester",
        {"store": store, "cleansession": False, **config},
        environment=Environment(network=broker.network, random=Random(1), clock=clock),
        wait_connected=False,
    )


async def left_after(broker: FakeBroker, store: Path, clock: Clock) -> int | None:
    """What is left of the message's life when it is sent; None if it was given up."""
    await broker.start()
    async with at(broker, store, clock) as client:
        [receipt] = client.restored
        with anyio.fail_after(WAIT_S):
            try:
                await receipt.wait()
            except MessageExpired:
                return None
    [message] = broker.connection.of(Message)
    assert message.properties is not None
    expiry: int | None = message.properties.message_expiry_s
    return expiry


@pytest.mark.parametrize(
    ("away", "left"),
    [
        (timedelta(0), range(39, 41)),
        (timedelta(seconds=30), range(9, 11)),
        (timedelta(seconds=41), [None]),
        (timedelta(days=-3650), range(39, 41)),
        (timedelta(seconds=-5), range(39, 41)),
    ],
    ids=str,
)
async def test_a_message_lives_no_longer_than_it_should_whatever_the_clock_says(
    broker, store: Path, away: timedelta, left: range
):
    broker.stop()
    async with at(broker, store, Clock()) as client:
        await client.publish_soon(
            "t", b"x", properties=PublishProperties(message_expiry_s=40)
        )
    assert await left_after(broker, store, Clock(NOW + away)) in left


async def test_a_clock_that_is_set_after_the_writing_ends_nothing_early(
    broker, store: Path
):
    broker.stop()
    clock = Clock(datetime(1970, 1, 1, 0, 1, tzinfo=UTC))
    async with at(broker, store, clock) as client:
        await client.publish_soon(
            "t", b"x", properties=PublishProperties(message_expiry_s=40)
        )
        clock.now = NOW
        await client.publish_soon("t", b"y", qos=1)
    async with at(broker, store, Clock(NOW + timedelta(seconds=10))) as client:
        assert len(client.restored) == 2
    with closing(sqlite3.connect(store)) as file:
        file.execute("DELETE FROM flows WHERE payload = X'79'")
        file.commit()
    assert await left_after(broker, store, Clock(NOW + timedelta(seconds=20))) in range(
        19, 31
    )


async def test_what_a_clock_of_1970_has_written_is_not_taken_for_old(
    broker, store: Path
):
    broker.stop()
    async with at(broker, store, Clock(datetime(1970, 1, 1, tzinfo=UTC))) as client:
        await client.publish_soon(
            "t", b"x", properties=PublishProperties(message_expiry_s=40)
        )
    assert await left_after(broker, store, Clock()) in range(39, 41)
