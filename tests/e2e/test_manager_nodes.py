"""Nodes of one manager as processes, with Mosquitto: issue 11, shown by 5."""

from __future__ import annotations

import anyio
import pytest

from tests.e2e.manager_fleet import kill_a_node

pytestmark = pytest.mark.e2e

# What is published for a slow node is not thrown away.
CONFIG = "allow_anonymous true\npersistence false\nmax_queued_messages 0\nuser root\n"


@pytest.mark.timeout(600)
async def test_a_node_that_is_killed_loses_nothing_that_was_acknowledged(
    start_mosquitto, tmp_path, anyio_backend_name
):
    broker = await anyio.to_thread.run_sync(start_mosquitto, CONFIG)
    await kill_a_node([broker.uri] * 3, tmp_path, anyio_backend_name)
