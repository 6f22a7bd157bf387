"""Answers and the outbox of a gateway, with Mosquitto and its programs."""

from __future__ import annotations

import json
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import Occurrence
from structiot.mqtt import open_mqttclient
from tests._support.mosquitto import DEFAULT_CONFIG, Mosquitto, mosquitto_program
from tests.gateway.asked_house import plug_of
from tests.gateway.bridge_house import until
from tests.gateway.scripted_driver import ScriptedDriver, scripted, source_of, stay
from tests.gateway.support import AT, ScriptedDevice

pytestmark = pytest.mark.e2e
WAIT_S = 15.0


@asynccontextmanager
async def desk_at(
    broker: Mosquitto, base: str
) -> AsyncIterator[tuple[Gateway, ScriptedDevice]]:
    """Serve one scripted plug until it is available and commands are heard."""
    device = plug_of("Desk")

    async def serve(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    mqtt = {"uri": broker.uri, "base_topic": base, "client_id": base}
    with with_driver("toy", scripted(serve)):
        config = load_config({"mqtt": mqtt, "toy": {}})
        async with open_gateway(config) as gateway:
            await until(lambda: gateway.is_connected and gateway.devices)
            await until(lambda: gateway.devices["desk"].is_available)
            yield gateway, device


async def asked(broker: Mosquitto, topic: str, message: str, answers: str) -> bytes:
    """Ask as `mosquitto_rr` does, by the response topic of MQTT 5; give its answer."""
    program, port = mosquitto_program("mosquitto_rr"), str(broker.port)
    place = ["-h", broker.host, "-p", port, "-V", "5", "-q", "1", "-W", "10"]
    told = ["-t", topic, "-m", message, "-e", answers]
    extra = ["-D", "publish", "correlation-data", "abc"]
    with anyio.fail_after(WAIT_S):
        done = await anyio.run_process(
            [program, *place, *told, *extra], stderr=subprocess.STDOUT
        )
    return done.stdout


async def test_the_response_topic_of_another_program_is_honoured(mosquitto):
    base = "answers_e2e"
    async with desk_at(mosquitto, base) as (_, device):
        answer: dict[str, object] = {}
        for message in ("ON", '{"value": "OFF", "id": "7"}'):
            topic = f"{base}/desk/relay/set"
            answer = json.loads(await asked(mosquitto, topic, message, "elsewhere/1"))
            assert answer["status"] == "done"
        assert answer["id"] == "7"
        assert device.commands == [("relay", True), ("relay", False)]
        request = f"{base}/gateway/request/ping"
        pong = await asked(mosquitto, request, '{"transaction": 3}', "elsewhere/2")
        assert json.loads(pong)["transaction"] == 3


async def test_what_happens_while_a_broker_is_away_arrives_when_it_is_back(
    start_mosquitto, tmp_path: Path
):
    kept = f"persistence true\npersistence_location {tmp_path}/\n"
    broker = start_mosquitto(DEFAULT_CONFIG.replace("persistence false\n", kept))
    lasting = {"cleansession": False}
    events = "outbox_e2e/desk/button/event"
    async with open_mqttclient(broker.uri, "reader", lasting) as reader:
        async with reader.subscription(events, qos=1, unsubscribe=False):
            pass
    async with desk_at(broker, "outbox_e2e") as (gateway, device):
        await anyio.to_thread.run_sync(broker.stop)
        await until(lambda: not gateway.is_connected)
        for number in range(20):
            device.tell(
                Occurrence(
                    key="button",
                    event_type="press",
                    at_utc=AT,
                    data={"number": number},
                )
            )
        await anyio.sleep(0.5)
        await anyio.to_thread.run_sync(broker.start)
        await until(lambda: gateway.is_connected)
        await until(lambda: not gateway.publisher.outbox.waiting, WAIT_S)
        # What follows is acknowledged after all that went before.
        async with open_mqttclient(broker.uri) as other:
            async with other.subscription("outbox_e2e/gateway/response/ping") as pongs:
                await other.publish("outbox_e2e/gateway/request/ping", "", qos=1)
                with anyio.fail_after(WAIT_S):
                    await anext(aiter(pongs))
    numbers: list[int] = []
    async with open_mqttclient(broker.uri, "reader", lasting) as reader:
        async with reader.unclaimed() as messages:
            with anyio.fail_after(WAIT_S):
                while len(numbers) < 20:
                    told = json.loads((await anext(aiter(messages))).payload)
                    numbers.append(told["number"])
    assert numbers == list(range(20))
