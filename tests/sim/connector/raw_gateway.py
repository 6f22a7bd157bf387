"""A gateway by hand: JSON over a websocket, and nothing of the connector."""

from __future__ import annotations

import contextlib
import json
import ssl
from collections.abc import AsyncIterator
from typing import Any

import anyio

from structiot._kit.net.tls import client_context
from structiot._kit.streams import StreamOpener
from structiot._kit.websocket import WebSocket
from structiot.sim import SeplPlatformSim

LAMP = {
    "uri": "dev1",
    "name": "Lamp",
    "iot_type": "iot#type-1",
    "tags": ["room:kitchen", "floor:1"],
}


class RawGateway:
    """One connection; what comes is read when it is asked for."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.gid = ""
        self.hash: Any = None
        self._tokens = 0

    async def tell(self, value: object) -> None:
        await self.websocket.send(
            value if isinstance(value, str) else json.dumps(value)
        )

    async def hear(self) -> Any:
        return json.loads(await self.websocket.receive())

    async def log_in(
        self, user: str = "testuser", password: str = "secret", gid: str = ""
    ) -> None:
        first = {"user": user, "pw": password, "gid": gid, "token": "credentials"}
        await self.tell(first)
        answer = await self.hear()
        assert answer["token"] == "credentials"
        assert answer["status"] == 200
        assert answer["handler"] == "response"
        assert answer["content_type"] == "map"
        self.gid, self.hash = answer["payload"]["gid"], answer["payload"]["hash"]

    async def ask(self, handler: str, payload: object = None) -> tuple[int, Any]:
        """Ask, and give status and payload of the answer, which is what comes next."""
        token = await self.start(handler, payload)
        answer = await self.hear()
        assert answer["handler"] == "response"
        assert answer["token"] == token
        return answer["status"], answer["payload"]

    async def start(self, handler: str, payload: object = None) -> str:
        """Ask, and give the token."""
        self._tokens += 1
        token = f"token-{self._tokens}"
        message = {"status": 0, "handler": handler, "token": token, "content_type": ""}
        await self.tell({**message, "payload": payload})
        return token

    async def event(self, data: str, *, service: str = "svc") -> tuple[int, Any]:
        value = [{"name": "metadata", "value": "meta"}, {"name": "data", "value": data}]
        payload = {"device_uri": "dev1", "service_uri": service, "value": value}
        return await self.ask("event", payload)

    async def command(self) -> dict[str, Any]:
        """Hear a command, and give its payload."""
        command = await self.hear()
        assert command["handler"] == "command"
        assert (command["token"], command["status"]) == ("", 0)
        payload: dict[str, Any] = command["payload"]
        return payload

    async def closed(self) -> tuple[int | None, str]:
        """Read to the end, which is a close in good order."""
        with contextlib.suppress(anyio.EndOfStream):
            while True:
                await self.websocket.receive()
        return self.websocket.close_code, self.websocket.close_reason


@contextlib.asynccontextmanager
async def connected(
    platform: SeplPlatformSim, *, tls: ssl.SSLContext | None = None
) -> AsyncIterator[RawGateway]:
    """A connection that has not logged in."""
    opener = StreamOpener(platform.environment.network, tls=tls or client_context)
    websocket = await opener.open_websocket(
        platform.host, platform.port, is_tls=tls is not None
    )
    try:
        yield RawGateway(websocket)
    finally:
        await websocket.aclose()


@contextlib.asynccontextmanager
async def gateway(
    platform: SeplPlatformSim, gid: str = "", *, has_lamp: bool = False
) -> AsyncIterator[RawGateway]:
    """A connection that has logged in, and has put one device if it is told to."""
    async with connected(platform) as raw:
        await raw.log_in(gid=gid)
        if has_lamp:
            assert await raw.ask("put", LAMP) == (200, "ok")
        yield raw
