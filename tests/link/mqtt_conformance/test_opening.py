"""C19, C21, C26, C87, C99, C100: how a connection is sought, refused and moved elsewhere."""

from __future__ import annotations

import pickle
from contextlib import AsyncExitStack

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConfigError
from structiot.mqtt import (
    Connected,
    Disconnected,
    MqttAuthRefused,
    MqttConnectFailed,
    MqttConnectRefused,
    MqttGoodbye,
    ReasonCode,
    open_mqttclient,
)
from structiot.mqtt.wire.messages import Connack, Connect, Disconnect, Message
from structiot.mqtt.wire.properties import ConnackProperties, DisconnectProperties
from tests._support.fake_broker import FakeBroker
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time

USER = (("who", "a"), ("who", "b"))


def refusing(broker: FakeBroker, reason: ReasonCode, **properties: object) -> None:
    connack = Connack(reason=reason, properties=ConnackProperties(**properties))  # type: ignore[arg-type]
    broker.answer(Connect, lambda *_: (connack,))


# -- C19: one time limit, and the step it was spent on -------------------------------


@pytest.mark.parametrize(
    ("scheme", "step"),
    [
        ("mqtts", "the TLS handshake"),
        ("ws", "the websocket handshake"),
        ("wss", "the TLS handshake"),
    ],
)
async def test_the_limit_of_an_attempt_names_the_step_it_was_spent_on(
    broker, scheme: str, step: str
):
    broker.stop()
    async with AsyncExitStack() as stack:
        listener = await stack.enter_async_context(broker.network.listen_tcp("mute", 1))
        tg = await stack.enter_async_context(anyio.create_task_group())

        async def say_nothing(stream: anyio.abc.ByteStream) -> None:
            await anyio.sleep_forever()

        tg.start_soon(listener.serve, say_nothing)
        before = anyio.current_time()
        with pytest.raises(MqttConnectFailed, match=f"within 5 s: waiting for {step}"):
            async with open_mqttclient(
                f"{scheme}://mute:1/",
                config={"connect_s": 5, "auto_reconnect": False},
                environment=Environment(network=broker.network),
            ):
                pytest.fail("nobody has answered")
        assert anyio.current_time() - before == pytest.approx(5)
        tg.cancel_scope.cancel()


async def test_a_password_that_is_never_given_is_named_as_well(broker):
    async def password() -> str:
        await anyio.sleep_forever()
        return ""

    with pytest.raises(MqttConnectFailed, match="waiting for address and credentials"):
        async with open_client(
            broker, username="me", password=password, auto_reconnect=False
        ):
            pytest.fail("there is no password")


# -- C21: a refusal is typed and tells all that the broker told ----------------------


async def test_a_refusal_carries_what_the_broker_said(broker):
    refusing(
        broker,
        ReasonCode.USE_ANOTHER_SERVER,
        reason_string="over there",
        server_reference="elsewhere:1884",
        user_properties=USER,
    )
    with pytest.raises(MqttConnectRefused, match="use another server") as caught:
        async with open_client(broker, protocol="5.0"):
            pytest.fail("that was a refusal")
    error = pickle.loads(pickle.dumps(caught.value))
    assert error.code == error.return_code == 0x9C
    assert error.peer_text == "over there"
    assert error.server_reference == "elsewhere:1884"
    assert error.user_properties == USER
    assert len(broker.attempts) == 1


async def test_a_refused_login_carries_what_the_broker_said(broker):
    refusing(
        broker, ReasonCode.NOT_AUTHORIZED, reason_string="ask", user_properties=USER
    )
    with pytest.raises(MqttAuthRefused, match="not authorized") as caught:
        async with open_client(broker, protocol="5.0"):
            pytest.fail("that was a refusal")
    assert (caught.value.peer_text, caught.value.user_properties) == ("ask", USER)


# -- C100: what is not asked again, unless so wished ---------------------------------


@pytest.mark.parametrize(("retries", "attempts"), [(0, 1), (4, 5)])
async def test_on_request_a_refusal_is_met_with_more_attempts(
    broker, retries: int, attempts: int
):
    broker.refuse(ReasonCode.BAD_USER_NAME_OR_PASSWORD)
    with pytest.raises(MqttAuthRefused):
        async with open_client(broker, retry_refused=True, reconnect_retries=retries):
            pytest.fail("refused")
    assert len(broker.attempts) == attempts


# -- C26: another server is told of, and followed on request -------------------------


