"""A broker that keeps all it is given, and says what it does."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from tests._support.mosquitto import DEFAULT_CONFIG, Mosquitto

KEEP_EVERYTHING = """\
max_queued_messages 0
max_inflight_messages 1000
max_queued_bytes 0
log_type debug
"""


@pytest.fixture
def keeping_mosquitto(tmp_path) -> Generator[Mosquitto]:
    broker = Mosquitto(tmp_path, DEFAULT_CONFIG + KEEP_EVERYTHING)
    broker.start()
    yield broker
    broker.stop()
