"""Left with messages under way, however it happens: nothing is lost, nothing doubled.

Threads write the store, so the clock is real. The same with thousands of messages is in
tests/faults_long/test_leaving.py, with Mosquitto in tests/e2e/test_leaving_mosquitto.py.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from structiot import Environment
from structiot.mqtt.broker import open_broker
from structiot.testing import MemoryNetwork
from tests._support.leaving import (
    Numbers,
    leave_and_come_back,
    leave_cancelled_anywhere,
)

URI = "mqtt://127.0.0.1:1883"
EACH_QOS = pytest.mark.parametrize("qos", [1, 2])
EACH_PROTOCOL = pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])


@pytest.fixture
async def environment(anyio_backend: object) -> AsyncIterator[Environment]:
    environment = Environment(network=MemoryNetwork(), random=Random(1))
    async with open_broker(URI, environment=environment):
        yield environment


def numbers_for(
    environment: Environment, store: Path, protocol: str, qos: int, **settings: Any
) -> Numbers:
    return Numbers(
        URI, store, qos=qos, environment=environment, protocol=protocol, **settings
    )


@EACH_QOS
@EACH_PROTOCOL
@pytest.mark.parametrize("goodbye_s", [0, 2])
async def test_what_was_accepted_arrives_after_the_next_opening(
    environment, tmp_path: Path, protocol: str, qos: int, goodbye_s: float
):
    numbers = numbers_for(
        environment, tmp_path / "store", protocol, qos, max_inflight=50
    )
    await leave_and_come_back(numbers, 300, goodbye_s=goodbye_s)


@pytest.mark.timeout(60)
@pytest.mark.parametrize(("protocol", "qos"), [("3.1.1", 2), ("5.0", 1), ("5.0", 2)])
async def test_leaving_cancelled_at_any_checkpoint_loses_and_doubles_nothing(
    environment, tmp_path: Path, protocol: str, qos: int, stride: int
):
    numbers = numbers_for(
        environment, tmp_path / "store", protocol, qos, max_inflight=2
    )
    assert await leave_cancelled_anywhere(numbers, 3, stride) > 50
