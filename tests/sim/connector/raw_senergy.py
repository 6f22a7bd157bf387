"""A client of the simulated SENERGY platform by hand, with nothing of the connector."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote, urlsplit

from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.http.messages import HttpReply
from structiot.mqtt import MqttClient, open_mqttclient
from structiot.sim import SenergySim

LAMP = {
    "local_id": "dev1",
    "name": "Lamp",
    "device_type_id": "lamp",
    "attributes": [{"key": "room", "value": "kitchen", "origin": "raw"}],
}
FAN = {"local_id": "dev2", "name": "Fan", "device_type_id": "fan", "attributes": []}


class RawSenergy:
    """Calls of the HTTP side, by one user."""

    def __init__(self, http: HttpClient, platform: SenergySim) -> None:
        self.http = http
        self.token = ""
        self._platform = platform

    async def ask_token(self, **form: str) -> HttpReply:
        path = urlsplit(str(self._platform.config["token_url"])).path
        return await self.http.request("POST", path, form={"client_id": "x", **form})

    async def log_in(self, user: str = "testuser", password: str = "secret") -> Any:
        reply = await self.ask_token(
            grant_type="password", username=user, password=password
        )
        assert reply.status == 200
        answer = json_of(reply)
        self.token = answer["access_token"]
        return answer

    async def call(
        self, method: str, *levels: str, json: object = None, **query: str
    ) -> tuple[int, Any]:
        """Give status and body; a text where it is no JSON."""
        path = "".join(f"/{quote(one, safe='')}" for one in levels)
        root = "" if levels[0] == "device-repository" else "/device-manager"
        headers = {"Authorization": f"Bearer {self.token}"}
        reply = await self.http.request(
            method, f"{root}{path}", query=query, json=json, headers=headers
        )
        is_json = reply.headers.get("content-type", "").startswith("application/json")
        body: Any = reply.body.decode().strip()
        return reply.status, reply.json() if is_json and reply.body else body

    async def make(self, *devices: object) -> None:
        for one in devices:
            status, told = await self.call("POST", "local-devices", json=one)
            assert status == 200, told

    async def make_hub(self, *local_ids: str) -> str:
        body = {"id": None, "name": "Hub", "hash": None, "device_local_ids": local_ids}
        status, hub = await self.call("POST", "hubs", json=body)
        assert status == 200, hub
        return str(hub["id"])


@asynccontextmanager
async def logged_in(
    platform: SenergySim, user: str = "testuser", password: str = "secret"
) -> AsyncIterator[RawSenergy]:
    network = platform.environment.network
    async with open_http(platform.url, network=network) as http:
        raw = RawSenergy(http, platform)
        await raw.log_in(user, password)
        yield raw


@asynccontextmanager
async def mqtt_of(
    platform: SenergySim, client_id: str = "raw", **changes: Any
) -> AsyncIterator[MqttClient]:
    settings = {
        "username": "testuser",
        "password": "secret",
        "protocol": "3.1.1",
        "auto_reconnect": False,
        **changes,
    }
    async with open_mqttclient(
        platform.broker.uri, client_id, settings, environment=platform.environment
    ) as client:
        yield client


def json_of(reply: HttpReply) -> Any:
    return reply.json()


def command_of(payload: bytes) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(payload)
    return found
