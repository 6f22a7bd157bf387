"""Enhanced authentication: row B27 of the conformance table."""

from __future__ import annotations

import hashlib
from typing import Any

import anyio
import pytest

from structiot.errors import AuthRefused
from structiot.mqtt import ReasonCode
from structiot.mqtt.broker import AuthExchange, Identity, Permission
from structiot.mqtt.wire.messages import (
    Auth,
    Connack,
    Disconnect,
    Message,
    Pingreq,
    Pingresp,
)
from structiot.mqtt.wire.properties import AuthProperties
from tests.link.broker.raw import Place, RawClient, broker_place, goodbye_of

pytestmark = pytest.mark.virtual_time
METHOD = "DIGEST"
SECRETS = {b"meter": b"42", b"pump": b"43"}


def proof(challenge: bytes, secret: bytes) -> bytes:
    return hashlib.sha256(challenge + secret).digest()


async def digest(exchange: AuthExchange) -> Identity:
    """A challenge of the size that real methods have: two steps, a proof both ways."""
    assert exchange.method == METHOD
    name = exchange.data or b""
    if name == b"fault":
        raise ZeroDivisionError
    challenge = b"nonce of " + name
    answer = await exchange.challenge(challenge)
    secret = SECRETS.get(name)
    if secret is None or answer != proof(challenge, secret):
        raise AuthRefused(f"{exchange.peer} does not know the secret")
    again = await exchange.challenge(b"once more")
    if again != b"please":
        raise AuthRefused("impolite")
    return Identity(username=name.decode(), data=b"welcome")


def auth(data: bytes, reason: ReasonCode = ReasonCode.CONTINUE_AUTHENTICATION) -> Auth:
    properties = AuthProperties(authentication_method=METHOD, authentication_data=data)
    return Auth(reason=reason, properties=properties)


def place_with_digest(**options: Any) -> Any:
    return broker_place(authenticators={METHOD: digest}, **options)


async def begin(place: Place, name: bytes, client_id: str = "c") -> RawClient:
    client = await place.raw(5)
    properties = {"authentication_method": METHOD, "authentication_data": name}
    with pytest.raises(AssertionError, match="Auth"):
        await client.connect(client_id, properties=properties)
    return client


async def answer(client: RawClient, name: bytes, secret: bytes | None = None) -> None:
    """Answer the first challenge, and then the second."""
    await client.send(auth(proof(b"nonce of " + name, secret or SECRETS[name])))
    question = await client.expect(Auth)
    assert question.reason == ReasonCode.CONTINUE_AUTHENTICATION
    assert question.properties.authentication_data == b"once more"
    await client.send(auth(b"please"))


async def connected(place: Place, name: bytes, client_id: str = "c") -> RawClient:
    client = await begin(place, name, client_id)
    await answer(client, name)
    connack = await client.expect(Connack)
    assert not connack.reason.is_failure
    assert connack.properties.authentication_method == METHOD
    assert connack.properties.authentication_data == b"welcome"
    return client


async def test_b27_who_proves_a_secret_is_let_in_under_its_name():
    permissions = [Permission(user="meter", publish=["%u/#"], subscribe=["#"])]
    async with place_with_digest(permissions=permissions) as place:
        client = await connected(place, b"meter")
        await client.subscribe("#")
        await client.send(Message("pump/x", b"no"), Message("meter/x", b"yes"))
        assert await client.payloads(1) == [b"yes"]


async def test_b27_who_does_not_is_refused():
    async with place_with_digest() as place:
        client = await begin(place, b"meter")
        await client.send(auth(proof(b"nonce of meter", b"guess")))
        connack = await client.expect(Connack)
        assert connack.reason == ReasonCode.NOT_AUTHORIZED
        assert connack.properties.reason_string == (
            "127.0.0.1 does not know the secret"
        )
        assert await client.closed() == []


async def test_b27_an_unknown_method_is_refused_as_such():
    async with place_with_digest() as place:
        client = await place.raw(5)
        connack = await client.connect(properties={"authentication_method": "OTHER"})
        assert connack.reason == ReasonCode.BAD_AUTHENTICATION_METHOD
        assert await client.closed() == []


