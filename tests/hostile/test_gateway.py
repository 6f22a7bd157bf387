"""Anybody on the broker, against a gateway that listens there."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import anyio
import anyio.to_thread
import pytest

from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.drivers import with_driver
from structiot.model import Switch
from structiot.mqtt import Message, open_mqttclient
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    source_of,
    stay,
)
from tests.gateway.support import ScriptedDevice
from tests.hostile.attackers import log_in, send_until_refused

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


def announcement(
    components: object,
    *,
    slug: str = "desk",
    id_: str = "P1",
    base: str = "structiot",
) -> bytes:
    """Write what a gateway would have written, but for what is wrong with it."""
    given = {
        "origin": {"name": "structiot"},
        "availability": [
            {"topic": f"{base}/gateway/availability"},
            {"topic": f"{base}/{slug}/availability"},
        ],
        "device": {"identifiers": [f"structiot_toy_{id_}"]},
        "components": components,
    }
    return json.dumps(given, ensure_ascii=False).encode(errors="surrogatepass")


def entities(count: int, name: str = "k") -> dict[str, object]:
    one = {"platform": "switch", "name": "x"}
    return {f"{name}{number}": one for number in range(count)}


def _topics_that_are_too_long() -> Iterator[Message]:
    for number in range(200):
        # With the error topic below it there are more than 65,535 bytes.
        name = f"{number}".rjust(65_520, "A")
        yield Message(f"structiot/{name}//set", b"ON")


def _commands_for_nobody() -> Iterator[Message]:
    for number in range(3000):
        yield Message(f"structiot/\x1b[2J{number}/x/set", b"\x1b]0;x\x07" * 50)


def _commands_that_cannot_be() -> Iterator[Message]:
    for number in range(3000):
        yield Message(f"structiot/desk/{number}/set", b"[" * 4096)


def _long_payloads() -> Iterator[Message]:
    for _ in range(30):
        yield Message("structiot/desk/relay/set", bytes(1_000_000))


def _announcements_that_cannot_be() -> Iterator[Message]:
    many = announcement(entities(5000))
    keys = announcement(
        {key: {"platform": "x"} for key in ("+", "#", "\0", "k" * 70_000)}
    )
    deep = b"[" * 100_000
    lists = announcement({})[:-1] + b',"x":[' + b"[]," * 160_000 + b"[]]}"
    for number in range(30):
        for kind, payload in enumerate((many, keys, deep, lists)):
            topic = f"homeassistant/device/structiot_{number}_{kind}/config"
            yield Message(topic, payload, retain=True)
    for number in range(2000):
        topic = f"homeassistant/switch/structiot_{number}/relay/config"
        yield Message(topic, announcement({}), retain=True)


def _announcements_of_devices_that_are_not() -> Iterator[Message]:
    components = entities(512)
    for number in range(300):
        topic = f"homeassistant/device/structiot_x{number}/config"
        payload = announcement(components, slug=f"g{number}", id_=f"g{number}")
        yield Message(topic, payload, retain=True)


def _announcements_of_our_device() -> Iterator[Message]:
    for number in range(300):
        topic = f"homeassistant/device/structiot_x{number}/config"
        payload = announcement(entities(512, f"k{number}_"))
        yield Message(topic, payload, retain=True)


def _announcements_of_other_gateways() -> Iterator[Message]:
    bases = ["$share/", "$share/g/x", "/" * 256, "/" * 198, "é" * 128, "x\x1b[2J"]
    bases += [f"b{number}" for number in range(300)]
    for number, base in enumerate(bases):
        topic = f"homeassistant/device/structiot_toy_e{number}/config"
        payload = announcement(entities(512), id_=f"e{number}", base=base)
        yield Message(topic, payload, retain=True)


def _announcements_at_long_topics() -> Iterator[Message]:
    for number in range(200):
        topic = f"homeassistant/device/structiot_{number}{'é' * 30_000}/config"
        payload = announcement(entities(5), slug=f"g{number}", id_=f"g{number}")
        yield Message(topic, payload, retain=True)


ANNOUNCEMENTS = (
    _announcements_that_cannot_be,
    _announcements_of_devices_that_are_not,
    _announcements_of_our_device,
    _announcements_of_other_gateways,
    _announcements_at_long_topics,
)


def _births() -> Iterator[Message]:
    for _ in range(3000):
        yield Message("homeassistant/status", b"online")


ATTACKS = {
    attack.__name__.strip("_"): attack
    for attack in (
        _topics_that_are_too_long,
        _commands_for_nobody,
        _commands_that_cannot_be,
        _long_payloads,
        *ANNOUNCEMENTS,
        _births,
    )
}


def publish(source: str, uri: str, messages: list[bytes]) -> None:
    with log_in(source, uri, Connect(client_id="evil", version=4)) as sock:
        for data in messages:
            send_until_refused(sock, data)


@asynccontextmanager
async def gateway_of(uri: str, device: ScriptedDevice) -> AsyncIterator[Gateway]:
    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    with with_driver("toy", scripted(serve_one)):
        config = load_config({"mqtt": {"uri": uri}, "toy": {}})
        async with open_gateway(config) as gateway:
            async with gateway.events() as events:
                with anyio.fail_after(10):
                    while "desk" not in gateway.devices or not gateway.is_connected:
                        await anext(events)
            yield gateway


async def still_works(gateway: Gateway, uri: str, device: ScriptedDevice) -> None:
    """See that a command gets through once all before it have been taken."""
    async with gateway.events() as events, open_mqttclient(uri) as client:
        await client.publish("structiot/desk/relay/set", b"ON", qos=1)
        with anyio.fail_after(30):
            while ("relay", True) not in device.commands:
                await anext(events)
    assert gateway.is_connected
    assert gateway.devices["desk"].is_available


@pytest.mark.parametrize("name", ATTACKS)
async def test_messages_of_anybody(mqtt_broker, watched, attacker, name):
    messages = [encode(message, 4) for message in ATTACKS[name]()]
    device = plug()
    device.entities = (Switch(key="relay"), *[Switch(key=f"p{n}") for n in range(40)])
    uri = mqtt_broker.uri
    async with gateway_of(uri, device) as gateway:
        # The broker keeps what is retained, as it should.
        async with watched(good=uri, keeps_mb=64):
            await anyio.to_thread.run_sync(publish, attacker, uri, messages)
            await still_works(gateway, uri, device)


@pytest.mark.parametrize("kind", ANNOUNCEMENTS, ids=lambda one: one.__name__[15:])
async def test_what_anybody_has_retained(mqtt_broker, watched, attacker, kind):
    messages = [encode(message, 4) for message in kind()]
    uri, device = mqtt_broker.uri, plug()
    await anyio.to_thread.run_sync(publish, attacker, uri, messages)
    async with watched(good=uri), gateway_of(uri, device) as gateway:
        await anyio.sleep(6)
        await still_works(gateway, uri, device)
        assert len(gateway.publisher.wanted) < 200
