"""How a client comes to its connection, and what it says when it does not."""

from __future__ import annotations

from typing import Any

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.net.network import LOST
from structiot.errors import (
    AuthRefused,
    CommandRefused,
    ConfigError,
    ConnectFailed,
    StructiotError,
    UsageError,
)
from structiot.mqtt import (
    ConnectException,
    MqttAuthRefused,
    MqttConnectFailed,
    MqttConnectRefused,
    open_mqttclient,
)
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import Connack, Connect, Disconnect, Message, Pingresp
from structiot.mqtt.wire.properties import ConnackProperties
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from structiot.testing import MemoryNetwork
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


class BlackHole(MemoryNetwork):
    """Connections are neither accepted nor refused."""

    async def connect_tcp(self, host: str, port: int) -> ByteStream:
        await anyio.sleep_forever()
        raise AssertionError


# -- success -------------------------------------------------------------------------


async def test_a_connection_is_one_connect_and_ends_with_a_disconnect(broker):
    async with open_client(broker) as client:
        assert client.is_connected
        assert client.client_id == "tester"
    connection = broker.connection
    await connection.ended.wait()
    assert [type(packet) for packet in connection.packets] == [Connect, Disconnect]
    assert not client.is_connected


async def test_the_connect_carries_what_was_configured(broker):
    will = {"topic": "gone", "message": "bye", "qos": 1, "retain": True}
    uri = f"mqtt://user:p%40ss@{broker.host}/"
    config = {
        "keep_alive": 60,
        "cleansession": False,
        "will": will,
        "protocol": "3.1.1",
    }
    async with open_mqttclient(
        uri, "me", config, environment=Environment(network=broker.network)
    ):
        connect = broker.connection.of(Connect)[0]
    assert (connect.client_id, connect.keep_alive_s) == ("me", 60)
    assert (connect.username, connect.password) == ("user", b"p@ss")
    assert not connect.clean_start
    assert connect.will is not None
    assert (connect.will.topic, connect.will.payload) == ("gone", b"bye")
    assert (connect.will.qos, connect.will.retain) == (1, True)


async def test_a_made_up_id_suits_every_broker(broker):
    seen = set()
    for _ in range(5):
        async with open_mqttclient(
            broker.uri, environment=Environment(network=broker.network)
        ) as client:
            seen.add(client.client_id)
    assert len(seen) == 5
    for client_id in seen:
        assert client_id.isascii()
        assert client_id.isalnum()
        assert 1 <= len(client_id) <= 23


async def test_settings_of_one_call_do_not_reach_the_next(broker):
    config: dict[str, Any] = {"uri": broker.uri}
    async with open_mqttclient(
        config=config, environment=Environment(network=broker.network)
    ):
        pass
    assert config == {"uri": broker.uri}
    with pytest.raises(ConfigError, match="give a URI"):
        async with open_mqttclient(environment=Environment(network=broker.network)):
            pass


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_an_id_of_its_own_stays_whatever_the_broker_assigns(
    broker, protocol: str
):
    if protocol == "5.0":
        properties = ConnackProperties(assigned_client_id="assigned")
        broker.answer(Connect, lambda *_: (Connack(properties=properties),))
    async with open_client(broker, protocol=protocol) as client:
        assert client.client_id == "tester"
        broker.connection.reset()
        second = await broker.connected(2)
        assert (await second.next(Connect)).client_id == client.client_id == "tester"


@pytest.mark.parametrize("protocol", ["3.1.1", "5.0"])
async def test_an_empty_id_asks_the_broker_for_one(broker, protocol: str):
    broker.keeps_sessions = True
    properties = ConnackProperties(assigned_client_id="assigned")
    if protocol == "5.0":
        broker.answer(Connect, lambda *_: (Connack(properties=properties),))
    async with open_client(broker, client_id="", protocol=protocol) as client:
        (first,) = broker.connection.of(Connect)
        assert (first.client_id, first.clean_start) == ("", True)
        # There are no words for it in 3.1.1.
        expected = "assigned" if protocol == "5.0" else ""
        assert client.client_id == expected
        broker.oblige()
        broker.connection.reset()
        connection = await broker.connected(2)
        again = await connection.next(Connect)
        # Of a session whose name nobody knows nothing can be had.
        assert (again.client_id, again.clean_start) == (expected, protocol == "3.1.1")


async def test_a_broker_that_does_not_say_which_id_it_gave_gets_clean_starts(broker):
    async with open_client(broker, client_id="", protocol="5.0") as client:
        broker.connection.reset()
        connection = await broker.connected(2)
        again = await connection.next(Connect)
        assert (again.client_id, again.clean_start, client.client_id) == ("", True, "")


async def test_an_empty_id_may_be_refused(broker):
    broker.refuse(ReasonCode.CLIENT_IDENTIFIER_NOT_VALID)
    with pytest.raises(StructiotError, match="identifier") as caught:
        async with open_client(broker, client_id="", protocol="5.0"):
            pytest.fail("it was refused")
    assert isinstance(caught.value, ConnectException)
    assert len(broker.connections) == 1


