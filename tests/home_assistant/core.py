"""A running Home Assistant core, and what a person would look at in it."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import httpx

from structiot._kit.websocket.connection import WebSocket, connect_websocket

HOST = "127.0.0.1"
CLIENT_ID = "http://127.0.0.1/"
# It installs what its integrations need at the first start.
_START_S = 540.0
_STOP_S = 30.0
_LOOK_EVERY_S = 0.2
_COMPLAINT = re.compile(r"^\S+ \S+ (WARNING|ERROR|CRITICAL) ")
# It says so of the topic of a device that has moved to those of its entities, as its own
# instructions for that have it cleared; and for each entity of a device that is gone, for
# which it clears the topic itself: it finds that too much.
_ITS_OWN = re.compile(
    "No device components to cleanup for |"
    r"Module homeassistant\.components\.mqtt\.discovery is logging too frequently"
)
CONFIGURATION = """\
homeassistant:
  name: House
  latitude: 47.0
  longitude: 8.0
  elevation: 400
  unit_system: metric
  time_zone: UTC
  country: CH
  currency: CHF
http:
  server_host: 127.0.0.1
  server_port: {port}
energy:
recorder:
  commit_interval: 1
logger:
  default: warning
"""


class HomeAssistant:
    """One process with a folder of its own; its owner is made as in the browser."""

    def __init__(self, program: Path, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._tokens: dict[str, Any] = {}
        self.entry = ""

    @property
    def url(self) -> str:
        return f"http://{HOST}:{self.port}"

    def start(self) -> None:
        """Start it; returns when its pages are served."""
        text = CONFIGURATION.format(port=self.port)
        (self.folder / "configuration.yaml").write_text(text, "utf-8")
        environment = {**os.environ, "UV_SYSTEM_CERTS": "true"}
        # It installs what it needs as it starts: into its own environment.
        environment["VIRTUAL_ENV"] = str(self._program.parent.parent)
        # And not for the Python that nox tells uv to install for.
        for name in ("PYTHONPATH", "UV_PYTHON", "UV_SYSTEM_PYTHON"):
            environment.pop(name, None)
        output = self.folder / "output.log"
        with output.open("ab") as log:
            self._process = subprocess.Popen(
                [str(self._program), "-c", str(self.folder)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=environment,
            )
        give_up_at = time.monotonic() + _START_S
        while not self._serves():
            assert self._process.poll() is None, output.read_text("utf-8")
            assert time.monotonic() < give_up_at, output.read_text("utf-8")
            time.sleep(0.5)

    def _serves(self) -> bool:
        try:
            response = httpx.get(f"{self.url}/manifest.json", timeout=5)
        except httpx.HTTPError:
            return False
        return response.status_code == httpx.codes.OK

    def stop(self) -> None:
        if self._process is None:
            return
        self._process.send_signal(signal.SIGTERM)
        try:
            self._process.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def set_up(self, broker_port: int) -> None:
        """Make its owner, and tell it of the broker."""
        owner = {
            "client_id": CLIENT_ID,
            "name": "Owner",
            "username": "owner",
            "password": "a long password",
            "language": "en",
        }
        with httpx.Client(base_url=self.url, timeout=60) as client:
            given = client.post("/api/onboarding/users", json=owner).json()
            code = {
                "client_id": CLIENT_ID,
                "grant_type": "authorization_code",
                "code": given["auth_code"],
            }
            self._tokens = client.post("/auth/token", data=code).json()
        flows = "/api/config/config_entries/flow"
        flow = self.post(flows, {"handler": "mqtt", "show_advanced_options": False})
        broker = {"broker": HOST, "port": broker_port}
        made = self.post(f"{flows}/{flow['flow_id']}", broker)
        assert made["type"] == "create_entry", made
        self.entry = made["result"]["entry_id"]

    def post(self, path: str, body: dict[str, Any]) -> Any:
        headers = {"Authorization": f"Bearer {self._token()}"}
        # The broker is asked at once, and integrations are set up.
        response = httpx.post(self.url + path, json=body, headers=headers, timeout=120)
        assert response.is_success, (path, response.status_code, response.text)
        return response.json()

    def _token(self) -> str:
        return str(self._tokens["access_token"])

    def take_prefix(self, prefix: str) -> None:
        """Have it look for devices below another discovery prefix."""
        flows = "/api/config/config_entries/options/flow"
        flow = self.post(flows, {"handler": self.entry})
        options = {
            "discovery": True,
            "discovery_prefix": prefix,
            "birth_enable": True,
            "birth_topic": f"{prefix}/status",
            "birth_payload": "online",
            "birth_qos": 0,
            "birth_retain": False,
            "will_enable": True,
            "will_topic": f"{prefix}/status",
            "will_payload": "offline",
            "will_qos": 0,
            "will_retain": False,
        }
        ended = self.post(f"{flows}/{flow['flow_id']}", options)
        assert ended["type"] == "create_entry", ended

    def reload(self) -> None:
        """Have it leave the broker, and come back with a birth message."""
        self.post(f"/api/config/config_entries/entry/{self.entry}/reload", {})

    def complaints(self) -> list[str]:
        """Give what it has warned of so far."""
        log = (self.folder / "home-assistant.log").read_text("utf-8")
        lines = [line for line in log.splitlines() if _COMPLAINT.match(line)]
        return [line for line in lines if not _ITS_OWN.search(line)]

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Api]:
        """Speak to it by its websocket."""
        async with await anyio.connect_tcp(HOST, self.port) as stream:
            websocket = await connect_websocket(
                stream, host=HOST, path="/api/websocket"
            )
            await websocket.receive()
            login = {"type": "auth", "access_token": self._token()}
            await websocket.send(json.dumps(login))
            answer = json.loads(await websocket.receive())
            assert answer["type"] == "auth_ok", answer
            yield Api(websocket)


class Api:
    """The commands of its websocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket
        self._last_id = 0

    async def ask(self, kind: str, **more: Any) -> Any:
        self._last_id += 1
        await self._websocket.send(
            json.dumps({"id": self._last_id, "type": kind, **more})
        )
        while True:
            answer = json.loads(await self._websocket.receive())
            if answer.get("id") == self._last_id and answer["type"] == "result":
                assert answer["success"], (kind, answer)
                return answer["result"]

    async def entity_ids(self, unique_ids: str) -> dict[str, str]:
        """Give the entities of MQTT whose unique id begins so, by unique id."""
        entries = await self.ask("config/entity_registry/list")
        return {
            entry["unique_id"]: entry["entity_id"]
            for entry in entries
            if entry["platform"] == "mqtt" and entry["unique_id"].startswith(unique_ids)
        }

    async def enabled(self, unique_ids: str) -> dict[str, str]:
        """Give those of them that are enabled."""
        entries = await self.ask("config/entity_registry/list")
        return {
            entry["unique_id"]: entry["entity_id"]
            for entry in entries
            if entry["platform"] == "mqtt"
            and entry["unique_id"].startswith(unique_ids)
            and entry["disabled_by"] is None
        }

    async def states(self, entity_ids: Iterable[str]) -> dict[str, str]:
        wanted = set(entity_ids)
        return {
            one["entity_id"]: one["state"]
            for one in await self.ask("get_states")
            if one["entity_id"] in wanted
        }

    async def entity(self, entity_id: str) -> dict[str, Any]:
        """Give all that is shown of one entity."""
        states = await self.ask("get_states")
        found = [one for one in states if one["entity_id"] == entity_id]
        assert found, f"{entity_id} is not there"
        return dict(found[0])

    async def call(self, entity_id: str, service: str, **data: Any) -> None:
        """Tell an entity something, as its owner does on a page."""
        await self.ask(
            "call_service",
            domain=entity_id.partition(".")[0],
            service=service,
            service_data=data,
            target={"entity_id": entity_id},
        )

    async def rename(self, entity_id: str, new: str) -> None:
        """Give an entity another id, as its owner does."""
        await self.ask(
            "config/entity_registry/update", entity_id=entity_id, new_entity_id=new
        )

    async def until(
        self, look: Callable[[], Any], *, within_s: float = 30, what: str = ""
    ) -> Any:
        """Look again and again until what is given is true, and give it."""
        with anyio.move_on_after(within_s):
            while True:
                if found := await look():
                    return found
                # It tells nobody when this will be otherwise.
                await anyio.sleep(_LOOK_EVERY_S)
        raise AssertionError(what or look)

    async def until_available(
        self, unique_ids: str, count: int, *, within_s: float = 30
    ) -> dict[str, str]:
        """Wait until so many entities are there, all of them available."""
        seen: dict[str, str] = {}

        async def look() -> dict[str, str]:
            ids = await self.enabled(unique_ids)
            seen.clear()
            seen.update(await self.states(ids.values()))
            away = [one for one in ids.values() if seen.get(one) in {None, _AWAY}]
            return {} if away or len(ids) < count else ids

        try:
            return dict(await self.until(look, within_s=within_s))
        except AssertionError:
            what = f"{unique_ids}: not {count} entities are available"
            raise AssertionError(f"{what}: {seen}") from None

    async def until_away(self, entity_ids: Iterable[str]) -> None:
        """Wait until none of them is available."""

        async def look() -> bool:
            return set((await self.states(entity_ids)).values()) == {_AWAY}

        await self.until(look, what="they are still available")


_AWAY = "unavailable"
