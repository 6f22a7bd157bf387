"""Two clients with one id throw each other out; only that is to be called so."""

from __future__ import annotations

import logging
from random import Random
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.mqtt import SubscribeRefused, open_mqttclient
from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.messages import Message, Subscribe
from structiot.testing import MemoryNetwork
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

HINT = "does another client use the same client id?"
URI = "mqtt://127.0.0.1:1883"


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [one.getMessage() for one in caplog.records if one.levelno > logging.INFO]


@pytest.mark.parametrize("max_interval", [0.5, 10, 30])
@pytest.mark.parametrize("is_busy", [False, True])
async def test_two_clients_with_one_id_get_the_hint_in_spite_of_their_waits(
    caplog: pytest.LogCaptureFixture, max_interval: float, is_busy: bool
):
    network = MemoryNetwork()
    config = {"protocol": "3.1.1", **lasting(reconnect_max_interval=max_interval)}

    async def live(seed: int) -> None:
        environment = Environment(network=network, random=Random(seed))
        async with open_mqttclient(
            URI, "twin", config, environment=environment, wait_connected=False
        ) as client:
            while is_busy:
                await client.publish_soon("t", b"x")
                await anyio.sleep(0.5)
            await anyio.sleep_forever()

    async with (
        open_broker(URI, environment=Environment(network=network)),
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(live, 1)
        tg.start_soon(live, 2)
        await anyio.sleep(200)
        tg.cancel_scope.cancel()
    hints = [text for text in warnings(caplog) if HINT in text]
    assert hints
    assert all("client 'twin'" in text for text in hints)
    assert all("closed by the broker" in text for text in hints)


async def test_what_we_have_ended_ourselves_is_said_and_no_other_client_accused(
    broker, caplog: pytest.LogCaptureFixture
):
    bad = bytes.fromhex("310b0008") + b"foo/" + bytes.fromhex("ec8c042732")

    def answer(connection: Any, packet: Subscribe) -> list[Any]:
        return [*broker.usual(packet), bad]

    broker.answer(Subscribe, answer)
    async with open_client(broker, **lasting()) as client:
        with anyio.move_on_after(300):
            async with client.subscription("foo/#"):
                await anyio.sleep_forever()
    [told] = warnings(caplog)
    assert "broke the protocol" in told
    assert HINT not in told
    assert len(broker.connections) > 10


async def test_a_message_at_which_the_broker_hangs_up_is_no_other_client(
    broker, caplog: pytest.LogCaptureFixture
):
    broker.keeps_sessions = True
    broker.answer(Message, lambda connection, _: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        await client.publish_soon("t", b"x")
        await anyio.sleep(600)
    assert HINT not in "".join(warnings(caplog))


async def test_a_subscription_at_which_the_broker_hangs_up_is_no_other_client(
    broker, caplog: pytest.LogCaptureFixture
):
    broker.answer(Subscribe, lambda connection, _: [connection.reset()][1:])
    async with open_client(broker, **lasting()) as client:
        with pytest.raises(SubscribeRefused), anyio.fail_after(300):
            async with client.subscription("not/allowed/#"):
                await anyio.sleep_forever()
    [told] = warnings(caplog)
    assert "the subscription 'not/allowed/#' may be the cause" in told
    assert HINT not in told
