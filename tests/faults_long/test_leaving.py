"""2,500 and 60,000 messages under way when the block is left, and what comes of them.

Not part of the default suite: `nox -s faults` runs it and prints the table that stands in
the docs. The same with few messages is in tests/link/mqtt/test_leaving_with_a_store.py.
"""

from __future__ import annotations

import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from structiot.mqtt.broker import BrokerLimits, open_broker
from tests._support.leaving import (
    Numbers,
    leave_and_come_back,
    leave_cancelled_anywhere,
)
from tests._support.mosquitto import Mosquitto

pytestmark = [pytest.mark.timeout(600), pytest.mark.e2e]

EACH_PROTOCOL = pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
EACH_QOS = pytest.mark.parametrize("qos", [1, 2])


@asynccontextmanager
async def uri_of(broker: str, mosquitto: Mosquitto) -> AsyncGenerator[str]:
    if broker == "Mosquitto":
        yield mosquitto.uri
        return
    # The subscriber is slower than the publisher, and nothing may be dropped for it.
    limits = BrokerLimits(queued=200_000)
    async with open_broker("mqtt://127.0.0.1:0", limits=limits) as ours:
        yield ours.uri


@pytest.mark.parametrize("broker", ["ours", "Mosquitto"])
@EACH_PROTOCOL
@EACH_QOS
@pytest.mark.parametrize("goodbye_s", [0, 2])
@pytest.mark.parametrize("count", [2_500, 60_000])
async def test_what_was_accepted_arrives_after_the_next_opening(
    *,
    keeping_mosquitto,
    tmp_path: Path,
    broker: str,
    protocol: str,
    qos: int,
    goodbye_s: float,
    count: int,
    anyio_backend_name: str,
    capsys: pytest.CaptureFixture[str],
):
    started = time.monotonic()
    async with uri_of(broker, keeping_mosquitto) as uri:
        numbers = Numbers(uri, tmp_path / "store", qos=qos, protocol=protocol)
        await leave_and_come_back(numbers, count, goodbye_s=goodbye_s)
    doubled = sum(numbers.arrived.values()) - len(numbers.arrived)
    with capsys.disabled():
        sys.stdout.write(
            f"\n| {broker} | {anyio_backend_name} | {protocol} | {qos} | {count:,} "
            f"| {goodbye_s} s | {len(numbers.restored):,} | 0 | {doubled} "
            f"| {time.monotonic() - started:.0f} s |\n"
        )


@pytest.mark.parametrize("broker", ["ours", "Mosquitto"])
@EACH_PROTOCOL
@EACH_QOS
async def test_leaving_cancelled_at_any_checkpoint_loses_and_doubles_nothing(
    *,
    keeping_mosquitto,
    tmp_path: Path,
    broker: str,
    protocol: str,
    qos: int,
    anyio_backend_name: str,
    capsys: pytest.CaptureFixture[str],
):
    started = time.monotonic()
    async with uri_of(broker, keeping_mosquitto) as uri:
        numbers = Numbers(
            uri, tmp_path / "store", qos=qos, protocol=protocol, max_inflight=5
        )
        rounds = await leave_cancelled_anywhere(numbers, 12, stride=1)
    doubled = sum(numbers.arrived.values()) - len(numbers.arrived)
    with capsys.disabled():
        sys.stdout.write(
            f"\n| {broker} | {anyio_backend_name} | {protocol} | {qos} "
            f"| {len(numbers.accepted):,} | cancelled {rounds} times | - | 0 "
            f"| {doubled} | {time.monotonic() - started:.0f} s |\n"
        )
