"""What a simulated device says to its broker, in messages written by hand."""

from __future__ import annotations

import hashlib
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.mqtt import Messages, MqttClient, open_broker, open_mqttclient
from structiot.sim import show_fault
from structiot.sim.meross import MerossSim, sim_meross_device
from tests.sim.meross.raw_meross import (
    KEY,
    MAC,
    NOON_S,
    UUID,
    environment,
    get,
    message,
    put,
)

pytestmark = pytest.mark.virtual_time

BROKER = ("127.0.0.1", 1883, None)
URI = "mqtt://127.0.0.1:1883"
APP = "/app/123456-0011/subscribe"
PUBLISHED = f"/appliance/{UUID}/publish"
REQUESTS = f"/appliance/{UUID}/subscribe"


class House:
    """A broker, a device, and a client that hears all of it."""

    def __init__(self, sim: MerossSim, client: MqttClient, heard: Messages) -> None:
        self.sim = sim
        self._client = client
        self._heard = heard

    async def next(self) -> tuple[str, Any]:
        with anyio.fail_after(30):
            while True:
                found = await anext(self._heard)
                content = json.loads(found.payload)
                if content["header"]["from"] != APP:
                    return found.topic, content

    async def next_of(self, name: str) -> Any:
        while True:
            _, content = await self.next()
            if content["header"]["namespace"] == f"Appliance.{name}":
                return content

    async def ask(self, method: str, name: str, payload: Any) -> None:
        content = json.loads(message(method, name, payload))
        content["header"]["from"] = APP
        await self._client.publish(REQUESTS, json.dumps(content), codec="utf8")

    async def none_within(self, seconds: float) -> bool:
        with anyio.move_on_after(seconds):
            await anext(self._heard)
            return False
        return True


@asynccontextmanager
async def house(
    model: str = "mss310", *, is_booted: bool = True
) -> AsyncIterator[House]:
    place: Environment = environment()
    async with (
        open_broker(URI, sys_interval_s=None, environment=place),
        open_mqttclient(URI, environment=place) as client,
        client.subscription("#") as heard,
        sim_meross_device(
            model=model, uuid=UUID, broker=BROKER, loads=(), environment=place
        ) as sim,
    ):
        found = House(sim, client, heard)
        if is_booted:
            await found.next_of("System.Clock")
            if "Appliance.Control.ConsumptionConfig" in sim.device.abilities:
                await found.next_of("Control.ConsumptionConfig")
        yield found


async def test_a_device_announces_itself_as_in_the_reference():
    async with house(is_booted=False) as found:
        topic, bind = await found.next()
        assert topic == PUBLISHED
        own = bind["header"]
        assert own["method"] == "SET"
        assert own["namespace"] == "Appliance.Control.Bind"
        assert own["triggerSrc"] == "DevBoot"
        assert own["from"] == REQUESTS
        text = f"{own['messageId']}{KEY}{own['timestamp']}"
        assert own["sign"] == hashlib.md5(text.encode()).hexdigest()
        assert set(bind["payload"]["bind"]) == {
            "bindTime",
            "time",
            "hardware",
            "firmware",
        }
        said = [await found.next() for _ in range(4)]
        assert [one["header"]["namespace"] for _, one in said] == [
            "Appliance.System.Report",
            "Appliance.System.Time",
            "Appliance.System.Clock",
            "Appliance.Control.ConsumptionConfig",
        ]
        assert {one["header"]["method"] for _, one in said} == {"PUSH"}
        assert said[0][1]["payload"] == {
            "report": [{"type": "1", "value": "0", "timestamp": NOON_S}]
        }
        assert {topic for topic, _ in said} == {PUBLISHED}
        system = (await get(found.sim, "System.All"))["all"]["system"]
        assert system["online"] == {"status": 1}
        assert system["firmware"]["server"] == "127.0.0.1"


async def test_it_signs_in_with_its_mac_and_a_password_of_both():
    seen: list[tuple[str | None, str | None]] = []
    place = environment()

    async def serve(stream: anyio.abc.ByteStream) -> None:
        async with stream:
            seen.append(_credentials(await stream.receive()))

    async with place.network.listen_tcp("127.0.0.1", 1883) as listener:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(listener.serve, serve)
            async with sim_meross_device(uuid=UUID, broker=BROKER, environment=place):
                await anyio.sleep(1)
            tasks.cancel_scope.cancel()
    digest = hashlib.md5(f"{MAC}{KEY}".encode()).hexdigest()
    assert seen[0] == (MAC, f"123456_{digest}")


