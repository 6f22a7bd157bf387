"""How connections begin, end and come back, whichever engine makes them."""

from __future__ import annotations

from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot.errors import AuthRefused, ConfigError, ConnectFailed, LinkLost
from structiot.mqtt import (
    Connected,
    ConnectException,
    Disconnected,
    open_mqttclient,
    subscription,
)
from structiot.mqtt.broker import Passwords, hash_password, open_broker
from tests._support.mosquitto import DEFAULT_CONFIG
from tests.engines.conftest import OpenClient

pytestmark = pytest.mark.e2e

WAIT_S = 10.0


class OwnError(Exception):
    """What a user's block raises."""


# -- how it begins -------------------------------------------------------------------


async def test_nobody_there_is_one_error_that_names_the_address(
    mosquitto, open_client: OpenClient, unused_port: int
):
    uri = f"mqtt://127.0.0.1:{unused_port}/"
    with pytest.raises(ConnectException, match=f"127.0.0.1:{unused_port}") as caught:
        async with open_client(uri, config={"reconnect_retries": 0}):
            pytest.fail("there is no broker")
    assert isinstance(caught.value, ConnectFailed)
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", unused_port)
    assert caught.value.return_code == 0x7F


async def test_a_wrong_password_is_one_error_with_the_brokers_code(
    open_client: OpenClient,
):
    hashes = {"user": hash_password("right")}
    async with open_broker("mqtt://127.0.0.1:0", passwords=Passwords(hashes)) as broker:
        uri = broker.uri.replace("//", "//user:wrong@")
        with pytest.raises(ConnectException) as caught:
            async with open_client(uri):
                pytest.fail("that was the wrong password")
        assert isinstance(caught.value, AuthRefused)
        assert caught.value.return_code in {4, 5}
        assert "wrong" not in str(caught.value)
        async with open_client(broker.uri.replace("//", "//user:right@")) as client:
            assert client.is_connected


async def test_credentials_may_stand_apart_and_be_asked_for(open_client: OpenClient):
    asked: list[str] = []

    async def password() -> str:
        asked.append("password")
        return "ri@ht"

    hashes = {"user": hash_password("ri@ht")}
    config: dict[str, Any] = {"username": "user", "password": password}
    async with open_broker("mqtt://127.0.0.1:0", passwords=Passwords(hashes)) as broker:
        async with open_client(broker.uri, config=config) as client:
            assert client.is_connected
    assert asked == ["password"]


async def test_a_call_leaves_its_settings_as_they_were_and_the_next_alone(
    mosquitto, engine: str
):
    config: dict[str, Any] = {"uri": mosquitto.uri, "protocol": "3.1.1"}
    async with open_mqttclient(config=config, engine=engine) as client:
        assert client.is_connected
        assert client.config.default_qos == 0
    assert config == {"uri": mosquitto.uri, "protocol": "3.1.1"}
    with pytest.raises(ConfigError, match="give a URI"):
        async with open_mqttclient(engine=engine):
            pytest.fail("there is no URI")


async def test_client_and_subscription_open_in_one(mosquitto, engine: str, topic: str):
    options: dict[str, Any] = {"uri": mosquitto.uri, "engine": engine}
    async with open_mqttclient(mosquitto.uri) as other:
        await other.publish(topic, b"kept", qos=1, retain=True)
        async with subscription(topic, 1, "utf8", **options) as messages:
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).data == "kept"
        await other.publish(topic, b"", qos=1, retain=True)


@pytest.mark.parametrize("keep_alive", [0, 1, 10])
async def test_an_idle_client_stays_connected(
    mosquitto, open_client: OpenClient, topic: str, keep_alive: int
):
    config = {"keep_alive": keep_alive, "ping_delay": 0.5}
    async with open_client(mosquitto.uri, config=config) as client:
        await anyio.sleep(1.7 if keep_alive == 1 else 0)
        await client.publish(topic, b"x", qos=1)
        assert client.counters.connections == 1


async def test_an_engine_that_is_none_is_named():
    with pytest.raises(ConfigError, match="unknown engine 'steam'"):
        async with open_mqttclient("mqtt://127.0.0.1/", engine="steam"):
            pytest.fail("there is no such engine")


# -- how it ends ---------------------------------------------------------------------


async def test_the_blocks_own_error_comes_out_as_it_is(
    mosquitto, open_client: OpenClient, topic: str
):
    with pytest.raises(OwnError):
        async with open_client(mosquitto.uri) as client:
            async with client.subscription(topic):
                raise OwnError


async def test_cancelling_the_block_ends_it_at_once(
    mosquitto, open_client: OpenClient, topic: str
):
    with anyio.move_on_after(WAIT_S) as patience:
        with anyio.CancelScope() as scope:
            async with open_client(mosquitto.uri) as client:
                async with client.subscription(topic, qos=1) as messages:
                    scope.cancel()
                    await anext(messages)
    assert scope.cancelled_caught
    assert not patience.cancelled_caught


async def test_leaving_takes_the_will_back(
    mosquitto, open_client: OpenClient, topic: str
):
    config = {"will": {"topic": topic, "message": b"gone"}}
    async with open_mqttclient(mosquitto.uri) as other:
        async with other.subscription(topic) as messages:
            async with open_client(mosquitto.uri, config=config) as client:
                await client.publish(topic, b"here", qos=1)
            await other.publish(topic, b"after", qos=1)
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).payload == b"here"
                assert (await anext(messages)).payload == b"after"


