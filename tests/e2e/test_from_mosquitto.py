"""A Mosquitto with users, ACL and database moves to our broker as the page says."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.mqtt.wire.messages import (
    Message,
    Pingreq,
    Pingresp,
    Puback,
    Pubcomp,
    Pubrec,
    Pubrel,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import PublishProperties, SubscribeProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests._support.documents import blocks
from tests._support.ports import free_port
from tests.e2e.leaving_mosquitto import (
    mosquitto_in,
    publish,
    refusal,
    set_passwords,
    speaking,
    word_of,
)
from tests.e2e.processes import running, structiot
from tests.link.broker.raw import RawClient

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

ACL = "user ann\ntopic #\ntopic deny secret/#\nuser bob\ntopic read home/#\n"
OLD: dict[str, Any] = {"client_id": "old", "version": 4, "clean_start": False}
NEW: dict[str, Any] = {
    "client_id": "new",
    "clean_start": False,
    "properties": {"session_expiry_s": 3600},
}
SENDER: dict[str, Any] = {**NEW, "client_id": "sender"}
QUEUED = [f"home/{number}" for number in range(50)]


def commands() -> tuple[list[str], list[str]]:
    """Give the words of both commands of the page."""
    page = [one for one in blocks("sh") if one.path.name == "from_mosquitto.md"]
    convert, serve = (shlex.split(block.text)[1:] for block in page)
    return convert, serve


def in_folder(words: Sequence[str], folder: Path, port: int) -> list[str]:
    names = "mosquitto.db", "broker.sqlite", "passwd", "acl"
    paths = {name: str(folder / name) for name in names}
    return [paths.get(word, word.replace("1883", str(port))) for word in words]


async def until_silent(client: RawClient) -> list[Message]:
    """Acknowledge what comes, until nothing more does; give it."""
    found: list[Message] = []
    while True:
        await client.send(Pingreq())
        before = len(found)
        while not isinstance(packet := await client.next(), Pingresp):
            if isinstance(packet, Message):
                found.append(packet)
                kind = Puback if packet.qos == 1 else Pubrec
                await client.send(kind(packet_id=packet.packet_id))
            elif isinstance(packet, Pubrel):
                await client.send(Pubcomp(packet_id=packet.packet_id))
        if len(found) == before:
            return found


async def fill(port: int) -> None:
    """Leave behind what a Mosquitto may have of its clients."""
    async with (
        speaking(port, "ann", "publisher") as ann,
        speaking(port, "bob", **OLD) as old,
        speaking(port, "ann", **NEW) as new,
    ):
        await old.subscribe("home/#", qos=1)
        subscribe = Subscribe(
            packet_id=1,
            subscriptions=(SubscriptionRequest(topic_filter="home/#", qos=2),),
            properties=SubscribeProperties(subscription_id=7),
        )
        await new.send(subscribe)
        await new.expect(Suback)
        properties = PublishProperties(
            content_type="text/plain",
            user_properties=(("k", "v"), ("k", "w")),
            message_expiry_s=900,
        )
        kept = Message("kept/a", b"a", qos=1, packet_id=1, retain=True)
        kept.properties = properties
        await ann.send(kept)
        await ann.expect(Puback)
        # One of each is under way when the clients die.
        two = Message("home/two", b"two", qos=2, packet_id=9)
        await ann.send(two)
        await ann.expect(Pubrec)
        await ann.send(Pubrel(packet_id=9))
        await ann.expect(Pubcomp)
        assert (await old.expect(Message)).topic == "home/two"
        message = await new.expect(Message)
        await new.send(Pubrec(packet_id=message.packet_id))
        await new.expect(Pubrel)
    async with speaking(port, "ann", "queues") as ann:
        assert max(await publish(ann, *QUEUED)) < 0x80
    # A message of QoS 2 that is not released: Mosquitto has given it to nobody.
    async with speaking(port, "ann", **SENDER) as sender:
        await sender.send(Message("home/last", b"last", qos=2, packet_id=77))
        await sender.expect(Pubrec)


async def check(port: int) -> None:
    """Look for all of it."""
    async with speaking(port, "bob", **OLD) as old:
        first, *rest = await until_silent(old)
        assert (first.topic, first.dup, first.qos) == ("home/two", True, 1)
        assert [one.topic for one in rest] == [*QUEUED, "home/last"]
        assert not any(one.dup for one in rest)
    async with speaking(port, "ann", **NEW) as new:
        # The first is released already: it does not come a second time.
        released = await new.expect(Pubrel)
        await new.send(Pubcomp(packet_id=released.packet_id))
        messages = await until_silent(new)
        assert [one.topic for one in messages] == [*QUEUED, "home/last"]
        assert [one.qos for one in messages] == [1] * len(QUEUED) + [2]
        assert {
            one.properties and one.properties.subscription_ids for one in messages[:-1]
        } == {(7,)}
    async with speaking(port, "ann", **SENDER) as sender:
        await sender.send(Pubrel(packet_id=77))
        assert (await sender.expect(Pubcomp)).reason == ReasonCode.SUCCESS
    async with speaking(port, "ann", "looks") as ann:
        await ann.send(
            Subscribe(
                packet_id=1,
                subscriptions=(SubscriptionRequest(topic_filter="#", qos=1),),
            )
        )
        await ann.expect(Suback)
        (kept,) = await until_silent(ann)
        assert (kept.topic, kept.payload, kept.retain) == ("kept/a", b"a", True)
        properties = kept.properties
        assert properties is not None
        assert properties.content_type == "text/plain"
        assert properties.user_properties == (("k", "v"), ("k", "w"))
        assert 800 < (properties.message_expiry_s or 0) <= 900
        assert await publish(ann, "secret/x") == [ReasonCode.NOT_AUTHORIZED]
    async with speaking(port, "bob", "bob") as bob:
        assert await publish(bob, "home/0") == [ReasonCode.NOT_AUTHORIZED]
    assert await refusal(port, "bob", word_of("ann")) >= 0x80


async def test_a_mosquitto_moves_as_the_page_says(tmp_path: Path):
    (tmp_path / "acl").write_text(ACL)
    set_passwords(tmp_path, "ann", "bob")
    mosquitto = mosquitto_in(tmp_path)
    await anyio.to_thread.run_sync(mosquitto.start)
    try:
        await fill(mosquitto.port)
    finally:
        await anyio.to_thread.run_sync(mosquitto.stop)
    port = free_port()
    convert, serve = (in_folder(words, tmp_path, port) for words in commands())
    done = await anyio.run_process(structiot(*convert))
    said = done.stdout.decode()
    assert said.startswith(str(tmp_path / "broker.sqlite"))
    assert "3 sessions, 2 subscriptions, 104 messages under way" in said
    assert "1 retained message\n" in said
    async with running(*structiot(*serve)) as program:
        await program.until(lambda: program.lines)
        await check(port)
        assert not [one for one in program.errors if "left out" in one]