def _credentials(packet: bytes) -> tuple[str | None, str | None]:
    """Read the last two fields of a CONNECT: name and password."""
    at = packet.index(b"fmware:" + UUID.encode())
    at += int.from_bytes(packet[at - 2 : at])
    fields = []
    while at < len(packet):
        length = int.from_bytes(packet[at : at + 2])
        fields.append(packet[at + 2 : at + 2 + length].decode())
        at += 2 + length
    return fields[0], fields[1]


async def test_a_request_is_answered_where_it_says_and_the_change_pushed_after():
    async with house() as found:
        await found.ask(
            "SET", "Control.ToggleX", {"togglex": {"channel": 0, "onoff": 0}}
        )
        topic, ack = await found.next()
        assert topic == APP
        assert ack["header"]["method"] == "SETACK"
        assert ack["header"]["messageId"] == "00112233445566778899aabbccddeeff"
        assert ack["payload"] == {}
        topic, push = await found.next()
        assert topic == PUBLISHED
        assert push["header"]["method"] == "PUSH"
        assert push["header"]["from"] == PUBLISHED
        assert push["payload"]["togglex"]["onoff"] == 0


async def test_what_changes_in_the_local_network_or_by_hand_is_pushed():
    async with house() as found:
        await put(found.sim, "Control.ToggleX", {"togglex": {"channel": 0, "onoff": 0}})
        push = await found.next_of("Control.ToggleX")
        assert push["payload"]["togglex"]["onoff"] == 0
        await found.sim.press()
        push = await found.next_of("Control.ToggleX")
        assert push["payload"]["togglex"]["onoff"] == 1


async def test_an_unknown_namespace_is_error_5000():
    async with house() as found:
        await found.ask("GET", "Control.Nothing", {})
        _, answer = await found.next()
        assert answer["header"]["method"] == "ERROR"
        assert answer["payload"] == {"error": {"code": 5000}}


async def test_echoes_of_the_cloud_are_not_answered():
    async with house() as found:
        await found.ask("PUSH", "System.Clock", {"clock": {"timestamp": 1}})
        await found.ask("PUSH", "Control.ConsumptionConfig", {"config": {}})
        await found.ask("SETACK", "Control.Bind", {})
        for _ in range(3):
            assert not await found.none_within(1)  # these are the requests themselves
        assert await found.none_within(60)


async def test_unbind_resets_it_and_it_is_gone_from_the_broker():
    async with house() as found:
        await found.ask("PUSH", "Control.Unbind", {})
        await anyio.sleep(5)
        assert found.sim.key == ""
        assert not found.sim.device.is_online
        found.sim.pair(KEY, "99")
        bind = await found.next_of("Control.Bind")
        assert bind["payload"]["bind"]["firmware"]["userId"] == 99


async def test_it_comes_back_after_a_power_cut_and_boots_again():
    async with house() as found:
        await found.sim.power_cut(10)
        await found.next_of("Control.Bind")
        assert found.sim.device.is_online


async def test_faults_of_replies_and_of_pushes():
    async with house() as found:
        await show_fault(found.sim, "overtaken*1")
        await found.ask("GET", "System.Runtime", {})
        await found.ask("GET", "System.DNDMode", {})
        assert [(await found.next())[1]["header"]["namespace"] for _ in range(2)] == [
            "Appliance.System.DNDMode",
            "Appliance.System.Runtime",
        ]
        # One without a word is for a request; a push does not take it away.
        found.sim.faults.drop_next()
        await found.sim.press()
        assert (await found.next_of("Control.ToggleX"))["header"]["method"] == "PUSH"
        await found.ask("GET", "System.Runtime", {})
        await found.ask("GET", "System.DNDMode", {})
        await found.next_of("System.DNDMode")
        await show_fault(found.sim, "sign_wrong@PUSH*1")
        await show_fault(found.sim, "duplicate@PUSH*1")
        await found.sim.press()
        push = await found.next_of("Control.ToggleX")
        assert push["header"]["sign"] == "0" * 32
        await found.sim.press()
        twice = [await found.next_of("Control.ToggleX") for _ in range(2)]
        assert twice[0] == twice[1]


async def test_it_tries_again_until_there_is_a_broker():
    place = environment()
    async with sim_meross_device(uuid=UUID, broker=BROKER, environment=place) as sim:
        await anyio.sleep(120)
        states = [sim.device.is_online]
        async with open_broker(URI, environment=place):
            await anyio.sleep(60)
            states.append(sim.device.is_online)
        await anyio.sleep(5)
        states.append(sim.device.is_online)
        assert states == [False, True, False]
