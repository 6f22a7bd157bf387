"""C88: enhanced authentication, with a scripted broker."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import anyio
import pytest

from structiot.errors import (
    AuthRefused,
    ConfigError,
    LinkLost,
    ReplyTimeout,
    UsageError,
)
from structiot.mqtt import (
    ConnectException,
    MqttAuthRefused,
    MqttGoodbye,
    ReasonCode,
)
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Connect,
    Disconnect,
    Message,
    Packet,
)
from structiot.mqtt.wire.properties import AuthProperties, ConnackProperties
from tests._support.fake_broker import Answer, FakeBroker
from tests.link.mqtt.opening import lasting, open_client

virtual = pytest.mark.virtual_time

MORE = ReasonCode.CONTINUE_AUTHENTICATION
OK = ReasonCode.SUCCESS


def auth(reason: ReasonCode, data: bytes | None, method: str | None = "m") -> Auth:
    properties = AuthProperties(authentication_method=method, authentication_data=data)
    return Auth(reason=reason, properties=properties)


def connack(data: bytes | None = None, method: str | None = "m") -> Connack:
    properties = ConnackProperties(
        authentication_method=method, authentication_data=data
    )
    return Connack(properties=properties)


class Doubling:
    """Answers a challenge with the challenge twice."""

    method = "m"

    def __init__(self) -> None:
        self.finished: list[bytes | None] = []

    async def begin(self) -> bytes | None:
        return b"begin"

    async def answer(self, data: bytes | None) -> bytes | None:
        await anyio.sleep(1)
        return (data or b"") * 2

    def finish(self, data: bytes | None) -> None:
        self.finished.append(data)
        if data == b"somebody else":
            raise AuthRefused("that is not our broker")


def two_steps(broker: FakeBroker) -> None:
    """Have the broker ask twice before it accepts, and again when asked to."""
    seen: dict[Any, int] = {}

    def answer(connection: Any, packet: Packet) -> list[Answer]:
        seen[connection] = count = seen.get(connection, 0) + 1
        if count < 3:
            return [auth(MORE, b"%d" % count)]
        is_first = not any(
            isinstance(p, Auth) and p.reason == 0x19 for p in connection.packets
        )
        return [connack(b"welcome")] if is_first else [auth(OK, b"still welcome")]

    broker.answer(Connect, answer)
    broker.answer(Auth, answer)


def opened(broker: FakeBroker, method: Any = None, **config: Any) -> Any:
    given = Doubling() if method is None else method
    return open_client(broker, protocol="5.0", auth=given, **config)


# -- the exchange before the CONNACK -------------------------------------------------


@virtual
async def test_every_challenge_is_answered_until_the_broker_accepts(broker):
    two_steps(broker)
    method = Doubling()
    async with opened(broker, method) as client:
        assert client.is_connected
        connection = broker.connection
        connect, first, second = connection.packets[:3]
    assert isinstance(connect, Connect)
    assert connect.properties.authentication_method == "m"
    assert connect.properties.authentication_data == b"begin"
    assert [first, second] == [auth(MORE, b"11"), auth(MORE, b"22")]
    assert method.finished == [b"welcome"]


@virtual
async def test_nothing_but_auth_is_sent_before_the_connack(broker):
    broker.ignore(Connect, Auth)
    async with opened(broker, wait_connected=False, connect_s=100) as client:
        connection = await broker.connected(1)
        await connection.next(Connect)
        receipt = await client.publish_soon("t", b"x")
        await connection.send(auth(MORE, b"1"))
        await connection.next(Auth)
        await anyio.sleep(50)
        assert [type(packet) for packet in connection.packets] == [Connect, Auth]
        await connection.send(connack())
        await receipt.wait()


@virtual
async def test_every_connection_begins_with_an_exchange_of_its_own(broker):
    two_steps(broker)
    method = Doubling()
    async with opened(broker, method, **lasting()):
        broker.connection.reset()
        await broker.connected(2)
        await anyio.sleep(5)
        assert len(broker.connections[1].of(Auth)) == 2
    assert method.finished == [b"welcome", b"welcome"]


@virtual
async def test_an_exchange_that_goes_on_for_ever_ends_in_time(broker):
    broker.answer(Connect, lambda *_: [auth(MORE, b"x")])
    broker.answer(Auth, lambda *_: [auth(MORE, b"x")])
    before = anyio.current_time()
    with pytest.raises(ConnectException, match="no CONNACK within 10 s"):
        async with opened(broker, auto_reconnect=False):
            pytest.fail("there was no CONNACK")
    assert anyio.current_time() - before == pytest.approx(10)


@virtual
@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([auth(MORE, b"", "other")], "by the method 'other', not 'm'"),
        ([b"\xf0\x02\x18\x00"], "method"),
        ([auth(OK, b"")], "with the reason success"),
        ([connack(method=None)], "names the method None, not 'm'"),
        ([connack(method="other")], "names the method 'other'"),
    ],
)
async def test_a_broker_that_mixes_methods_is_left(
    broker, answers: list[Answer], problem: str
):
    broker.answer(Connect, lambda *_: answers)
    with pytest.raises(ConnectException, match=problem):
        async with opened(broker, auto_reconnect=False):
            pytest.fail("that was no exchange")


@virtual
@pytest.mark.parametrize("packet", [auth(MORE, b""), connack()])
async def test_a_client_that_named_no_method_wants_none(broker, packet: Packet):
    broker.answer(Connect, lambda *_: [packet])
    with pytest.raises(ConnectException, match=r"asked for|names the method"):
        async with open_client(broker, protocol="5.0", auto_reconnect=False):
            pytest.fail("nobody has asked for that")


@virtual
async def test_an_auth_out_of_turn_ends_the_connection_with_0x82(broker):
    two_steps(broker)
    async with opened(broker, **lasting()):
        await broker.connection.send(auth(MORE, b"once more"))
        goodbye = await broker.connection.next(Disconnect)
        assert goodbye.reason is ReasonCode.PROTOCOL_ERROR


@virtual
@pytest.mark.parametrize(
    "reason", [ReasonCode.NOT_AUTHORIZED, ReasonCode.BAD_AUTHENTICATION_METHOD]
)
async def test_a_broker_that_does_not_accept_us_says_why(broker, reason: ReasonCode):
    broker.answer(Connect, lambda *_: [auth(MORE, b"1")])
    broker.answer(Auth, lambda *_: [Connack(reason=reason)])
    with pytest.raises(MqttAuthRefused) as caught:
        async with opened(broker, **lasting()):
            pytest.fail("we were refused")
    assert caught.value.return_code == reason
    assert len(broker.attempts) == 1


@virtual
async def test_a_broker_that_is_not_ours_gets_nothing(broker):
    broker.answer(Connect, lambda *_: [connack(b"somebody else")])
    with pytest.raises(AuthRefused, match="not our broker"):
        async with opened(broker, wait_connected=False) as client:
            await client.publish("t", b"secret", qos=1)
    assert broker.connection.of(Message) == []
    assert len(broker.attempts) == 1


@virtual
@pytest.mark.parametrize("error", [AuthRefused("no"), ZeroDivisionError()])
async def test_what_the_method_raises_ends_the_block(broker, error: Exception):
    class Failing(Doubling):
        async def answer(self, data: bytes | None) -> bytes | None:
            raise error

    two_steps(broker)
    with pytest.raises((AuthRefused, ZeroDivisionError)) as caught:
        async with opened(broker, Failing(), **lasting()):
            pytest.fail("there was no answer")
    assert isinstance(caught.value, type(error))


@virtual
async def test_a_3_1_1_broker_is_not_fallen_back_to(broker):
    broker.answer(Connect, lambda *_: [b"\x20\x02\x00\x01"])
    with pytest.raises(ConnectException):
        async with open_client(broker, protocol="auto", auth=Doubling()):
            pytest.fail("3.1.1 has no enhanced authentication")
    assert {connection.version for connection in broker.connections} == {5}


@virtual
@pytest.mark.parametrize(
    ("config", "problem"),
    [
        ({"auth": Doubling(), "protocol": "3.1.1"}, "auth needs MQTT 5.0"),
        ({"auth": "SCRAM", "protocol": "5.0"}, "auth has a method, begin, answer"),
    ],
)
async def test_settings_that_cannot_work_are_refused(
    broker, config: dict[str, Any], problem: str
):
    with pytest.raises(ConfigError, match=problem):
        async with open_client(broker, **config):
            pytest.fail("that cannot work")


# -- authenticating again ------------------------------------------------------------


@virtual
async def test_an_open_client_may_authenticate_again(broker):
    two_steps(broker)
    method = Doubling()
    async with opened(broker, method) as client:
        broker.answer(Auth, answering_again())
        await client.reauthenticate()
        assert method.finished == [b"welcome", b"still welcome"]
        sent = broker.connection.of(Auth)[2:]
        assert sent == [
            auth(ReasonCode.REAUTHENTICATE, b"begin"),
            auth(MORE, b"againagain"),
        ]
        await client.publish("t", b"as before", qos=1)
        assert client.counters.connections == 1


def answering_again() -> Callable[[Any, Packet], list[Answer]]:
    def answer(_: Any, packet: Packet) -> list[Answer]:
        assert isinstance(packet, Auth)
        if packet.reason is ReasonCode.REAUTHENTICATE:
            return [auth(MORE, b"again")]
        return [auth(OK, b"still welcome")]

    return answer


@virtual
async def test_several_tasks_authenticate_one_after_the_other(broker):
    two_steps(broker)
    async with opened(broker) as client:
        broker.answer(Auth, answering_again())
        async with anyio.create_task_group() as tg:
            for _ in range(3):
                tg.start_soon(client.reauthenticate)
        reasons = [packet.reason for packet in broker.connection.of(Auth)[2:]]
        assert reasons == [ReasonCode.REAUTHENTICATE, MORE] * 3


@virtual
async def test_a_broker_that_refuses_the_second_time_is_lost(broker):
    two_steps(broker)
    reason = ReasonCode.NOT_AUTHORIZED
    with pytest.raises(MqttGoodbye, match="not authorized"):
        async with opened(broker, **lasting()) as client:
            broker.answer(Auth, lambda *_: [Disconnect(reason=reason)])
            with pytest.raises(LinkLost, match="not authorized"):
                await client.reauthenticate()
            await anyio.sleep_forever()
    assert len(broker.attempts) == 1


@virtual
async def test_a_broker_that_is_silent_the_second_time_is_left_in_time(broker):
    two_steps(broker)
    async with opened(broker, **lasting()) as client:
        broker.ignore(Auth)
        before = anyio.current_time()
        with pytest.raises(
            ReplyTimeout, match="did not end the authentication in 10 s"
        ):
            await client.reauthenticate()
        assert anyio.current_time() - before == pytest.approx(10)


@virtual
async def test_without_auth_there_is_nothing_to_do_again(broker):
    async with open_client(broker, protocol="5.0") as client:
        with pytest.raises(UsageError, match="without auth"):
            await client.reauthenticate()
