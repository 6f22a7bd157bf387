"""Apps and devices of a simulated cloud, scripted by hand over real MQTT."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio

from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    decode_envelope,
    encode_envelope,
    is_signed,
)
from structiot.meross.wire.mqtt import (
    app_id_of,
    app_password,
    app_topic,
    client_id_of_app,
    device_password,
    publish_topic,
    request_topic,
    user_topic,
)
from structiot.mqtt import Message, Messages, MqttClient, open_mqttclient
from structiot.sim.meross import MerossCloudSim

UUID = "2401010000000000000048e1e9aabbcc"
_NUMBERS = itertools.count()


class Party:
    """Somebody on a broker: an app or a device."""

    def __init__(
        self, cloud: MerossCloudSim, mqtt: MqttClient, *heard: Messages
    ) -> None:
        self.cloud = cloud
        self.mqtt = mqtt
        self.heard = heard

    async def say(
        self,
        topic: str,
        namespace: str,
        method: Method = Method.PUSH,
        **fields: Any,
    ) -> Envelope:
        envelope = Envelope(
            namespace=namespace,
            method=method,
            message_id=fields.pop("message_id", f"{next(_NUMBERS):032x}"),
            timestamp_s=1_700_000_000,
            **fields,
        )
        await self.mqtt.publish(topic, encode_envelope(envelope, self.cloud.key), qos=1)
        return envelope

    async def hear(self, box: int = 0) -> Envelope:
        """Wait for the next message; its signature is right."""
        with anyio.fail_after(10):
            envelope = await self.hear_unsigned(box)
        assert is_signed(envelope, self.cloud.key)
        return envelope

    async def hear_unsigned(self, box: int = 0) -> Envelope:
        return self.understood(await anext(self.heard[box]))

    @staticmethod
    def understood(message: Message) -> Envelope:
        return decode_envelope(message.payload, message.topic)

    async def hears_nothing(self, box: int = 0, for_s: float = 1.0) -> bool:
        with anyio.move_on_after(for_s):
            await anext(self.heard[box])
            return False
        return True


class App(Party):
    """Hears what all devices say in box 0, and what it is answered in box 1."""

    app_id = ""

    async def ask(
        self, namespace: str, method: Method = Method.GET, uuid: str = UUID, **more: Any
    ) -> Envelope:
        sender = app_topic(self.cloud.user_id, self.app_id)
        return await self.say(
            request_topic(uuid), namespace, method, sender=sender, **more
        )


class Device(Party):
    """Hears what it is asked in box 0."""

    uuid = UUID

    async def push(self, namespace: str, **fields: Any) -> Envelope:
        topic = publish_topic(self.uuid)
        return await self.say(topic, namespace, sender=topic, **fields)

    async def answer_next(self) -> Envelope:
        asked = await self.hear()
        await self.answer(asked)
        return asked

    async def answer(self, asked: Envelope) -> None:
        method = Method.GETACK if asked.method is Method.GET else Method.SETACK
        await self.say(
            asked.sender,
            asked.namespace,
            method,
            message_id=asked.message_id,
            sender=publish_topic(self.uuid),
        )


@asynccontextmanager
async def mqtt_of(
    cloud: MerossCloudSim,
    client_id: str,
    username: str,
    password: str,
    broker: int = 0,
    **config: Any,
) -> AsyncIterator[MqttClient]:
    settings = {"protocol": "3.1.1", "username": username, "password": password}
    async with open_mqttclient(
        cloud.brokers[broker].uri,
        client_id,
        {**settings, **config},
        environment=cloud.environment,
    ) as mqtt:
        yield mqtt


@asynccontextmanager
async def app_of(
    cloud: MerossCloudSim, seed: str = "one", **config: Any
) -> AsyncIterator[App]:
    user_id, app_id = cloud.user_id, app_id_of(seed)
    client_id = client_id_of_app(app_id)
    password = app_password(user_id, cloud.key)
    async with (
        mqtt_of(cloud, client_id, user_id, password, **config) as mqtt,
        mqtt.subscription(user_topic(user_id), 1) as pushes,
        mqtt.subscription(app_topic(user_id, app_id), 1) as answers,
    ):
        app = App(cloud, mqtt, pushes, answers)
        app.app_id = app_id
        yield app


@asynccontextmanager
async def device_of(
    cloud: MerossCloudSim, uuid: str = UUID, suffix: str = "_abc", **config: Any
) -> AsyncIterator[Device]:
    mac = cloud.devices[uuid].mac
    password = device_password(cloud.user_id, mac, cloud.key)
    client_id = f"fmware:{uuid}{suffix}"
    async with (
        mqtt_of(cloud, client_id, mac, password, **config) as mqtt,
        mqtt.subscription(request_topic(uuid), 1) as requests,
    ):
        device = Device(cloud, mqtt, requests)
        device.uuid = uuid
        yield device
