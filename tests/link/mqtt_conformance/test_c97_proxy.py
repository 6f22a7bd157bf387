"""C97: a broker behind a proxy; the proxies themselves are in tests/kit/test_proxy.py."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest
from anyio.abc import ByteStream

from structiot._kit.net.network import LOST
from structiot.errors import ConfigError
from structiot.mqtt import ConnectException, Message, MqttAuthRefused
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

PROXY = "http://me:pw@proxy:8080"


async def proxied(stack: AsyncExitStack, broker: FakeBroker, answer: bytes) -> None:
    """Run a proxy on the broker's network that gives everybody this answer."""

    async def pump(source: ByteStream, sink: ByteStream) -> None:
        try:
            while True:
                await sink.send(await source.receive())
        except LOST:
            await anyio.aclose_forcefully(sink)
            await anyio.aclose_forcefully(source)

    async def handle(stream: ByteStream) -> None:
        asked = await stream.receive()
        assert asked.startswith(b"CONNECT broker:1883 HTTP/1.1\r\n")
        await stream.send(answer)
        if b" 200 " in answer:
            far = await broker.network.connect_tcp("broker", 1883)
            async with anyio.create_task_group() as tg:
                tg.start_soon(pump, stream, far)
                tg.start_soon(pump, far, stream)
        await anyio.aclose_forcefully(stream)

    listener = await stack.enter_async_context(broker.network.listen_tcp("proxy", 8080))
    tg = await stack.enter_async_context(anyio.create_task_group())
    stack.callback(tg.cancel_scope.cancel)
    tg.start_soon(listener.serve, handle)


async def test_messages_travel_through_a_proxy_on_every_connection(broker):
    async with AsyncExitStack() as stack:
        await proxied(stack, broker, b"HTTP/1.1 200 OK\r\n\r\n")
        async with open_client(broker, **lasting(proxy=PROXY)) as client:
            await client.publish("t", b"one", qos=1)
            broker.connection.reset()
            await broker.connected(2)
            await client.publish("t", b"two", qos=2)
    sent = [m.payload for c in broker.connections for m in c.of(Message)]
    assert sent == [b"one", b"two"]


async def test_a_proxy_that_refuses_us_ends_the_attempts(broker):
    async with AsyncExitStack() as stack:
        await proxied(stack, broker, b"HTTP/1.1 407 no\r\n\r\n")
        with pytest.raises(MqttAuthRefused, match="does not take user 'me'"):
            async with open_client(broker, **lasting(proxy=PROXY)):
                pytest.fail("the proxy has refused us")
    assert broker.attempts == []


async def test_a_proxy_that_is_not_there_is_named(broker):
    with pytest.raises(ConnectException, match="proxy:8080"):
        async with open_client(broker, proxy=PROXY, auto_reconnect=False):
            pytest.fail("there is no proxy")


async def test_an_address_that_is_none_of_a_proxy_is_refused(broker):
    with pytest.raises(ConfigError, match="a proxy's address"):
        async with open_client(broker, proxy="proxy:8080"):
            pytest.fail("that is no address")