async def test_b27_without_a_method_nobody_is_anonymous():
    async with place_with_digest() as place:
        for options in ({}, {"username": "meter", "password": b"42"}):
            connack = await (await place.raw(5)).connect(**options)
            assert connack.reason == ReasonCode.NOT_AUTHORIZED


async def test_b27_a_fault_of_the_callback_costs_its_client_alone(
    caplog: pytest.LogCaptureFixture,
):
    async with place_with_digest() as place:
        neighbour = await connected(place, b"meter")
        properties = {"authentication_method": METHOD, "authentication_data": b"fault"}
        for _ in range(10):
            client = await place.raw(5)
            connack = await client.connect("d", properties=properties)
            assert connack.reason == ReasonCode.UNSPECIFIED_ERROR
        assert await neighbour.is_alive()
    # Who comes again and again does not fill the log.
    assert caplog.text.count("\nZeroDivisionError") == 1


async def test_b27_authenticating_takes_no_longer_than_connecting_may():
    async with place_with_digest(connect_s=10) as place:
        client = await begin(place, b"meter")
        rest = await client.closed()
        assert anyio.current_time() == 10
        assert [p.reason for p in rest if isinstance(p, Connack)] in (
            [],
            [ReasonCode.NOT_AUTHORIZED],
        )


async def test_b27_another_packet_before_the_connack_closes():
    async with place_with_digest() as place:
        client = await begin(place, b"meter")
        await client.send(Pingreq())
        assert await client.closed() == []


async def test_b27_a_client_that_gives_up_leaves_nothing():
    async with place_with_digest() as place:
        client = await begin(place, b"meter")
        await client.stream.aclose()
        client = await begin(place, b"meter")
        await client.send(Disconnect())
        assert await client.closed() == []
        assert place.server.core.sessions == {}


async def test_b27_an_answer_nobody_waits_for_closes():
    async with place_with_digest() as place:
        client = await connected(place, b"meter")
        await client.send(auth(b"unasked"))
        goodbye = await goodbye_of(client)
        assert goodbye.reason == ReasonCode.PROTOCOL_ERROR


async def test_b27_a_client_may_authenticate_again_while_messages_flow():
    async with place_with_digest() as place:
        client = await connected(place, b"meter")
        await client.send(auth(b"meter", ReasonCode.REAUTHENTICATE), Pingreq())
        kinds = {type(await client.next()) for _ in range(2)}
        assert kinds == {Auth, Pingresp}
        await answer(client, b"meter")
        done = await client.expect(Auth)
        assert done.reason == ReasonCode.SUCCESS
        assert done.properties.authentication_data == b"welcome"
        assert await client.is_alive()


@pytest.mark.parametrize("name", [b"pump", b"stranger"])
async def test_b27_who_fails_or_is_another_then_is_cut_off(name: bytes):
    async with place_with_digest() as place:
        client = await connected(place, b"meter")
        await client.send(auth(name, ReasonCode.REAUTHENTICATE))
        await client.expect(Auth)
        if name == b"pump":
            await answer(client, name)
        else:
            await client.send(auth(b"guess"))
        goodbye = await goodbye_of(client)
        assert goodbye.reason == ReasonCode.NOT_AUTHORIZED


async def test_b27_authenticating_again_has_its_time_limit():
    async with place_with_digest(connect_s=10) as place:
        client = await connected(place, b"meter")
        await client.send(auth(b"meter", ReasonCode.REAUTHENTICATE))
        await client.expect(Auth)
        goodbye = await goodbye_of(client)
        assert goodbye.reason == ReasonCode.NOT_AUTHORIZED
        assert anyio.current_time() == 10


async def test_b27_two_at_once_do_not_meet():
    async with place_with_digest() as place:
        one = await begin(place, b"meter", "one")
        two = await begin(place, b"pump", "two")
        await answer(two, b"pump")
        await answer(one, b"meter")
        for client in (one, two):
            assert not (await client.expect(Connack)).reason
        names = {s.username for s in place.server.core.sessions.values()}
        assert names == {"meter", "pump"}
