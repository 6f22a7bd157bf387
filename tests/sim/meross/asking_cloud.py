"""Asks a simulated cloud as a client does, by hand."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from structiot import Environment
from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.net.network import Network
from structiot.meross.wire.cloud import Path, encode_request
from structiot.meross.wire.digests import md5_hex
from structiot.sim.meross import MerossCloudSim, sim_meross_cloud
from structiot.testing import MemoryNetwork

HOST = "iotx-eu.example"
UUID = "2401010000000000000048e1e9aabbcc"
PASSWORD = "correct horse"


class Asker:
    """One client; `token` is sent once there is one."""

    def __init__(self, http: HttpClient) -> None:
        self.http = http
        self.token = ""

    async def whole(
        self, path: str, params: Mapping[str, object] | None = None, /, **fields: Any
    ) -> Any:
        body = json.loads(
            encode_request(params or {}, timestamp_ms=1700000000123, nonce="ABCDEFGH")
        )
        headers = {"Authorization": f"Basic {self.token}".strip()}
        reply = await self.http.request(
            "POST", path, headers=headers, json={**body, **fields}
        )
        members = reply.json()
        assert isinstance(members, dict)
        return {"status": reply.status, **members}

    async def code(
        self, path: str, params: Mapping[str, object] | None = None, /, **fields: Any
    ) -> int:
        code = (await self.whole(path, params, **fields))["apiStatus"]
        assert isinstance(code, int)
        return code

    async def data(self, path: str, params: Mapping[str, object] | None = None) -> Any:
        reply = await self.whole(path, params)
        assert reply["apiStatus"] == 0, reply
        return reply["data"]

    async def sign_in(self, password: str = PASSWORD, **params: Any) -> Any:
        words = {
            "email": "user@example.com",
            "password": md5_hex(password),
            "encryption": 1,
            "accountCountryCode": "us",
            "agree": 0,
        }
        reply = await self.whole(Path.SIGN_IN, {**words, **params})
        if reply["apiStatus"] == 0:
            self.token = reply["data"]["token"]
        return reply


@asynccontextmanager
async def asker(url: str, network: Network) -> AsyncIterator[Asker]:
    async with open_http(url, network=network) as http:
        yield Asker(http)


@asynccontextmanager
async def cloud_and_asker(
    **arguments: Any,
) -> AsyncIterator[tuple[MerossCloudSim, Asker]]:
    network = MemoryNetwork()
    environment = Environment(network=network)
    async with (
        sim_meross_cloud(host=HOST, environment=environment, **arguments) as cloud,
        asker(cloud.url, network) as ask,
    ):
        yield cloud, ask
