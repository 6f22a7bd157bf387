"""How soon a client is itself again when a killed broker returns, with nothing kept."""

from __future__ import annotations

import sys
from typing import Any

import anyio
import pytest

from structiot.mqtt import open_mqttclient
from tests._support.mosquitto import Mosquitto

pytestmark = [pytest.mark.timeout(90), pytest.mark.e2e]

SETTINGS: dict[str, Any] = {"reconnect_retries": -1, "reconnect_max_interval": 0.5}


async def publish_for_ever(broker: Mosquitto) -> None:
    async with open_mqttclient(broker.uri) as publisher:
        while True:
            await publisher.publish("back/again", b"news")
            await anyio.sleep(0.01)


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
@pytest.mark.parametrize("away_s", [0.2, 3, 30])
async def test_a_subscription_is_alive_within_a_second_of_a_killed_brokers_return(
    start_mosquitto, away_s: float, protocol: str, anyio_backend_name: str, capsys
):
    broker = start_mosquitto()
    settings = {**SETTINGS, "protocol": protocol}
    async with open_mqttclient(broker.uri, config=settings) as client:
        async with client.subscription("back/#", qos=1) as messages:
            await anyio.to_thread.run_sync(broker.kill)
            await anyio.sleep(away_s)
            await anyio.to_thread.run_sync(broker.start)
            returned_at = anyio.current_time()
            async with anyio.create_task_group() as tg:
                tg.start_soon(publish_for_ever, broker)
                with anyio.fail_after(20):
                    await anext(messages)
                healed_s = anyio.current_time() - returned_at
                tg.cancel_scope.cancel()
        assert client.counters.connections == 2
    with capsys.disabled():
        sys.stdout.write(
            f"\n| Mosquitto {broker.version} | {anyio_backend_name} | {protocol} "
            f"| {away_s:g} s | {healed_s:.2f} s |\n"
        )
    assert healed_s < 1