async def test_a_connection_that_breaks_off_has_the_will_published(
    mosquitto, open_client: OpenClient, topic: str
):
    config = {"will": {"topic": topic, "message": b"gone", "qos": 1, "retain": False}}
    async with open_mqttclient(mosquitto.uri) as other:
        async with other.subscription(topic, qos=1) as messages:
            async with open_client(mosquitto.uri, config=config) as client:
                with anyio.fail_after(WAIT_S):
                    await client.reconnect()
                    message = await anext(messages)
    assert (message.payload, message.qos) == (b"gone", 1)


# -- how it comes back ---------------------------------------------------------------


async def test_a_broker_that_restarts_is_found_again(
    start_mosquitto, open_client: OpenClient, topic: str
):
    broker = start_mosquitto()
    config = {"reconnect_retries": -1, "reconnect_max_interval": 0.2}
    async with open_client(broker.uri, config=config) as client:
        async with client.subscription(topic, qos=1) as messages:
            await anyio.to_thread.run_sync(broker.stop)
            receipt = await client.publish_soon(topic, b"while away", qos=1)
            await anyio.sleep(1)
            await anyio.to_thread.run_sync(broker.start)
            with anyio.fail_after(WAIT_S):
                await receipt.wait()
                assert (await anext(messages)).payload == b"while away"
                await client.publish(topic, b"as before", qos=2)
                assert (await anext(messages)).payload == b"as before"
        assert client.counters.connections == 2


async def test_what_happens_to_the_connection_can_be_seen(
    start_mosquitto, open_client: OpenClient
):
    broker = start_mosquitto()
    config = {"reconnect_retries": -1, "reconnect_max_interval": 0.2}
    async with open_client(broker.uri, config=config) as client:
        async with client.events() as events:
            with anyio.fail_after(WAIT_S):
                assert isinstance(await anext(events), Connected)
                await anyio.to_thread.run_sync(broker.restart)
                lost = await anext(events)
                assert isinstance(lost, Disconnected)
                assert lost.retry_in_s is not None
                while not isinstance(await anext(events), Connected):
                    pass


async def test_a_broker_that_stays_away_ends_the_block_and_all_who_wait(
    start_mosquitto, open_client: OpenClient, topic: str
):
    broker = start_mosquitto()
    config = {"reconnect_retries": 1, "reconnect_max_interval": 0.1}
    with pytest.raises(LinkLost, match="gave up"):
        with anyio.fail_after(WAIT_S):
            async with open_client(broker.uri, config=config) as client:
                async with client.subscription(topic, qos=1) as messages:
                    await anyio.to_thread.run_sync(broker.stop)
                    receipt = await client.publish_soon(topic, b"x", qos=1)
                    with pytest.raises(LinkLost):
                        await receipt.wait()
                    with pytest.raises(LinkLost):
                        await anext(messages)


async def test_a_broker_that_comes_late_is_waited_for(
    start_mosquitto, open_client: OpenClient, topic: str
):
    broker = start_mosquitto()
    await anyio.to_thread.run_sync(broker.stop)
    config = {"reconnect_retries": -1, "reconnect_max_interval": 0.2}
    async with open_client(broker.uri, config=config, wait_connected=False) as client:
        assert not client.is_connected
        receipt = await client.publish_soon(topic, b"x", qos=1)
        await anyio.to_thread.run_sync(broker.start)
        with anyio.fail_after(WAIT_S):
            await receipt.wait()


async def test_a_session_that_is_not_clean_gets_what_came_meanwhile(
    mosquitto, open_client: OpenClient, topic: str
):
    config = {"cleansession": False}
    name = topic[-20:].replace("_", "")
    async with open_client(mosquitto.uri, name, config=config) as client:
        # Subscribed the old way: leaving the block does not unsubscribe.
        await client.subscribe([(topic, 1)])
    async with open_mqttclient(mosquitto.uri) as other:
        await other.publish(topic, b"meanwhile", qos=1)
    async with open_client(mosquitto.uri, name, config=config) as client:
        async with client.subscription(topic, qos=1) as messages:
            with anyio.fail_after(WAIT_S):
                assert (await anext(messages)).payload == b"meanwhile"
    async with open_client(mosquitto.uri, name):
        pass  # clean: the broker forgets it


# -- other ways to a broker ----------------------------------------------------------


async def test_websockets_carry_the_same(
    start_mosquitto, open_client: OpenClient, topic: str, unused_port: int
):
    start_mosquitto(
        f"{DEFAULT_CONFIG}listener {unused_port} 127.0.0.1\nprotocol websockets\n"
    )
    uri = f"ws://127.0.0.1:{unused_port}/mqtt"
    config = {"extra_headers": {"X-Test": "yes"}}
    async with open_client(uri, config=config) as client:
        async with client.subscription(topic, qos=1) as messages:
            for payload in (b"small", b"x" * 5000):
                await client.publish(topic, payload, qos=1)
                with anyio.fail_after(WAIT_S):
                    assert (await anext(messages)).payload == payload
