"""A server that takes line protocol as InfluxDB does, and looks at each character of it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from structiot._kit.flow.tasks import service_group
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpServer
from structiot.testing import MemoryNetwork

NAME = re.compile(r"(?:\\[,= \\]|[^,= \\\n\r]|\\(?![,= ]))+")
MEASUREMENT = re.compile(r"(?:\\[, ]|[^, \n\r])+")
FLOAT = re.compile(r"-?\d+(?:\.\d+)?(?:e[+-]?\d+)?")
STRING = re.compile(r'"((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Point:
    measurement: str
    tags: dict[str, str] = field(hash=False)
    fields: dict[str, float | str] = field(hash=False)
    at_ms: int = 0


def plain(text: str) -> str:
    return re.sub(r"\\([,= ])", r"\1", text)


def parse(line: str) -> Point:
    """Read a line; a ValueError says where it is none."""
    at, measurement = _taken(MEASUREMENT, line, 0)
    tags: dict[str, str] = {}
    while line[at] == ",":
        at, key = _taken(NAME, line, at + 1)
        at = _past("=", line, at)
        at, tags[plain(key)] = _taken(NAME, line, at)
    at = _past(" ", line, at)
    fields: dict[str, float | str] = {}
    while True:
        at, key = _taken(NAME, line, at)
        at = _past("=", line, at)
        if found := STRING.match(line, at):
            text = re.sub(r'\\(["\\])', r"\1", found[1])
            at, fields[plain(key)] = found.end(), text
        else:
            at, figure = _taken(FLOAT, line, at)
            fields[plain(key)] = float(figure)
        if line[at] != ",":
            break
        at += 1
    at = _past(" ", line, at)
    if not line[at:].isdecimal():
        raise ValueError(f"no time at {at} of {line!r}")
    if list(tags) != sorted(tags):
        raise ValueError(f"tags are not in order: {line!r}")
    tags = {key: plain(value) for key, value in tags.items()}
    return Point(plain(measurement), tags, fields, int(line[at:]))


def _taken(pattern: re.Pattern[str], line: str, at: int) -> tuple[int, str]:
    found = pattern.match(line, at)
    if found is None:
        raise ValueError(f"cannot read {line!r} at {at}")
    return found.end(), found[0]


def _past(mark: str, line: str, at: int) -> int:
    if line[at] != mark:
        raise ValueError(f"no {mark!r} at {at} of {line!r}")
    return at + 1


class InfluxServer:
    """Takes points, unless it shall do something else."""

    def __init__(self) -> None:
        self.points: list[Point] = []
        self.requests: list[HttpRequest] = []
        self.replies: list[HttpReply] = []
        self.refuses = b""

    async def handle(self, request: HttpRequest) -> HttpReply:
        self.requests.append(request)
        if self.replies:
            return self.replies.pop(0)
        if self.refuses and self.refuses in request.body:
            said = {"code": "invalid", "message": "partial write: field type conflict"}
            return HttpReply.of_json(said, status=400)
        assert request.body.endswith(b"\n")
        self.points += map(parse, request.body.decode().splitlines())
        return HttpReply(status=204)

    @asynccontextmanager
    async def on(self, network: MemoryNetwork, port: int = 8086) -> AsyncIterator[None]:
        async with service_group() as tasks:
            async with network.listen_tcp("127.0.0.1", port) as listener:
                tasks.start_soon(listener.serve, HttpServer(self.handle).serve)
                yield
