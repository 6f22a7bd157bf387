"""What the broker's log is told of refusals: each once a minute, and never a flood."""

from __future__ import annotations

import logging

import pytest

from structiot.mqtt.broker import Permission
from structiot.mqtt.wire.messages import Will
from tests.wire.broker.clients import House, ScriptedClient

versions = pytest.mark.parametrize("version", [4, 5])


def said(caplog: pytest.LogCaptureFixture) -> list[str]:
    lines = [record.getMessage() for record in caplog.records]
    caplog.clear()
    return lines


@pytest.fixture
def house(caplog: pytest.LogCaptureFixture) -> House:
    caplog.set_level(logging.INFO, "structiot.mqtt.broker")
    return House(Permission(user="ann", publish=["a/#"], subscribe=["a/#"]))


@versions
@pytest.mark.parametrize("qos", [0, 1])
def test_a_refused_message_is_said_once_a_minute_for_a_client_and_a_first_level(
    house: House, caplog: pytest.LogCaptureFixture, version: int, qos: int
):
    client = house.client("attic", version, username="ann")
    for topic in ("a/x", "b/x", "b/y", "b/x", "$SYS/x"):
        client.publish(topic, qos=qos)
    who = "client 'attic' of user 'ann' may not publish to"
    assert said(caplog) == [
        f"{who} 'b/x': not authorized",
        f"{who} '$SYS/x': not authorized",
    ]
    house.pass_time(60)
    client.publish("b/z", qos=qos)
    assert said(caplog) == [
        f"{who} 'b/z': not authorized (and 2 more since the last such line)"
    ]


@versions
def test_a_refused_subscription_and_a_refused_will_are_said(
    house: House, caplog: pytest.LogCaptureFixture, version: int
):
    house.client("attic", version, username="ann").subscribe("a/#", "#", "b/\x1b[31m")
    who = "client 'attic' of user 'ann' may not subscribe"
    assert said(caplog) == [
        f"{who} '#': not authorized",
        f"{who} 'b/\\x1b[31m': topic filter invalid, it holds U+001B, a control character",
    ]
    ScriptedClient(house, version).connect("c", username="ann", will=Will(topic="b"))
    assert said(caplog) == [
        "client 'c' of user 'ann' may not publish to 'b': not authorized",
        "client 'c' at client refused: not authorized",
    ]


@versions
def test_a_client_that_comes_again_and_again_is_refused_with_a_line_a_minute(
    house: House, caplog: pytest.LogCaptureFixture, version: int
):
    will = Will(topic="b")
    for name in ("attic", "attic", "cellar", "attic"):
        ScriptedClient(house, version).connect(name, username="ann", will=will)
    refused = [line for line in said(caplog) if " refused: " in line]
    assert refused == [
        "client 'attic' at client refused: not authorized",
        "client 'cellar' at client refused: not authorized",
    ]
    house.pass_time(60)
    ScriptedClient(house, version).connect("attic", username="ann", will=will)
    assert said(caplog)[-1] == (
        "client 'attic' at client refused: not authorized"
        " (and 2 more since the last such line)"
    )


def test_who_breaks_the_protocol_again_and_again_is_said_once_a_minute(
    house: House, caplog: pytest.LogCaptureFixture
):
    for _ in range(3):
        ScriptedClient(house, 5).send_bytes(b"GET / HTTP/1.1\r\n\r\n")
    (line,) = said(caplog)
    assert line.startswith("client broke the protocol: ")


def test_a_limit_that_refuses_is_said_by_its_name(caplog: pytest.LogCaptureFixture):
    client = House(topic_levels=2, subscriptions=1).client("c", 5)
    client.publish("a/b/c", qos=1)
    client.subscribe("a/b/c", "x", "y")
    reasons = [line.rpartition(": ")[2] for line in said(caplog)]
    assert reasons == ["topic name invalid", "topic filter invalid", "quota exceeded"]


def test_who_floods_the_broker_with_names_floods_neither_its_log_nor_its_memory(
    house: House, caplog: pytest.LogCaptureFixture
):
    for number in range(1000):
        client = house.client(f"c{number}", username="ann")
        client.publish(f"t{number}/{'x' * 10_000}")
        client.send_bytes(b"\xe0\x00")
    lines = said(caplog)
    assert 100 <= len(lines) <= 201
    assert max(map(len, lines)) < 400
    house.pass_time(60)
    client = house.client("late", username="ann")
    client.publish("b")
    client.publish("b")
    assert len(said(caplog)) == 1
