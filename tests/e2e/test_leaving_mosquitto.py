"""Left with messages under way with a store, and come back, with Mosquitto."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests._support.leaving import Numbers, leave_and_come_back
from tests._support.mosquitto import DEFAULT_CONFIG

pytestmark = pytest.mark.e2e

# Else Mosquitto 2.0.11 hands out the first twenty of a burst of QoS 2 and no more, to its
# own mosquitto_sub either.
CONFIG = f"{DEFAULT_CONFIG}max_inflight_messages 0\n"


@pytest.mark.parametrize("qos", [1, 2])
@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
@pytest.mark.parametrize("goodbye_s", [0, 2])
async def test_what_was_accepted_arrives_after_the_next_opening(
    start_mosquitto, tmp_path: Path, protocol: str, qos: int, goodbye_s: float
):
    broker = start_mosquitto(CONFIG)
    numbers = Numbers(
        broker.uri, tmp_path / "store", qos=qos, protocol=protocol, max_inflight=50
    )
    await leave_and_come_back(numbers, 300, goodbye_s=goodbye_s)
