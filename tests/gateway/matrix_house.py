"""One device of each kind, all ways out, in memory: a strip, a Meross plug, a lamp that
dials in, and a Tasmota on the broker; MQTT, Home Assistant, the platform and the page."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import anyio

from structiot.dashboard import open_dashboard
from structiot.gateway import Gateway, open_gateway
from structiot.manager import ManagedDevice, open_manager_client
from structiot.mqtt import MqttClient
from structiot.sim import (
    SeplPlatformSim,
    sim_maxsmart,
    sim_meross_device,
    sim_sepl_platform,
)
from tests.dashboard.browser import Browser
from tests.gateway.memory_house import URI, House

STRIP, PLUG, UUID = "10.0.0.1", "10.0.0.2", "1862cfe1-5dab-4d8e-a946-50d6728f830f"
KEY = "a key"
LAMP = "manager_1862cfe1_5dab_4d8e_a946_50d6728f830f"
TOPIC_LINK = {
    "from": "mqtt:stat/tasmota_1/POWER",
    "to": "tasmota/power",
    "kind": "switch",
    "set_topic": "cmnd/tasmota_1/POWER",
    "availability": "tele/tasmota_1/LWT",
}
OFFER = {"from": "*", "to": "platform", "type": "iot#plug"}
CONFIG: dict[str, Any] = {
    "mqtt": {"uri": URI},
    "maxsmart": {
        "discover": False,
        "poll_s": 1.0,
        "devices": [{"host": STRIP, "name": "strip"}],
    },
    "meross": {"devices": [{"host": PLUG, "key": KEY, "name": "plug"}]},
    "manager": {
        "types": {"lamp": {"switches": [{"name": "Light", "member": "is_on"}]}}
    },
    "dashboard": {"listen": ["http://127.0.0.1:0"]},
}


@dataclass(frozen=True)
class Place:
    """Where a device's switch is, by each of its names."""

    device: str
    entity: str
    platform: str

    @property
    def key(self) -> str:
        return f"{self.device}/{self.entity}"


PLACES = {
    "maxsmart": Place("strip", "port_1", "maxsmart:"),
    "meross": Place("plug", "switch", "meross:"),
    "manager": Place(LAMP, "light", f"manager:{UUID}"),
    "mqtt": Place("tasmota", "power", "mqtt:tasmota"),
}


class Tasmota:
    """Does on the broker what a Tasmota does."""

    def __init__(self, client: MqttClient) -> None:
        self.client = client
        self.is_on = False

    async def tell(self) -> None:
        word = "ON" if self.is_on else "OFF"
        await self.client.publish("stat/tasmota_1/POWER", word, 1, retain=True)

    async def serve(self) -> None:
        await self.client.publish("tele/tasmota_1/LWT", "Online", 1, retain=True)
        await self.tell()
        async with self.client.subscription("cmnd/tasmota_1/POWER") as messages:
            async for message in messages:
                self.is_on = message.payload.decode().upper() == "ON"
                await self.tell()


class Lamp:
    """Obeys, and tells what it does."""

    def __init__(self, client: ManagedDevice) -> None:
        self.client = client
        self.is_on = False

    async def tell(self) -> None:
        await self.client.send(json.dumps({"is_on": self.is_on}))

    async def serve(self) -> None:
        async for message in self.client:
            self.is_on = message == b"on"
            await self.tell()


class Matrix:
    """All of it."""

    def __init__(self) -> None:
        self.house = House()
        self.gateway: Gateway
        self.client: MqttClient
        self.platform: SeplPlatformSim
        self.browser: Browser
        self.heard: dict[str, str] = {}
        self.shown: dict[str, Any] = {}
        self.press: dict[str, Callable[[], Awaitable[None]]] = {}

    def is_on(self, system: str) -> bool:
        """What the gateway has, which is what the device has said."""
        place = PLACES[system]
        return self.gateway.devices[place.device].states[place.entity] is True

    def uri(self, system: str) -> str:
        prefix = PLACES[system].platform
        return next(
            one.uri for one in self.platform.devices if one.uri.startswith(prefix)
        )

    async def follow(self) -> None:
        async with self.client.subscription("#", qos=1) as messages:
            async for message in messages:
                self.heard[message.topic] = message.payload.decode()

    async def watch_page(self) -> None:
        async with self.browser.stream() as stream:
            while True:
                event = await stream.event()
                if event.kind in {"snapshot", "state"}:
                    self.shown.update(event.data)


@asynccontextmanager
async def matrix(*links: dict[str, Any]) -> AsyncIterator[Matrix]:
    """Open all of it, with links besides those that it needs."""
    made = Matrix()
    environment = made.house.environment
    async with (
        made.house.broker(),
        made.house.client() as made.client,
        made.house.client() as of_tasmota,
        sim_sepl_platform(environment=environment) as made.platform,
        sim_maxsmart(STRIP, environment=environment) as strip,
        sim_meross_device(PLUG, key=KEY, environment=environment) as plug,
    ):
        connector = {**made.platform.config, "encryption": False}
        config = {
            **CONFIG,
            "connector": connector,
            "links": [TOPIC_LINK, OFFER, *links],
        }
        async with (
            open_gateway(config, environment=environment) as made.gateway,
            open_manager_client(
                "127.0.0.1",
                uuid=UUID,
                type="lamp",
                data={"is_on": False, "name": "lamp"},
                environment=environment,
            ) as of_lamp,
            open_dashboard(made.gateway, environment=environment) as dashboard,
            anyio.create_task_group() as tasks,
        ):
            port = urlsplit(dashboard.urls[0]).port or 80
            made.browser = Browser(environment.network, port)
            tasmota, lamp = Tasmota(of_tasmota), Lamp(of_lamp)

            async def press(one: Tasmota | Lamp) -> None:
                one.is_on = not one.is_on
                await one.tell()

            made.press = {
                "maxsmart": lambda: strip.press(1),
                "meross": plug.press,
                "manager": lambda: press(lamp),
                "mqtt": lambda: press(tasmota),
            }
            for run in (tasmota.serve, lamp.serve, made.follow, made.watch_page):
                tasks.start_soon(run)
            await anyio.sleep(12)
            yield made
            tasks.cancel_scope.cancel()
