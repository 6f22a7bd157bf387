"""Through TLS and the system's own sockets, which take only a part of what is large."""

from __future__ import annotations

import ssl

import anyio
import pytest
import trustme

from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import open_broker

LARGE = bytes(range(256)) * 40_000


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.mark.parametrize("qos", [0, 1])
async def test_large_and_small_messages_arrive_in_order(
    authority: trustme.CA, qos: int
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    config = {"cadata": authority.cert_pem.bytes().decode(), "reconnect_retries": 0}
    payloads = [b"small", LARGE, b"small", LARGE[:70_000], LARGE[:9_000], LARGE, b"end"]
    async with (
        open_broker("mqtts://127.0.0.1:0", ssl_context=context) as broker,
        open_mqttclient(broker.uri, config=config) as reader,
        open_mqttclient(broker.uri, config=config) as writer,
        reader.subscription("a", qos=qos) as messages,
        anyio.create_task_group() as tg,
    ):
        for payload in payloads:
            tg.start_soon(lambda sent: writer.publish("a", sent, qos=qos), payload)
            message = await anext(messages)
            assert message.payload == payload
