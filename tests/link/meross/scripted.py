"""A device that says what a test tells it to, in the local network or on a broker."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import anyio

from structiot import Environment
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpServer
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import Network
from structiot.meross.wire.batch import MULTIPLE
from structiot.meross.wire.encryption import LanCipher, mac_of_uuid
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    decode_envelope,
    encode_envelope,
    is_signed,
    members_of,
    read_members,
)
from structiot.meross.wire.mqtt import publish_topic, request_topic
from structiot.meross.wire.payloads import items_of
from structiot.meross.wire.system import ABILITY
from structiot.mqtt import MqttClient, open_mqttclient
from structiot.testing.clock import virtual_clock

KEY = "0123456789abcdef0123456789abcdef"
UUID = "2401010000000000000048e1e9aabbcc"
OTHER_UUID = "2401010000000000000048e1e9ddeeff"
HOST = "10.0.0.7"
TOGGLE = "Appliance.Control.ToggleX"
RUNTIME = "Appliance.System.Runtime"
CRYPT: dict[str, Any] = {"Appliance.Encrypt.ECDHE": {}, "Appliance.Encrypt.Suite": {}}
_ACKS = {
    Method.GET: Method.GETACK,
    Method.SET: Method.SETACK,
    Method.PUSH: Method.PUSH,
}

Garble = Callable[[Envelope], Envelope | bytes | None]


def environment_of(network: Network) -> Environment:
    return Environment(network=network, clock=virtual_clock)


def refusal(code: int, detail: str = "") -> dict[str, Any]:
    return {"error": {"code": code, "detail": detail}}


@dataclass
class ScriptedDevice:
    """Answers from `answers` by namespace; `garble` may change what goes out.

    Attributes:
        requests: What it was asked, batches whole.
        garble: None for an answer has it hang up.
        most_bytes: Where its answers are cut off.
        clock_s: How far its clock is ahead; it takes signatures of ten seconds.
    """

    uuid: str = UUID
    key: str = KEY
    abilities: dict[str, Any] = field(default_factory=dict)
    answers: dict[str, Any] = field(default_factory=dict)
    requests: list[Envelope] = field(default_factory=list)
    garble: Garble | None = None
    most_bytes: int = 100_000
    clock_s: int = 0
    delay_s: float = 0.0
    most_at_once: int = 0
    _at_once: int = 0

    @property
    def asked(self) -> list[str]:
        return [request.namespace.rpartition(".")[2] for request in self.requests]

    def timestamp_s(self) -> int:
        return int(virtual_clock().timestamp()) + self.clock_s

    def answer(self, request: Envelope) -> Envelope:
        is_fresh = abs(request.timestamp_s - self.timestamp_s()) <= 10
        if not is_signed(request, self.key) or not is_fresh:
            return self._reply(request, Method.ERROR, refusal(5001, "sign error"))
        return self._inner(request)

    def _inner(self, request: Envelope) -> Envelope:
        ack = _ACKS[request.method]
        if request.namespace == ABILITY:
            return self._reply(request, ack, {"ability": self.abilities})
        if request.namespace == MULTIPLE and MULTIPLE in self.abilities:
            inner = [
                members_of(self._inner(read_members(one, "test")), self.key)
                for one in items_of(request.payload, "multiple")
            ]
            return self._reply(request, ack, {"multiple": inner})
        if request.namespace not in self.answers:
            return self._reply(request, Method.ERROR, refusal(5000))
        found = self.answers[request.namespace]
        if "error" in found:
            ack = Method.ERROR
        return self._reply(request, ack, found)

    def _reply(
        self, request: Envelope, method: Method, payload: dict[str, Any]
    ) -> Envelope:
        return Envelope(
            namespace=request.namespace,
            method=method,
            payload=payload,
            message_id=request.message_id,
            sender=publish_topic(self.uuid),
            timestamp_s=self.timestamp_s(),
        )

    def reply_bytes(self, data: bytes) -> bytes | None:
        """Give what goes out for what came in; None if nothing does."""
        request = decode_envelope(data, "test")
        self.requests.append(request)
        answer = self.answer(request)
        reply = answer if self.garble is None else self.garble(answer)
        if isinstance(reply, Envelope):
            reply = encode_envelope(reply, self.key)
        return reply and reply[: self.most_bytes]

    # -- in the local network ------------------------------------------------------

    @property
    def cipher(self) -> LanCipher | None:
        if "Appliance.Encrypt.ECDHE" not in self.abilities:
            return None
        return LanCipher(self.uuid, self.key, mac_of_uuid(self.uuid))

    async def _handle(self, request: HttpRequest) -> HttpReply | None:
        self._at_once += 1
        self.most_at_once = max(self.most_at_once, self._at_once)
        try:
            await anyio.sleep(self.delay_s)
            return self._http_reply(request.body)
        finally:
            self._at_once -= 1

    def _http_reply(self, body: bytes) -> HttpReply | None:
        cipher = self.cipher
        is_clear = body.startswith(b"{")
        if is_clear and cipher is not None:
            if decode_envelope(body, "test").namespace != ABILITY:
                return None
            cipher = None
        if not is_clear:
            if cipher is None:
                return None
            body = cipher.decrypt(body)
        reply = self.reply_bytes(body)
        if reply is None:
            return None
        return HttpReply(
            status=200, headers={}, body=cipher.encrypt(reply) if cipher else reply
        )

    @asynccontextmanager
    async def on_lan(self, network: MemoryNetwork) -> AsyncGenerator[None]:
        """Serve requests at `HOST` for the length of the block."""
        server = HttpServer(self._handle)
        async with (
            network.listen_tcp(HOST, 80) as listener,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(listener.serve, server.serve)
            yield
            tg.cancel_scope.cancel()

    # -- on a broker ---------------------------------------------------------------

    @asynccontextmanager
    async def on_broker(
        self, uri: str, environment: Environment
    ) -> AsyncGenerator[MqttClient]:
        """Answer requests that come over MQTT for the length of the block."""
        async with (
            open_mqttclient(uri, environment=environment) as client,
            client.subscription(request_topic(self.uuid), qos=1) as messages,
            anyio.create_task_group() as tg,
        ):

            async def answer() -> None:
                async for message in messages:
                    reply = self.reply_bytes(message.payload)
                    if reply is not None:
                        to = self.requests[-1].sender
                        await client.publish(to, reply)

            tg.start_soon(answer)
            yield client
            tg.cancel_scope.cancel()
