"""What brokers, proxies and web servers say is shown on one line, cut, without orders."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.net.network import LOST
from structiot.errors import StructiotError, UsageError
from structiot.mqtt import PublishProperties, ReasonCode, open_mqttclient
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
)
from structiot.mqtt.wire.properties import (
    AuthProperties,
    ConnackProperties,
    DisconnectProperties,
)
from structiot.testing import MemoryNetwork
from tests.link.mqtt.opening import exchanged, lasting, open_client

pytestmark = pytest.mark.virtual_time

ORDERS = "\x1b]0;yours\x07\x1b[2J\nWARNING all is well\r\x9b31m\u202e"
EVIL = ORDERS + "A" * 50_000
LONGEST = 1000


@pytest.fixture(autouse=True)
def listening(caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """Everything that is logged is fit to be shown."""
    caplog.set_level(logging.DEBUG, "structiot")
    yield
    for record in caplog.records:
        check(record.getMessage())
        if record.exc_info is not None and record.exc_info[1] is not None:
            check(str(record.exc_info[1]))


def check(text: str) -> None:
    assert text.isprintable(), text[:500]
    assert len(text) < LONGEST


def check_error(error: BaseException | None) -> None:
    """The error, all that has caused it, and what it knows."""
    while error is not None:
        if isinstance(error, StructiotError):
            check(str(error))
            for name in ("reason", "peer_text"):
                check(getattr(error, name, ""))
        error = error.__cause__


REFUSALS: dict[str, tuple[ReasonCode, ConnackProperties]] = {
    "login": (
        ReasonCode.BAD_USER_NAME_OR_PASSWORD,
        ConnackProperties(reason_string=EVIL, user_properties=((EVIL, EVIL),)),
    ),
    "refusal": (ReasonCode.QUOTA_EXCEEDED, ConnackProperties(reason_string=EVIL)),
    "elsewhere": (
        ReasonCode.USE_ANOTHER_SERVER,
        ConnackProperties(reason_string=EVIL, server_reference=EVIL),
    ),
}


@pytest.mark.parametrize("name", REFUSALS)
async def test_the_reason_of_a_refusal(broker, name: str):
    reason, properties = REFUSALS[name]
    refusal = Connack(reason=reason, properties=properties)
    broker.answer(Connect, lambda *_: (refusal,))
    with pytest.raises(StructiotError) as caught:
        async with open_client(
            broker, protocol="5.0", reconnect_retries=1, max_redirects=3
        ):
            pass
    check_error(caught.value)
    if name != "elsewhere":
        assert "WARNING all is well" in str(caught.value)


async def test_the_reason_of_a_goodbye(broker):
    goodbye = Disconnect(
        reason=ReasonCode.SERVER_MOVED,
        properties=DisconnectProperties(reason_string=EVIL, server_reference=EVIL),
    )
    with pytest.raises(StructiotError) as caught:
        async with open_client(
            broker, protocol="5.0", max_redirects=3, reconnect_retries=2
        ):
            await broker.connection.send(goodbye)
            await anyio.sleep(100)
    check_error(caught.value)


async def test_a_server_that_is_named_is_one_of_a_few_and_can_be_one(broker):
    names = " ".join(["\x1b[2J", "a\x07b", "x" * 3000, *["no:good"] * 20_000])
    reference = f"{ORDERS} {names}"[:60_000]
    refusal = Connack(
        reason=ReasonCode.USE_ANOTHER_SERVER,
        properties=ConnackProperties(server_reference=reference),
    )
    broker.answer(Connect, lambda *_: (refusal,))
    with pytest.raises(StructiotError) as caught:
        async with open_client(
            broker, protocol="5.0", reconnect_retries=0, max_redirects=3
        ):
            pass
    check_error(caught.value)
    assert len(broker.attempts) == 1


@pytest.mark.parametrize("kind", ["auth", "connack"])
async def test_the_name_of_a_method(broker, kind: str):
    packet: Auth | Connack
    if kind == "auth":
        packet = Auth(
            reason=ReasonCode.CONTINUE_AUTHENTICATION,
            properties=AuthProperties(authentication_method=EVIL),
        )
    else:
        packet = Connack(properties=ConnackProperties(authentication_method=EVIL))

    class Method:
        method = "mine"

        async def begin(self) -> bytes:
            return b"x"

        async def answer(self, data: bytes | None) -> bytes:
            return b"x"

        def finish(self, data: bytes | None) -> None:
            pass

    broker.answer(Connect, lambda *_: (packet,))
    with pytest.raises(StructiotError, match="method") as caught:
        async with open_client(
            broker, protocol="5.0", auth=Method(), reconnect_retries=0
        ):
            pass
    check_error(caught.value)


@pytest.mark.parametrize("codec", ["json", "utf8", "int", "float", "bool", "msgpack"])
async def test_the_topic_of_a_payload_that_does_not_decode(broker, codec: str):
    payload = b"\xff" + EVIL.encode()
    message = Message(f"t/{EVIL}", payload)
    async with open_client(broker, codec=codec) as client:
        async with client.subscription("t/#") as messages:
            await broker.connection.send(message)
            assert (await anext(messages)).data == payload
        await client.subscribe([("t/#", 0)])
        await broker.connection.send(message)
        with pytest.raises(StructiotError, match="cannot decode") as caught:
            await client.deliver_message()
        check_error(caught.value)


async def test_a_message_in_an_error(broker):
    properties = PublishProperties(content_type=EVIL)
    async with open_client(broker, protocol="5.0") as client:
        async with client.subscription("t/#") as messages:
            await broker.connection.send(
                Message(f"t/{EVIL}", EVIL.encode(), properties=properties)
            )
            message = await anext(messages)
            with pytest.raises(UsageError, match="nothing to acknowledge") as caught:
                messages.ack(message)
            check_error(caught.value)


async def test_the_topic_that_holds_up_others(broker, caplog):
    async with open_client(broker, keep_alive=5) as client:
        async with (
            client.subscription("t/#", qos=1),
            client.subscription("u", qos=1) as other,
        ):
            await broker.connection.send(
                Message(f"t/{EVIL}", b"x", qos=1, packet_id=1),
                Message("u", b"x", qos=1, packet_id=2),
            )
            await anext(other)
            await anyio.sleep(30)
    assert any("waits to be taken" in record.getMessage() for record in caplog.records)


@pytest.mark.parametrize("kind", ["response_information", "assigned_client_id"])
@pytest.mark.parametrize("name", ["a/+/b", "#", "x" * 60_000, "\ufeff" + "\x1b"])
async def test_what_the_broker_wants_in_a_topic(broker, kind: str, name: str):
    fields: dict[str, Any] = {kind: name}
    properties = ConnackProperties(**fields)
    broker.answer(Connect, lambda *_: (Connack(properties=properties),))
    own = {"client_id": ""} if kind == "assigned_client_id" else lasting()
    async with open_client(broker, protocol="5.0", **own) as client:
        with anyio.move_on_after(5):
            await client.request("t", b"x")
        await exchanged(client)
        asked = [m for m in broker.connection.of(Message) if m.topic == "t"]
        assert len(asked) == 1
        assert len(broker.connections) == 1


# -- before there is a broker -----------------------------------------------------------------

EVIL_BYTES = EVIL.replace("\n", "").replace("\r", "").encode()[:10_000]
PROXIES = {
    "phrase": b"HTTP/1.1 502 " + EVIL_BYTES + b"\r\n\r\n",
    "phrase in Latin-1": b"HTTP/1.1 502 \x1b[2J\x9b31m\xff\r\n\r\n",
    "status": b"HTTP/1.1 " + EVIL_BYTES + b"\r\n\r\n",
    "no HTTP": EVIL_BYTES + b"\r\n\r\n",
}
HEAD = b"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
WEB_SERVERS = {
    "phrase": b"HTTP/1.1 404 " + EVIL_BYTES + b"\r\n\r\n",
    "no HTTP": EVIL_BYTES + b"\r\n\r\n",
    "header field": b"HTTP/1.1 101 Go\r\n" + EVIL_BYTES + b"\r\n\r\n",
    "subprotocol": HEAD + b"Sec-WebSocket-Protocol: \x1b" + EVIL_BYTES + b"\r\n\r\n",
    "subprotocol in Latin-1": HEAD + b"Sec-WebSocket-Protocol: x\xff\r\n\r\n",
    "accept": HEAD + b"Sec-WebSocket-Accept: " + b"A" * 10_000 + b"\r\n\r\n",
    "extension": HEAD + b"Sec-WebSocket-Extensions: " + b"x" * 9000 + b"\r\n\r\n",
}


@asynccontextmanager
async def saying(answer: bytes) -> AsyncIterator[MemoryNetwork]:
    """A server that says the same to everybody."""
    network = MemoryNetwork()

    async def handle(stream: ByteStream) -> None:
        try:
            await stream.receive()
            await stream.send(answer)
            await stream.receive()
        except LOST:
            pass
        finally:
            await anyio.aclose_forcefully(stream)

    async with network.listen_tcp("far", 80) as listener:
        async with anyio.create_task_group() as tg:
            tg.start_soon(listener.serve, handle)
            yield network
            tg.cancel_scope.cancel()


Settings = Callable[[], dict[str, Any]]


@pytest.mark.parametrize(
    ("uri", "config", "answer"),
    [
        *[
            ("mqtt://broker", {"proxy": "http://far:80"}, said)
            for said in PROXIES.values()
        ],
        *[("ws://far:80/", {}, said) for said in WEB_SERVERS.values()],
        ("mqtt://broker", {"proxy": "socks5://far:80"}, EVIL_BYTES),
        ("mqtt://far:80", {}, EVIL_BYTES),
        ("mqtts://far:80", {}, EVIL_BYTES),
    ],
)
async def test_what_is_said_on_the_way_to_the_broker(
    uri: str, config: dict[str, Any], answer: bytes
):
    async with saying(answer) as network:
        with pytest.raises(StructiotError) as caught:
            async with open_mqttclient(
                uri,
                "tester",
                {"reconnect_retries": 1, **config},
                environment=Environment(network=network),
            ):
                pass
    check_error(caught.value)
