"""Wills: row B9 of the conformance table."""

from __future__ import annotations

from typing import Any

import pytest

from structiot.mqtt.wire.messages import Will
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from structiot.mqtt.wire.reasons import ReasonCode
from tests.wire.broker.clients import House, ScriptedClient

versions = pytest.mark.parametrize("version", [4, 5])
WILL = Will(topic="will", payload=b"gone", qos=1)


def house_with_will(
    version: int = 5, will: Will = WILL, **options: Any
) -> tuple[House, ScriptedClient, ScriptedClient]:
    house = House()
    listener = house.subscriber("will", qos=2, version=5)
    client = house.client("mortal", version, will=will, **options)
    return house, listener, client


def delayed(seconds: int) -> Will:
    properties = WillProperties(will_delay_s=seconds)
    return Will(topic="will", payload=b"gone", properties=properties)


@versions
def test_b9_a_lost_connection_publishes_the_will(version: int):
    _, listener, client = house_with_will(version)
    client.lose()
    (message,) = listener.got_messages()
    assert (message.payload, message.qos, message.retain) == (b"gone", 1, False)


@versions
def test_b9_a_normal_disconnect_removes_the_will(version: int):
    house, listener, client = house_with_will(version)
    client.disconnect()
    client.lose()
    house.pass_time(1e6)
    assert not listener.got()


@pytest.mark.parametrize(
    "reason", [ReasonCode.DISCONNECT_WITH_WILL, ReasonCode.UNSPECIFIED_ERROR]
)
def test_b9_any_other_disconnect_of_5_0_publishes_it(reason: ReasonCode):
    _, listener, client = house_with_will()
    client.disconnect(reason)
    assert listener.got_payloads() == [b"gone"]


@versions
def test_b9_silence_publishes_the_will(version: int):
    house, listener, _ = house_with_will(version, keep_alive_s=10)
    house.pass_time(15)
    assert listener.got_payloads() == [b"gone"]


@versions
def test_b9_a_broken_protocol_publishes_the_will(version: int):
    _, listener, client = house_with_will(version)
    client.send_bytes(b"\xff\xff")
    assert listener.got_payloads() == [b"gone"]


@versions
def test_b9_a_broker_that_ends_publishes_the_wills_of_others(version: int):
    house, listener, _ = house_with_will(version)
    house.core.cut(
        house.core.sessions["mortal"].client,  # type: ignore[arg-type]
        ReasonCode.SERVER_SHUTTING_DOWN,
        house.now,
    )
    house.settle()
    assert listener.got_payloads() == [b"gone"]


def test_b9_a_will_waits_for_its_delay():
    house, listener, client = house_with_will(
        will=delayed(30), properties={"session_expiry_s": 100}
    )
    client.lose()
    house.pass_time(29.9)
    assert not listener.got()
    house.pass_time(0.1)
    assert listener.got_payloads() == [b"gone"]
    house.pass_time(1000)
    assert not listener.got()


def test_b9_a_return_within_the_delay_cancels_the_will():
    house, listener, client = house_with_will(
        will=delayed(30), properties={"session_expiry_s": 100}
    )
    client.lose()
    house.pass_time(29)
    house.client("mortal", 5, clean_start=False).disconnect()
    house.pass_time(1000)
    assert not listener.got()


def test_b9_a_clean_start_within_the_delay_publishes_it_at_once():
    house, listener, client = house_with_will(
        will=delayed(30), properties={"session_expiry_s": 100}
    )
    client.lose()
    house.client("mortal", 5, clean_start=True)
    assert listener.got_payloads() == [b"gone"]


def test_b9_the_end_of_the_session_publishes_it_before_its_delay():
    house, listener, client = house_with_will(
        will=delayed(30), properties={"session_expiry_s": 10}
    )
    client.lose()
    house.pass_time(10)
    assert listener.got_payloads() == [b"gone"]
    assert "mortal" not in house.core.sessions


def test_b9_without_a_lasting_session_there_is_no_delay():
    _, listener, client = house_with_will(will=delayed(30))
    client.lose()
    assert listener.got_payloads() == [b"gone"]


def test_b9_a_takeover_with_a_delayed_will_cancels_it():
    house, listener, _ = house_with_will(
        will=delayed(30), properties={"session_expiry_s": 100}
    )
    house.client("mortal", 5, clean_start=False)
    house.pass_time(1000)
    assert not listener.got()


@versions
def test_b9_an_empty_will_erases_a_retained_message(version: int):
    house, listener, client = house_with_will(version, Will(topic="will", retain=True))
    house.publish("will", b"kept", retain=True)
    client.lose()
    assert listener.got_payloads() == [b"kept", b""]
    assert len(house.core.retained) == 0


@versions
def test_b9_a_retained_will_is_retained(version: int):
    will = Will(topic="will", payload=b"gone", retain=True)
    house, _, client = house_with_will(version, will)
    client.lose()
    late = house.subscriber("will", client_id="late")
    assert [(m.payload, m.retain) for m in late.got_messages()] == [(b"gone", True)]


def test_b9_the_properties_of_a_will_are_those_of_its_message():
    properties = WillProperties(
        payload_format=1,
        message_expiry_s=60,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"\0\1",
        user_properties=(("a", "1"), ("a", "2")),
    )
    will = Will(topic="will", payload=b"gone", properties=properties)
    _, listener, client = house_with_will(will=will)
    client.lose()
    (message,) = listener.got_messages()
    assert message.properties == PublishProperties(
        payload_format=1,
        message_expiry_s=60,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"\0\1",
        user_properties=(("a", "1"), ("a", "2")),
    )
