"""A gateway whose configuration names no broker runs its own."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot import Environment
from structiot.errors import AuthRefused, ConfigError, ConnectFailed, UsageError
from structiot.gateway import (
    BrokerConnected,
    Gateway,
    InvalidConfig,
    load_config,
    open_gateway,
)
from structiot.gateway.broker import uri_for_us
from structiot.mqtt import MqttGoodbye, open_broker, open_mqttclient
from structiot.mqtt.broker import hash_password
from structiot.testing import MemoryNetwork
from tests.gateway.support import AT

pytestmark = pytest.mark.virtual_time

AVAILABILITY = "structiot/gateway/availability"


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork("127.0.0.1")


@asynccontextmanager
async def serving(network: MemoryNetwork, **sections: Any) -> AsyncIterator[Gateway]:
    config = await anyio.to_thread.run_sync(load_config, sections)
    async with open_gateway(
        config,
        environment=Environment(network=network, clock=lambda: AT),
    ) as gateway:
        yield gateway


async def connected(gateway: Gateway) -> None:
    async with gateway.events() as events:
        async for event in events:
            if isinstance(event, BrokerConnected):
                return


async def told(messages: Any) -> str:
    message = await anext(aiter(messages))
    return f"{message.payload.decode()}{' (retained)' if message.retain else ''}"


async def test_it_serves_others_at_the_usual_port(network):
    async with serving(network) as gateway:
        assert gateway.broker is not None
        assert gateway.broker.uris == ["mqtt://127.0.0.1:1883"]
        async with (
            open_mqttclient(
                "mqtt://127.0.0.1/", environment=Environment(network=network)
            ) as client,
            client.subscription(AVAILABILITY, qos=1) as messages,
        ):
            assert (await told(messages)).startswith("online")


@pytest.mark.parametrize("is_cancelled", [False, True])
async def test_it_outlives_the_goodbye_of_the_gateway(network, is_cancelled):
    with anyio.CancelScope() as scope:
        async with anyio.create_task_group() as tg:
            heard: list[str] = []

            async def listen(*, task_status: Any) -> None:
                settings = {"reconnect_retries": 0}
                async with (
                    open_mqttclient(
                        "mqtt://127.0.0.1/",
                        config=settings,
                        environment=Environment(network=network),
                    ) as client,
                    client.subscription(AVAILABILITY, qos=1) as messages,
                ):
                    task_status.started()
                    while "offline" not in heard:
                        heard.append((await told(messages)).partition(" ")[0])

            with anyio.CancelScope() as block:
                async with serving(network) as gateway:
                    await connected(gateway)
                    await tg.start(listen)
                    if is_cancelled:
                        block.cancel()
                        await anyio.sleep_forever()
    assert not scope.cancelled_caught
    assert heard == ["online", "offline"]
    with pytest.raises(ConnectFailed):
        await network.connect_tcp("127.0.0.1", 1883)


async def test_another_broker_that_is_named_is_used_alone(network):
    async with (
        open_broker(
            "mqtt://127.0.0.1:1884", environment=Environment(network=network)
        ) as broker,
        serving(network, mqtt={"uri": broker.uri}) as gateway,
    ):
        assert gateway.broker is None
        await connected(gateway)
        assert broker.clients == ["structiot-structiot"]


async def test_a_port_that_is_taken_is_said_with_what_to_do(network):
    async with open_broker(
        "mqtt://127.0.0.1:1883", environment=Environment(network=network)
    ):
        with pytest.raises(ConnectFailed) as caught:
            async with serving(network):
                pass
    assert (caught.value.host, caught.value.port) == ("127.0.0.1", 1883)
    assert "cannot bind TCP 127.0.0.1:1883" in str(caught.value)
    assert "name it by uri in [mqtt]" in str(caught.value)
    assert "by listen in [broker]" in str(caught.value)


async def test_with_a_password_file_the_gateway_has_a_name_like_everybody(
    network, tmp_path: Path
):
    file = tmp_path / "passwords"
    file.write_text(f"house:{hash_password('secret')}\n")
    settings = {"listen": ["mqtt://0.0.0.0:1883"], "password_file": str(file)}
    account = {"username": "house", "password": "secret"}
    async with serving(network, broker=settings, mqtt=account) as gateway:
        await connected(gateway)
        assert gateway.broker is not None
        session = gateway.broker.core.sessions["structiot-structiot"]
        assert session.username == "house"


async def test_passwords_are_read_again_at_a_reload(network, tmp_path: Path):
    file = tmp_path / "passwords"
    file.write_text(f"house:{hash_password('old')}\n")
    sections = {"broker": {"password_file": str(file)}}

    async def reload(password: str) -> tuple[str, ...]:
        mqtt = {"username": "house", "password": password}
        data = {"mqtt": mqtt, **sections}
        return await gateway.reload(await anyio.to_thread.run_sync(load_config, data))

    async def is_connected_later() -> bool:
        await anyio.sleep(10)
        return gateway.is_connected

    async def enters(password: str) -> bool:
        try:
            async with open_mqttclient(
                "mqtt://127.0.0.1/",
                config={"username": "house", "password": password},
                environment=Environment(network=network),
            ):
                return True
        except AuthRefused:
            return False

    account = {"username": "house", "password": "old"}
    async with serving(network, **sections, mqtt=account) as gateway:
        await connected(gateway)
        assert await enters("old")
        # Both at once, as it is done by hand: nothing has to wait for a restart.
        file.write_text(f"house:{hash_password('new')}\n")
        assert await reload("new") == ()
        assert await is_connected_later()
        assert [await enters("old"), await enters("new")] == [False, True]
        # A file that cannot be used changes nothing.
        file.write_text("none\n")
        with pytest.raises(ConfigError, match="passwords"):
            await gateway.reload(gateway.config)
        assert await enters("new")
        # One after the other: a login that was refused is tried again.
        file.write_text(f"house:{hash_password('newest')}\n")
        with pytest.raises(InvalidConfig, match="password is not that of 'house'"):
            await reload("wrong")
        assert await is_connected_later()
        await reload("newest")
        assert await is_connected_later()
    with pytest.raises(UsageError, match="closed"):
        await reload("newest")


@pytest.mark.parametrize(
    ("account", "said"),
    [
        ("username = 'houses'\npassword = 'word'", "2:12: username 'houses' is not in"),
        ("username = 'house'\npassword = 'wrong'", "3:12: password is not that of"),
        (
            "username = 'house'\npassword_file = 'own'",
            "3:17: password_file is not that",
        ),
        ("username = 'house'", "2:12: username is not that of 'house'"),
    ],
)
def test_a_login_that_the_gateways_own_broker_refuses_is_an_error_of_the_file(
    tmp_path: Path, account: str, said: str
):
    (tmp_path / "passwords").write_text(f"house:{hash_password('word')}\n")
    (tmp_path / "own").write_text("wrong\n")
    (tmp_path / "own").chmod(0o600)
    file = tmp_path / "structiot.toml"
    broker = "\n[broker]\npassword_file = 'passwords'\n"
    file.write_text(f"[mqtt]\n{account}{broker}")
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{file}:{said}")
    file.write_text(f"[mqtt]\nusername = 'house'\npassword = 'word'{broker}")
    assert load_config(file).mqtt.username == "house"


async def test_who_is_in_the_password_file_no_more_is_cut_off_at_a_reload(
    network, tmp_path: Path
):
    file = tmp_path / "passwords"
    line = f"house:{hash_password('word')}\n"
    file.write_text(f"{line}guest:{hash_password('word')}\n")
    account = {"username": "house", "password": "word"}
    broker = {"password_file": str(file)}
    guest = {"username": "guest", "password": "word"}
    async with serving(network, broker=broker, mqtt=account) as gateway:
        await connected(gateway)
        with pytest.raises(MqttGoodbye, match="not authorized"):
            async with open_mqttclient(
                "mqtt://127.0.0.1/",
                config=guest,
                environment=Environment(network=network),
            ):
                file.write_text(line)
                await gateway.reload(gateway.config)
                await anyio.sleep(60)
        assert gateway.is_connected


async def test_with_a_store_retained_messages_are_there_again(network, tmp_path: Path):
    settings = {"store": str(tmp_path / "broker.sqlite")}
    async with (
        serving(network, broker=settings),
        open_mqttclient(
            "mqtt://127.0.0.1/", environment=Environment(network=network)
        ) as client,
    ):
        await client.publish("home/note", b"kept", qos=1, retain=True)
    async with (
        serving(network, broker=settings),
        open_mqttclient(
            "mqtt://127.0.0.1/", environment=Environment(network=network)
        ) as client,
        client.subscription("home/note") as messages,
    ):
        assert await told(messages) == "kept (retained)"


async def test_a_store_that_cannot_be_used_is_said(network, tmp_path: Path):
    settings = {"store": str(tmp_path / "nowhere" / "broker.sqlite")}
    with pytest.raises(ConfigError, match="nowhere"):
        async with serving(network, broker=settings):
            pass


@pytest.mark.parametrize(
    ("listen", "uri"),
    [
        ("mqtt://127.0.0.1:1884", "mqtt://127.0.0.1:1884"),
        ("ws://0.0.0.0:8083", "ws://127.0.0.1:8083"),
        ("mqtt://[::]:1883", "mqtt://[::1]:1883"),
    ],
)
def test_the_gateway_reaches_a_broker_that_listens_everywhere(listen, uri):
    assert uri_for_us(listen) == uri
