"""How the tests here open their clients."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from random import Random
from typing import Any

from structiot.mqtt import MqttClient, open_mqttclient
from tests._support.fake_broker import FakeBroker


def open_client(
    broker: FakeBroker,
    *,
    client_id: str = "tester",
    wait_connected: bool = True,
    codec: Any = None,
    **config: Any,
) -> AbstractAsyncContextManager[MqttClient]:
    """Open a client of MQTT 3.1.1 unless told otherwise."""
    config.setdefault("protocol", "3.1.1")
    return open_mqttclient(
        broker.uri,
        client_id,
        config,
        codec,
        network=broker.network,
        random=Random(1),
        wait_connected=wait_connected,
    )


def lasting(**config: Any) -> dict[str, Any]:
    """Settings of a session that outlives its connections, and is never given up."""
    return {"cleansession": False, "reconnect_retries": -1, **config}
