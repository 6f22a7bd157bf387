"""A client that knows nothing of structiot's codecs: messages by hand, over raw HTTP."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from random import Random
from typing import Any

import anyio
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from structiot import Environment
from structiot._kit.net.memory import MemoryNetwork
from structiot.meross.wire.envelope import Envelope, Method
from structiot.sim.meross import MerossDeviceSim, MerossSim, sim_meross_device

KEY = "0123456789abcdef0123456789abcdef"
UUID = "2401010000000000000048e1e9aabbcc"
MAC = "48:e1:e9:aa:bb:cc"
NOON = datetime(2023, 11, 14, 22, 13, 20, tzinfo=UTC)
NOON_S = 1_700_000_000


def environment(network: MemoryNetwork | None = None) -> Environment:
    return Environment(
        network=network or MemoryNetwork(), clock=lambda: NOON, random=Random(7)
    )


@asynccontextmanager
async def device_at_noon(
    model: str = "mss310", **more: Any
) -> AsyncIterator[MerossSim]:
    place = more.pop("environment", None) or environment()
    async with sim_meross_device(
        model=model, uuid=UUID, environment=place, **more
    ) as sim:
        yield sim


def header(
    method: str, namespace: str, key: str = KEY, at_s: int = NOON_S
) -> dict[str, Any]:
    message_id = "00112233445566778899aabbccddeeff"
    sign = hashlib.md5(f"{message_id}{key}{at_s}".encode()).hexdigest()
    return {
        "messageId": message_id,
        "namespace": namespace,
        "method": method,
        "payloadVersion": 1,
        "from": "http://192.168.1.60/config",
        "timestamp": at_s,
        "sign": sign,
    }


def message(method: str, namespace: str, payload: Any, **more: Any) -> bytes:
    own = header(method, f"Appliance.{namespace}", **more)
    return json.dumps({"header": own, "payload": payload}).encode()


async def post(sim: MerossSim, body: bytes) -> bytes:
    """Send a request and give the body of the answer; empty if it hangs up."""
    network = sim.environment.network
    async with await network.connect_tcp(sim.host, sim.http_port) as stream:
        head = (
            f"POST /config HTTP/1.1\r\nHost: x\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        await stream.send(head.encode() + body)
        received = b""
        try:
            while True:
                received += await stream.receive()
                top, found, rest = received.partition(b"\r\n\r\n")
                length = re.search(rb"content-length: (\d+)", top, re.IGNORECASE)
                if found and length and len(rest) >= int(length[1]):
                    return rest
        except (anyio.EndOfStream, anyio.BrokenResourceError):
            return received.partition(b"\r\n\r\n")[2]


async def ask(
    sim: MerossSim, method: str, namespace: str, payload: Any = None, **more: Any
) -> dict[str, Any]:
    """Ask in the clear and give the whole answer."""
    body = message(method, namespace, {} if payload is None else payload, **more)
    answer = json.loads(await post(sim, body))
    assert isinstance(answer, dict)
    return answer


async def get(sim: MerossSim, namespace: str, payload: Any = None) -> Any:
    """Ask for something and give the payload."""
    answer = await ask(sim, "GET", namespace, payload)
    assert answer["header"]["method"] == "GETACK", answer
    return answer["payload"]


async def put(sim: MerossSim, namespace: str, payload: Any) -> Any:
    """Set something and give the payload of the answer."""
    answer = await ask(sim, "SET", namespace, payload)
    assert answer["header"]["method"] == "SETACK", answer
    return answer["payload"]


def pushes_of(device: MerossDeviceSim) -> list[tuple[str, Any]]:
    """Keep what a device says of itself: namespace without `Appliance.`, and payload."""
    said: list[tuple[str, Any]] = []
    device.on_push = lambda m: said.append(
        (m.namespace.removeprefix("Appliance."), json.loads(json.dumps(m.payload)))
    )
    return said


def asked(method: str, namespace: str, payload: Any, key: str = KEY) -> Envelope:
    own = header(method, namespace, key=key)
    return Envelope(
        namespace=namespace,
        method=Method(method),
        payload=payload,
        message_id=own["messageId"],
        timestamp_s=own["timestamp"],
        sign=own["sign"],
    )


def _cipher() -> Cipher[modes.CBC]:
    seed = UUID[3:22] + KEY[1:9] + MAC + KEY[10:28]
    key = hashlib.md5(seed.encode()).hexdigest().encode()
    return Cipher(algorithms.AES(key), modes.CBC(b"0" * 16))


def encrypted(plain: bytes) -> bytes:
    writer = _cipher().encryptor()
    return base64.b64encode(
        writer.update(plain + bytes(16 - len(plain) % 16)) + writer.finalize()
    )


def decrypted(data: bytes) -> Any:
    reader = _cipher().decryptor()
    plain = reader.update(base64.b64decode(data)) + reader.finalize()
    return json.loads(plain.rstrip(b"\0"))


@asynccontextmanager
async def heard(model: str, **more: Any) -> AsyncIterator[tuple[MerossSim, list[Any]]]:
    """Give a device, and what it has said: seconds since noon, name, payload."""
    said: list[Any] = []
    async with device_at_noon(model, **more) as sim:
        sim.device.on_push = lambda m: said.append(
            (
                m.timestamp_s - NOON_S,
                m.namespace.removeprefix("Appliance."),
                m.payload,
            )
        )
        yield sim, said