@pytest.mark.parametrize("client_id", [None, ""])
@pytest.mark.parametrize("store", [None, "store.sqlite"])
async def test_a_session_is_kept_under_an_id_alone(
    broker, client_id: str | None, store: str | None
):
    config = {"cleansession": False, "store": store}
    wish = "cleansession False" if store is None else "store"
    with pytest.raises(ConfigError, match=f"{wish} needs a client_id"):
        async with open_mqttclient(
            broker.uri,
            client_id,
            config,
            environment=Environment(network=broker.network),
        ):
            pytest.fail("nobody would find it again")
    assert broker.attempts == []


# -- nobody there --------------------------------------------------------------------


async def test_a_refused_connection_is_one_error_that_names_host_and_port(broker):
    broker.stop()
    with pytest.raises(ConnectException, match="broker:1883") as caught:
        async with open_client(broker):
            pytest.fail("there is no connection")
    error = caught.value
    assert isinstance(error, MqttConnectFailed)
    assert isinstance(error, ConnectFailed)
    assert isinstance(error, OSError)
    assert (error.host, error.port, error.attempts) == ("broker", 1883, 3)
    assert error.return_code == 0x7F


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (4, 5)])
async def test_the_first_connection_is_tried_as_often_as_configured(
    broker, retries: int, attempts: int
):
    broker.answer(Connect, lambda connection, packet: [connection.reset()][1:])
    with pytest.raises(MqttConnectFailed):
        async with open_client(broker, reconnect_retries=retries):
            pytest.fail("there is no connection")
    assert len(broker.attempts) == attempts


async def test_without_reconnecting_one_attempt_is_made(broker):
    broker.answer(Connect, lambda connection, packet: [connection.reset()][1:])
    with pytest.raises(MqttConnectFailed):
        async with open_client(broker, auto_reconnect=False):
            pytest.fail("there is no connection")
    assert len(broker.attempts) == 1


async def test_a_broker_that_comes_late_is_waited_for(broker):
    broker.stop()

    async def come_late() -> None:
        await anyio.sleep(30)
        await broker.start()

    async with anyio.create_task_group() as tg:
        tg.start_soon(come_late)
        async with open_client(broker, reconnect_retries=-1) as client:
            assert client.is_connected
            assert 30 <= anyio.current_time() < 41


# -- silence at each step ------------------------------------------------------------


async def test_a_network_that_swallows_the_connection_is_given_up_in_time():
    with pytest.raises(
        MqttConnectFailed, match=r"cannot connect to mqtt://b:1883 within 3 s"
    ):
        async with open_mqttclient(
            "mqtt://b",
            config={"connect_s": 3, "reconnect_retries": 0},
            environment=Environment(network=BlackHole()),
        ):
            pytest.fail("there is no connection")
    assert anyio.current_time() == 3


async def test_a_broker_without_a_connack_is_given_up_in_time(broker):
    broker.ignore(Connect)
    with pytest.raises(MqttConnectFailed, match="sent no CONNACK within 3 s"):
        async with open_client(broker, connect_s=3, reconnect_retries=0):
            pytest.fail("there is no connection")
    assert anyio.current_time() == 3


async def test_a_connack_one_byte_a_second_is_given_up_in_time(broker):
    async def drip() -> None:
        connection = await broker.connected(1)
        await connection.next(Connect)
        with pytest.raises(LOST):
            for byte in encode(Connack(), 4):
                await anyio.sleep(1)
                await connection.send(bytes([byte]))

    broker.ignore(Connect)
    async with anyio.create_task_group() as tg:
        tg.start_soon(drip)
        with pytest.raises(MqttConnectFailed, match="no CONNACK within"):
            async with open_client(broker, connect_s=2.5, reconnect_retries=0):
                pytest.fail("there is no connection")
        assert anyio.current_time() == 2.5


async def test_the_limit_of_the_attempt_does_not_limit_the_block(broker):
    async with open_client(broker, connect_s=1):
        await anyio.sleep(100)
    assert len(broker.connections) == 1


# -- refusals ------------------------------------------------------------------------

LOGIN = {ConnectReturnCode.BAD_USER_NAME_OR_PASSWORD, ConnectReturnCode.NOT_AUTHORIZED}


@pytest.mark.parametrize("code", [*ConnectReturnCode][1:])
async def test_each_refusal_of_3_1_1_is_a_typed_error_with_its_code(
    broker, code: ConnectReturnCode
):
    broker.answer(Connect, lambda *_: (Connack(reason=code),))
    with pytest.raises(ConnectException) as caught:
        async with open_client(broker, username="u", password="secret"):
            pytest.fail("refused")
    error = caught.value
    assert error.return_code == code
    assert isinstance(error, MqttAuthRefused if code in LOGIN else MqttConnectRefused)
    assert isinstance(error, AuthRefused if code in LOGIN else CommandRefused)
    assert "refused the connection for user 'u'" in str(error)
    assert "secret" not in str(error)
    # A broker that is busy may have time later; a wrong password stays wrong.
    is_passing = code is ConnectReturnCode.SERVER_UNAVAILABLE
    assert len(broker.attempts) == (3 if is_passing else 1)


