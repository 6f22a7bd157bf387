"""A broker process to be tried hard, and those who watch it meanwhile."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests._support.broker_process import BrokerProcess
from tests.e2e.broker_hostile.peers import MB, Peer, Witness

PATIENCE_S = 1.5
# What a test would have to wait for, or to send by the hundred megabytes.
LIMITS = (
    "connect_s=1",
    "stall_s=1",
    "retained_bytes=2000000",
    "queued_bytes=1000000",
    "subscription_bytes=2000000",
)


@pytest.fixture(scope="module", params=["asyncio", "trio"])
def broker(request: pytest.FixtureRequest) -> Iterator[BrokerProcess]:
    process = BrokerProcess(
        "--sys-interval=0",
        *(f"--limit={limit}" for limit in LIMITS),
        backend=request.param,
    )
    process.start()
    yield process
    errors = process.stop()
    assert "Traceback" not in errors


@pytest.fixture
def witness(broker: BrokerProcess) -> Iterator[Witness]:
    one = Witness(broker)
    yield one
    one.finish()
    assert one.error is None
    assert one.count > 0
    assert one.worst_s < PATIENCE_S


@pytest.fixture
def same_memory(broker: BrokerProcess) -> Iterator[None]:
    for _ in range(20):
        Peer(broker).connect().socket.close()
    before = broker.memory_bytes()
    yield
    assert broker.memory_bytes() - before < 8 * MB
