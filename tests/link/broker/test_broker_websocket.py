"""Websockets of the broker: row B29, and the rules of row C96."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.websocket import WebSocket, connect_websocket
from structiot.errors import AuthRefused, ConfigError, ConnectFailed
from structiot.mqtt import ReasonCode
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connect, Disconnect, Message, Pingreq
from tests.link.broker.raw import HOST, PORT, Place, RawClient, broker_place

pytestmark = pytest.mark.virtual_time
LISTEN = f"ws://{HOST}:{PORT}"


async def websocket(
    place: Place,
    *,
    subprotocol: str = "mqtt",
    host: str = HOST,
    headers: dict[str, str] | None = None,
) -> WebSocket:
    return await connect_websocket(
        await place.stream(),
        host=host,
        path="/mqtt",
        subprotocols=[subprotocol],
        headers=headers,
    )


async def test_b29_packets_may_be_split_over_frames_and_share_them():
    data = encode(Connect(client_id="c"), 4) + encode(Pingreq(), 4) * 3
    async with broker_place(listen=LISTEN) as place:
        socket = await websocket(place)
        for at in range(0, len(data), 3):
            await socket.send(data[at : at + 3])
        client = RawClient(socket.as_byte_stream(), 4)
        kinds = [type(await client.next()).__name__ for _ in range(4)]
        assert kinds == ["Connack"] + ["Pingresp"] * 3


async def test_b29_a_text_frame_closes():
    async with broker_place(listen=LISTEN) as place:
        socket = await websocket(place)
        await socket.send("text")
        with pytest.raises(anyio.EndOfStream):
            await socket.receive()
        assert socket.close_code == 1003


async def test_b29_a_client_without_the_subprotocol_is_refused():
    async with broker_place(listen=LISTEN) as place:
        with pytest.raises(ConnectFailed, match="400"):
            await websocket(place, subprotocol="chat")
        socket = await websocket(place)
        connack = await RawClient(socket.as_byte_stream(), 4).connect()
        assert not connack.reason


async def test_b29_mqtt_without_a_websocket_is_refused():
    async with broker_place(listen=LISTEN) as place:
        client = await place.raw()
        await client.send(Connect(client_id="c"))
        assert b"HTTP/1.1 400" in await client.stream.receive()


async def test_b29_a_handshake_that_does_not_end_is_ended():
    async with broker_place(listen=LISTEN, connect_s=5) as place:
        stream = await place.stream()
        await stream.send(b"GET / HTTP/1.1\r\n")
        with pytest.raises(anyio.EndOfStream):
            await stream.receive()
        assert anyio.current_time() == 5


async def test_b29_a_goodbye_comes_before_the_close_frame():
    async with broker_place(listen=LISTEN) as place:
        socket = await websocket(place)
        client = RawClient(socket.as_byte_stream(), 5)
        await client.connect()
        await client.stream.send(b"\xff\xff")
        goodbye = await client.expect(Disconnect)
        assert goodbye.reason == ReasonCode.MALFORMED_PACKET
        with pytest.raises(anyio.EndOfStream):
            await socket.receive()
        assert socket.close_code == 1000


async def test_b28_a_message_of_a_websocket_is_bounded_by_the_packet_size():
    async with broker_place(listen=LISTEN, packet_bytes=1000) as place:
        client = RawClient((await websocket(place)).as_byte_stream(), 5)
        await client.connect()
        await client.send(Message("a", bytes(2000)))
        (goodbye,) = await client.closed()
        assert isinstance(goodbye, Disconnect)
        assert goodbye.reason == ReasonCode.PACKET_TOO_LARGE


# -- web pages


PAGES = {
    # What the Host of the request is, and where the page is from.
    "nobody's, of this machine": ("127.0.0.1:8083", None, True),
    "the same address": ("127.0.0.1:8083", "http://127.0.0.1:8083", True),
    "the same address, usual port": ("127.0.0.1", "http://127.0.0.1:80", True),
    "the same address in IPv6": ("[::1]:8083", "http://[::1]:8083", True),
    "this machine by name": ("localhost:8083", "http://localhost:8083", True),
    "another port of this machine": ("127.0.0.1:8083", "http://127.0.0.1:80", False),
    "a name that points here": ("evil.example:8083", "http://evil.example:8083", False),
    "anywhere": ("127.0.0.1:8083", "https://evil.example", False),
    "a file": ("127.0.0.1:8083", "null", False),
    "nonsense": ("127.0.0.1:8083", "http://[", False),
    "no origin at all": ("127.0.0.1:8083", "http://127.0.0.1:8083/", False),
    "a longer name": ("127.0.0.1:8083", "http://127.0.0.1:8083.evil.example", False),
}


@pytest.mark.parametrize(("host", "origin", "may"), PAGES.values(), ids=PAGES.keys())
async def test_a_page_may_connect_only_from_where_the_broker_is(
    host: str, origin: str | None, may: bool
):
    headers = None if origin is None else {"Origin": origin}
    async with broker_place(listen=LISTEN) as place:
        if may:
            socket = await websocket(place, host=host, headers=headers)
            connack = await RawClient(socket.as_byte_stream(), 4).connect()
            assert not connack.reason
            return
        with pytest.raises(AuthRefused, match="403"):
            await websocket(place, host=host, headers=headers)


@pytest.mark.parametrize(
    ("allowed", "origin", "may"),
    [
        ("https://house.example", "https://house.example", True),
        ("https://House.example:443", "https://house.example", True),
        ("https://house.example", "http://house.example", False),
        ("https://house.example", "https://house.example:8443", False),
        ("https://house.example", "https://a.house.example", False),
        ("https://house.example", "null", False),
        ("null", "null", True),
        ("*", "http://anything.example", True),
        ("capacitor://localhost", "capacitor://localhost", True),
    ],
)
async def test_a_list_lets_more_pages_in(allowed: str, origin: str, may: bool):
    headers = {"Origin": origin}
    async with broker_place(listen=LISTEN, allowed_origins=[allowed]) as place:
        if may:
            await websocket(place, headers=headers)
            return
        with pytest.raises(AuthRefused, match="403"):
            await websocket(place, headers=headers)


async def test_a_page_that_is_refused_is_told_in_the_log(
    caplog: pytest.LogCaptureFixture,
):
    caplog.set_level("INFO")
    async with broker_place(listen=LISTEN) as place:
        with pytest.raises(AuthRefused):
            await websocket(place, headers={"Origin": "https://evil.example"})
    assert "'https://evil.example' may not open a websocket here" in caplog.text


@pytest.mark.parametrize(
    "origin", ["house.example", "https://a/b", "https://a:x", "https://a:0", ""]
)
async def test_an_allowed_origin_that_is_none_is_a_config_error(origin: str):
    with pytest.raises(ConfigError, match="is no origin"):
        async with broker_place(listen=LISTEN, allowed_origins=[origin]):
            raise AssertionError("not reached")
