"""A broker whose program looks on, lets clients in by itself, and ends connections."""

from __future__ import annotations

import pytest

from structiot.errors import AuthRefused
from structiot.mqtt import Message, ReasonCode
from structiot.mqtt.broker import AuthExchange, Identity, Permission
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Pingreq,
    Pingresp,
    Puback,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from tests.link.broker.raw import broker_place, goodbye_of

pytestmark = pytest.mark.virtual_time
versions = pytest.mark.parametrize("version", [4, 5])


async def plain(  # noqa: ASYNC124 - others have to wait for something
    exchange: AuthExchange,
) -> Identity:
    """Let in who says its own name backwards, and call it by its client id."""
    assert exchange.method == ""
    if exchange.password != (exchange.username or "x")[::-1].encode():
        raise AuthRefused("no")
    return Identity(username=f"client {exchange.client_id}")


def subscribe(topic: str) -> Subscribe:
    requests = (SubscriptionRequest(topic_filter=topic, qos=1),)
    return Subscribe(packet_id=1, subscriptions=requests)


class Notes:
    """Notes what it is told, and lets nothing pass on a topic that begins with `kept`."""

    def __init__(self) -> None:
        self.notes: list[tuple[str, ...]] = []

    def joined(self, client_id: str, username: str | None) -> None:
        self.notes.append(("joined", client_id, str(username)))

    def left(self, client_id: str, username: str | None) -> None:
        self.notes.append(("left", client_id, str(username)))

    def lets_pass(self, client_id: str, username: str | None, message: Message) -> bool:
        self.notes.append((message.topic, client_id, str(username)))
        return not message.topic.startswith("kept")


@versions
async def test_a_callback_lets_clients_in_by_name_and_password(version):
    permissions = [Permission(publish=["#"], subscribe=["%u"])]
    async with broker_place(
        authenticators={"": plain}, permissions=permissions
    ) as place:
        client = await place.raw(version)
        connect = Connect(
            client_id="c",
            username="ann",
            password=b"nna",
            clean_start=True,
            version=version,
        )
        # Who does not wait to be let in is read all the same.
        await client.send(connect, subscribe("client c"), Pingreq())
        connack = await client.expect(Connack)
        assert connack.reason == ReasonCode.SUCCESS
        assert (await client.expect(Suback)).reasons == (1,)
        await client.expect(Pingresp)


@versions
async def test_a_callback_turns_clients_away(version):
    async with broker_place(authenticators={"": plain}) as place:
        for name, password in (("ann", b"ann"), (None, None)):
            client = await place.raw(version)
            connack = await client.connect(username=name, password=password)
            assert connack.reason.name == "NOT_AUTHORIZED"
            assert await client.closed() == []


async def test_an_onlooker_hears_who_comes_says_something_and_goes():
    notes = Notes()
    async with broker_place() as place:
        place.server.core.onlooker = notes
        client = await place.raw(4)
        await client.connect("c")
        await client.send(Message("a", b""), Pingreq())
        await client.expect(Pingresp)
        await client.stream.aclose()
        other = await place.raw(4)
        await other.connect("d")
        assert notes.notes[:2] == [("joined", "c", "None"), ("a", "c", "None")]
        assert sorted(notes.notes[2:]) == [
            ("joined", "d", "None"),
            ("left", "c", "None"),
        ]


@versions
async def test_what_an_onlooker_keeps_back_is_acknowledged_and_reaches_nobody(version):
    async with broker_place() as place:
        place.server.core.onlooker = Notes()
        client = await place.raw(version)
        await client.connect("c")
        await client.send(subscribe("#"))
        await client.expect(Suback)
        for topic in ("kept", "free"):
            await client.send(Message(topic, b"", qos=1, packet_id=7))
        assert (await client.expect(Puback)).reason == ReasonCode.SUCCESS
        found = [await client.next(), await client.next()]
        (heard,) = [one for one in found if isinstance(one, Message)]
        assert heard.topic == "free"


async def test_an_onlooker_is_not_asked_about_what_is_forbidden():
    notes = Notes()
    async with broker_place(permissions=[Permission(publish=["open"])]) as place:
        place.server.core.onlooker = notes
        client = await place.raw(4)
        await client.connect("c")
        await client.send(Message("shut", b""), Message("open", b""), Pingreq())
        await client.expect(Pingresp)
        assert [note[0] for note in notes.notes] == ["joined", "open"]


async def test_a_program_ends_a_connection():
    async with broker_place() as place:
        client = await place.raw(5)
        await client.connect("c")
        assert place.server.disconnect("c")
        goodbye = await goodbye_of(client)
        assert goodbye.reason == ReasonCode.ADMINISTRATIVE_ACTION
        assert not place.server.disconnect("c")
        assert not place.server.disconnect("nobody")
