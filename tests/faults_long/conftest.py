"""A broker that keeps all it is given."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests._support.mosquitto import DEFAULT_CONFIG, Mosquitto


@pytest.fixture
def mosquitto_keeping_everything(tmp_path) -> Generator[Mosquitto]:
    broker = Mosquitto(
        tmp_path,
        DEFAULT_CONFIG
        + "max_queued_messages 0\nmax_inflight_messages 1000\nmax_queued_bytes 0\n",
    )
    broker.start()
    yield broker
    broker.stop()
