"""A client that says exactly what a test has it say, and reads event streams."""

from __future__ import annotations

import gzip
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import urlencode

import anyio
import h11
from anyio.abc import ByteStream

from structiot._kit.http.messages import field_dict

HOST = "127.0.0.1"


@dataclass
class Answer:
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""

    @property
    def text(self) -> str:
        packed = self.headers.get("content-encoding") == "gzip"
        return (gzip.decompress(self.body) if packed else self.body).decode()

    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Event:
    kind: str
    id: str
    data: Any
    at_s: float


class Stream:
    """An event stream, read piece by piece."""

    def __init__(self, stream: ByteStream, http: h11.Connection) -> None:
        self._stream = stream
        self._http = http
        self._text = b""
        self.first_line = b""

    async def event(self) -> Event:
        """Read the next event; a block without data is passed over."""
        while True:
            while b"\n\n" not in self._text:
                part = await _next_event(self._stream, self._http)
                if not isinstance(part, h11.Data):
                    raise anyio.EndOfStream
                self._text += bytes(part.data)
            block, _, self._text = self._text.partition(b"\n\n")
            lines = dict(line.split(b": ", 1) for line in block.split(b"\n"))
            if b"retry" in lines:
                self.first_line = block
            if b"data" in lines:
                return Event(
                    kind=lines[b"event"].decode(),
                    id=lines[b"id"].decode(),
                    data=json.loads(lines[b"data"]),
                    at_s=anyio.current_time(),
                )

    async def of_kind(self, kind: str) -> Event:
        while True:
            event = await self.event()
            if event.kind == kind:
                return event


async def _next_event(stream: ByteStream, http: h11.Connection) -> Any:
    while (event := http.next_event()) is h11.NEED_DATA:
        try:
            http.receive_data(await stream.receive())
        except anyio.EndOfStream:
            http.receive_data(b"")
    return event


class Connects(Protocol):
    async def connect_tcp(self, host: str, port: int) -> ByteStream: ...


class Browser:
    """Asks one page, with the same header fields each time.

    Header fields with the value None are left out.
    """

    def __init__(self, network: Connects, port: int, **headers: str | None) -> None:
        self.network = network
        self.port = port
        self.place = f"{HOST}:{port}"
        self.headers: dict[str, str | None] = {"Host": self.place}
        self.headers |= {k.replace("_", "-"): v for k, v in headers.items()}

    async def ask(
        self,
        method: str,
        target: str,
        headers: Mapping[str, str | None] | None = None,
        body: bytes = b"",
    ) -> Answer:
        async with await self.network.connect_tcp(HOST, self.port) as stream:
            http, answer = await self._asked(stream, method, target, headers, body)
            while isinstance(part := await _next_event(stream, http), h11.Data):
                answer.body += bytes(part.data)
        return answer

    async def _asked(
        self,
        stream: ByteStream,
        method: str,
        target: str,
        headers: Mapping[str, str | None] | None,
        body: bytes,
    ) -> tuple[h11.Connection, Answer]:
        fields = {**self.headers, **(headers or {})}
        if method not in ("GET", "HEAD"):
            fields.setdefault("Content-Length", str(len(body)))
        http = h11.Connection(h11.CLIENT)
        given = [
            (name.encode(), value.encode("latin-1"))
            for name, value in fields.items()
            if value is not None
        ]
        request = h11.Request(method=method, target=target, headers=given)
        data = http.send(request) or b""
        data += http.send(h11.Data(data=body)) or b""
        await stream.send(data + (http.send(h11.EndOfMessage()) or b""))
        head = await _next_event(stream, http)
        return http, Answer(head.status_code, field_dict(head.headers))

    async def get(self, target: str, **headers: str | None) -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("GET", target, named)

    async def post(
        self, target: str, json_value: Any = None, **headers: str | None
    ) -> Answer:
        named: dict[str, str | None] = {"Content-Type": "application/json"}
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        return await self.ask("POST", target, named, json.dumps(json_value).encode())

    async def set(self, key: str, value: Any, **headers: str | None) -> Answer:
        """Set an entity as the page does, with the token that it has."""
        token = (await self.get("/api/session")).headers["x-csrf-token"]
        headers.setdefault("X_CSRF_Token", token)
        return await self.post(f"/api/set/{key}", {"value": value}, **headers)

    async def sign_in(self, token: str, **headers: str | None) -> Answer:
        named: dict[str, str | None] = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Origin": f"http://{self.place}",
        }
        named |= {name.replace("_", "-"): value for name, value in headers.items()}
        body = urlencode({"token": token}).encode()
        answer = await self.ask("POST", "/login", named, body)
        if "set-cookie" in answer.headers and answer.status == 303:
            self.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]
        return answer

    @asynccontextmanager
    async def stream(
        self, target: str = "/events", **headers: str | None
    ) -> AsyncIterator[Stream]:
        async with await self.network.connect_tcp(HOST, self.port) as stream:
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            http, answer = await self._asked(stream, "GET", target, named, b"")
            assert answer.status == 200, answer
            assert answer.headers["content-type"] == "text/event-stream"
            yield Stream(stream, http)
