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

OURS = {
    "origin": {"name": "structiot"},
    "availability": [{"topic": "structiot/gateway/availability"}],
    "device": {"identifiers": ["structiot_toy_1"]},
}


def announcement(components: object) -> bytes:
    return json.dumps({**OURS, "components": components}).encode()


def _topics_that_are_too_long() -> Iterator[Message]:
    for number in range(200):
        yield Message(f"structiot/{number}{'A' * 65_510}//set", b"ON")


def _commands_for_nobody() -> Iterator[Message]:
    for number in range(3000):
        yield Message(f"structiot/\x1b[2J{number}/x/set", b"\x1b]0;x\x07" * 50)


def _commands_that_cannot_be() -> Iterator[Message]:
    for number in range(3000):
        yield Message(f"structiot/desk/{number}/set", b"[" * 4096)


def _long_payloads() -> Iterator[Message]:
    for _ in range(30):
        yield Message("structiot/desk/relay/set", bytes(1_000_000))


def _announcements() -> Iterator[Message]:
    many = announcement(
        {f"k{number}": {"platform": "switch"} for number in range(5000)}
    )
    keys = announcement(dict.fromkeys(["+", "#", "\0", "\ud800", "k" * 70_000], 1))
    deep = b"[" * 100_000
    for number in range(30):
        for payload in (many, keys, deep):
            topic = f"homeassistant/device/structiot_{number}_{len(payload)}/config"
            yield Message(topic, payload, retain=True)
    for number in range(2000):
        topic = f"homeassistant/switch/structiot_{number}/relay/config"
        yield Message(topic, announcement({}), retain=True)


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
        _announcements,
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


async def test_what_anybody_has_retained(mqtt_broker, watched, attacker):
    messages = [encode(message, 4) for message in _announcements()]
    uri, device = mqtt_broker.uri, plug()
    await anyio.to_thread.run_sync(publish, attacker, uri, messages)
    async with watched(good=uri), gateway_of(uri, device) as gateway:
        await anyio.sleep(3)
        await still_works(gateway, uri, device)
        assert len(gateway.publisher.wanted) < 100