@pytest.mark.parametrize(
    ("code", "cls", "attempts"),
    [
        (ReasonCode.UNSUPPORTED_PROTOCOL_VERSION, MqttConnectRefused, 1),
        (ReasonCode.CLIENT_IDENTIFIER_NOT_VALID, MqttConnectRefused, 1),
        (ReasonCode.BAD_USER_NAME_OR_PASSWORD, MqttAuthRefused, 1),
        (ReasonCode.NOT_AUTHORIZED, MqttAuthRefused, 1),
        (ReasonCode.BANNED, MqttAuthRefused, 1),
        (ReasonCode.BAD_AUTHENTICATION_METHOD, MqttAuthRefused, 1),
        (ReasonCode.TOPIC_NAME_INVALID, MqttConnectRefused, 1),
        (ReasonCode.PACKET_TOO_LARGE, MqttConnectRefused, 1),
        (ReasonCode.SERVER_MOVED, MqttConnectRefused, 1),
        (ReasonCode.USE_ANOTHER_SERVER, MqttConnectRefused, 1),
        (ReasonCode.MALFORMED_PACKET, MqttConnectRefused, 1),
        (ReasonCode.PROTOCOL_ERROR, MqttConnectRefused, 1),
        (ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR, MqttConnectRefused, 1),
        (ReasonCode.PAYLOAD_FORMAT_INVALID, MqttConnectRefused, 1),
        (ReasonCode.RETAIN_NOT_SUPPORTED, MqttConnectRefused, 1),
        (ReasonCode.QOS_NOT_SUPPORTED, MqttConnectRefused, 1),
        (ReasonCode.UNSPECIFIED_ERROR, MqttConnectRefused, 3),
        (ReasonCode.SERVER_UNAVAILABLE, MqttConnectRefused, 3),
        (ReasonCode.SERVER_BUSY, MqttConnectRefused, 3),
        (ReasonCode.QUOTA_EXCEEDED, MqttConnectRefused, 3),
        (ReasonCode.CONNECTION_RATE_EXCEEDED, MqttConnectRefused, 3),
    ],
)
async def test_each_refusal_of_5_0_is_a_typed_error_and_fatal_ones_are_not_repeated(
    broker, code: ReasonCode, cls: type, attempts: int
):
    properties = ConnackProperties(reason_string="not today")
    broker.answer(Connect, lambda *_: (Connack(reason=code, properties=properties),))
    with pytest.raises(ConnectException, match="not today") as caught:
        async with open_client(broker, protocol="5.0"):
            pytest.fail("refused")
    assert isinstance(caught.value, cls)
    assert caught.value.return_code == code
    assert code.text in str(caught.value)
    assert len(broker.attempts) == attempts


async def test_a_refusal_after_a_good_time_ends_the_block(broker):
    with pytest.raises(MqttAuthRefused):
        async with open_client(broker, **lasting()):
            broker.refuse(ReasonCode.NOT_AUTHORIZED)
            broker.connection.reset()
            await anyio.sleep_forever()
    assert len(broker.attempts) == 2


# -- something else answers ----------------------------------------------------------


@pytest.mark.parametrize(
    ("raw", "text"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak MQTT, an HTTP server"),
        (b"SSH-2.0-OpenSSH_9.2p1\r\n", "does not speak MQTT, something else"),
        (encode(Message("t"), 4) + encode(Connack(), 4), "before the CONNACK"),
        (encode(Pingresp(), 4), "before the CONNACK"),
    ],
)
async def test_what_is_no_broker_is_named(broker, raw: bytes, text: str):
    broker.answer(Connect, lambda *_: (raw,))
    with pytest.raises(MqttConnectFailed, match=text):
        async with open_client(broker, reconnect_retries=0):
            pytest.fail("that was no CONNACK")


async def test_a_broker_that_closes_instead_of_answering_is_named(broker):
    broker.answer(Connect, lambda connection, packet: [connection.reset()][1:])
    with pytest.raises(MqttConnectFailed, match="mqtt://broker:1883 lost"):
        async with open_client(broker, reconnect_retries=0):
            pytest.fail("there was no CONNACK")


# -- settings that cannot be sent ----------------------------------------------------


@pytest.mark.parametrize(
    ("client_id", "config", "problem"),
    [
        ("tester", {"password": "x"}, "user name"),
        ("\ud800", {}, "client id|client identifier"),
        ("tester", {"username": "\x00"}, "user name"),
    ],
)
async def test_what_no_connect_can_carry_fails_before_the_network(
    broker: FakeBroker, client_id: str, config: dict[str, Any], problem: str
):
    with pytest.raises(UsageError, match=problem):
        async with open_client(broker, client_id=client_id, **config):
            pytest.fail("that cannot be sent")
    assert broker.attempts == []
