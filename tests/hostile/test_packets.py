"""Packets that cost the sender little, and others nothing."""

from __future__ import annotations

import anyio.to_thread
import pytest

from structiot.mqtt.wire.messages import Connect
from tests.hostile.attackers import log_in, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

PINGS = b"\xc0\x00" * 100_000


async def test_pings_without_end(mqtt_broker, watched, attacker):
    def ping(source: str, uri: str) -> None:
        with log_in(source, uri, Connect(client_id="pings", version=4)) as sock:
            for _ in range(3):
                sock.sendall(PINGS)
                read(sock, len(PINGS))

    async with watched(good=mqtt_broker.uri):
        await anyio.to_thread.run_sync(ping, attacker, mqtt_broker.uri)