async def moved(
    broker: FakeBroker, reason: ReasonCode, reference: str, **config: object
) -> tuple[FakeBroker, list[str]]:
    """Have the broker send the client away; tell which addresses were tried."""
    other = FakeBroker(broker.network)
    other.host = "other"
    tried: list[str] = []
    refusing(broker, reason, server_reference=reference)
    async with anyio.create_task_group() as tg:
        tg.start_soon(other.run)
        await other.listening()
        async with open_client(broker, protocol="5.0", **config) as client:  # type: ignore[arg-type]
            tried += ["broker"] * len(broker.attempts) + ["other"] * len(other.attempts)
            async with client.subscription("t", qos=1) as messages:
                await other.connection.send(Message("t", b"x"))
                assert (await anext(messages)).payload == b"x"
            # What happens when the other one goes away as well?
            broker.oblige()
            other.connection.reset()
            async with client.events() as events:
                async for event in events:
                    if isinstance(event, Connected) and client.counters.connections > 1:
                        break
        tried += ["then broker"] if len(broker.connections) > 1 else ["then other"]
        tg.cancel_scope.cancel()
    return other, tried


async def test_use_another_server_is_followed_once(broker):
    _, tried = await moved(
        broker, ReasonCode.USE_ANOTHER_SERVER, "other:1883", max_redirects=1
    )
    assert tried == ["broker", "other", "then broker"]


async def test_server_moved_is_followed_for_good(broker):
    _, tried = await moved(
        broker, ReasonCode.SERVER_MOVED, "bad:name:here other", max_redirects=1
    )
    assert tried == ["broker", "other", "then other"]


async def test_a_chain_of_redirections_ends(broker):
    refusing(broker, ReasonCode.SERVER_MOVED, server_reference=f"{broker.host}:1883")
    with pytest.raises(MqttConnectRefused, match="server moved"):
        async with open_client(broker, protocol="5.0", max_redirects=3):
            pytest.fail("that goes round in circles")
    assert len(broker.attempts) == 4


@pytest.mark.parametrize("reference", [None, "", ":", "ws://other", "me:you@other"])
async def test_a_reference_that_leads_nowhere_is_not_followed(
    broker, reference: str | None
):
    refusing(broker, ReasonCode.SERVER_MOVED, server_reference=reference)
    with pytest.raises(MqttConnectRefused):
        async with open_client(broker, protocol="5.0", max_redirects=3):
            pytest.fail("there is no other server")
    assert len(broker.attempts) == 1


# -- C87: why the broker has ended the connection ------------------------------------


async def test_a_goodbye_carries_what_the_broker_said(broker):
    async with open_client(broker, **lasting(protocol="5.0")) as client:
        async with client.events() as events:
            assert isinstance(await anext(events), Connected)
            properties = DisconnectProperties(
                reason_string="night", server_reference="other"
            )
            reason = ReasonCode.SERVER_SHUTTING_DOWN
            await broker.connection.send(
                Disconnect(reason=reason, properties=properties)
            )
            lost = await anext(events)
            assert isinstance(lost, Disconnected)
            error = pickle.loads(pickle.dumps(lost.error))
            assert isinstance(error, MqttGoodbye)
            assert (error.code, error.peer_text) == (0x8B, "night")
            assert error.server_reference == "other"
            assert not error.is_final
            assert isinstance(await anext(events), Connected)


async def test_a_client_that_was_taken_over_stays_away_and_says_why(broker):
    with pytest.raises(MqttGoodbye, match="session taken over") as caught:
        async with open_client(broker, **lasting(protocol="5.0")):
            reason = ReasonCode.SESSION_TAKEN_OVER
            await broker.connection.send(Disconnect(reason=reason))
            await anyio.sleep_forever()
    assert caught.value.is_final
    assert len(broker.attempts) == 1


# -- C99: addresses and credentials are asked for before every attempt ---------------


async def test_address_and_credentials_are_asked_for_before_every_attempt(broker):
    asked: list[str] = []

    async def uri() -> str:
        asked.append("uri")
        return str(broker.uri)

    def username() -> str:
        asked.append("username")
        return f"user {len(asked)}"

    async def password() -> bytes:
        asked.append("password")
        return b"token %d" % len(asked)

    async with open_mqttclient(
        uri,
        "tester",
        lasting(username=username, password=password),
        environment=Environment(network=broker.network),
    ):
        broker.connection.reset()
        await broker.connected(2)
    assert asked == ["uri", "username", "password"] * 2
    first, second = [connection.of(Connect)[0] for connection in broker.connections]
    assert (first.username, first.password) == ("user 2", b"token 3")
    assert (second.username, second.password) == ("user 5", b"token 6")


async def test_an_address_that_becomes_none_ends_the_block(broker):
    answers = [broker.uri, "nonsense"]
    with pytest.raises(ConfigError, match="begins with mqtt://"):
        async with open_mqttclient(
            lambda: answers.pop(0),
            "tester",
            lasting(),
            environment=Environment(network=broker.network),
        ):
            broker.connection.reset()
            await anyio.sleep_forever()
