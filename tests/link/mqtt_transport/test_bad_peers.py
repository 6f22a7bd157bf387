"""What answers at a broker's address and is none: an error each, in time."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import suppress

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import LOST
from structiot.errors import StructiotError
from structiot.mqtt import MqttConnectFailed, open_mqttclient
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack, Message
from structiot.testing import MemoryNetwork

pytestmark = pytest.mark.virtual_time

CONNECT_S = 4.0
PORT = 1883
BAD_REQUEST = b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n"

Peer = Callable[[ByteStream], Awaitable[None]]


async def error_with(peer: Peer, scheme: str) -> StructiotError:
    """Connect to such a peer; give the error."""
    network = MemoryNetwork()

    async def handle(stream: ByteStream) -> None:
        with suppress(*LOST):
            async with stream:
                await peer(stream)

    config = {"connect_s": CONNECT_S, "reconnect_retries": 0, "protocol": "5.0"}
    async with network.listen_tcp("b", PORT) as listener, service_group() as tg:
        tg.start_soon(listener.serve, handle)
        with pytest.raises(StructiotError) as caught:
            uri = f"{scheme}://b:{PORT}"
            async with open_mqttclient(
                uri, config=config, environment=Environment(network=network)
            ):
                pytest.fail("there is no connection")
        tg.cancel_scope.cancel()
    assert anyio.current_time() <= CONNECT_S + 1
    assert f"b:{PORT}" in str(caught.value)
    return caught.value


async def web_server(stream: ByteStream) -> None:
    await stream.receive()
    await stream.send(BAD_REQUEST)


async def silence(stream: ByteStream) -> None:
    """A black hole: takes everything, says nothing."""
    while True:
        await stream.receive()


async def deaf(stream: ByteStream) -> None:
    await anyio.sleep_forever()


async def slow_web_server(stream: ByteStream) -> None:
    await slowly(stream, BAD_REQUEST)


async def slow_broker(stream: ByteStream) -> None:
    await slowly(stream, encode(Connack(), 5))


async def slowly(stream: ByteStream, data: bytes) -> None:
    for byte in data:
        await anyio.sleep(1)
        await stream.send(bytes([byte]))
    await anyio.sleep_forever()


async def mail_server(stream: ByteStream) -> None:
    await stream.send(b"220 mail.example ESMTP\r\n")
    await anyio.sleep_forever()


async def hang_up(stream: ByteStream) -> None:
    await stream.receive()


async def early_bird(stream: ByteStream) -> None:
    await stream.send(encode(Message("a", b"b"), 5))
    await anyio.sleep_forever()


@pytest.mark.parametrize(
    ("scheme", "peer", "words"),
    [
        ("mqtt", web_server, "does not speak MQTT, an HTTP server answers"),
        ("mqtt", mail_server, "accepted the connection and sent no CONNACK within 4 s"),
        ("mqtt", early_bird, "does not speak MQTT, something else answers"),
        ("mqtt", hang_up, "before any answer; look at the port"),
        ("mqtt", silence, "accepted the connection and sent no CONNACK within 4 s"),
        ("mqtt", deaf, "accepted the connection and sent no CONNACK within 4 s"),
        ("mqtt", slow_broker, "accepted the connection and sent no CONNACK within 4 s"),
        ("mqtts", web_server, "the server does not speak TLS on this port"),
        ("mqtts", hang_up, "hung up during the TLS handshake"),
        ("mqtts", silence, "within 4 s"),
        ("mqtts", slow_web_server, "within 4 s"),
        ("ws", web_server, "refused the websocket /: HTTP 400; look at the port"),
        ("ws", mail_server, "within 4 s"),
        ("ws", hang_up, "hung up during the websocket handshake; look at the port"),
        ("ws", silence, "within 4 s"),
        ("ws", slow_web_server, "within 4 s"),
    ],
)
async def test_what_is_no_broker_is_connect_failed_in_time(
    scheme: str, peer: Peer, words: str
):
    error = await error_with(peer, scheme)
    assert isinstance(error, MqttConnectFailed)
    assert (error.host, error.port, error.attempts) == ("b", PORT, 1)
    assert words in str(error)
