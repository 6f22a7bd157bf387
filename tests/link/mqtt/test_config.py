"""Settings by distmqtt's names: what is taken, and what is said about the rest."""

from __future__ import annotations

import math
import ssl
from contextlib import suppress
from dataclasses import fields
from typing import Any

import pytest

from structiot import Environment
from structiot.errors import ConfigError, StructiotError
from structiot.mqtt import (
    Message,
    MqttConfig,
    TopicDefaults,
    Will,
    WillProperties,
    open_mqttclient,
)
from structiot.mqtt.wire.messages import Connect
from tests.link.mqtt.opening import open_client

pytestmark = pytest.mark.virtual_time


def test_the_defaults_are_those_of_distmqtt_but_for_giving_up():
    config = MqttConfig()
    assert (config.keep_alive, config.ping_delay) == (10, 1)
    assert (config.default_qos, config.default_retain) == (0, False)
    assert (config.auto_reconnect, config.reconnect_retries) == (True, None)
    assert (config.reconnect_max_interval, config.cleansession) == (10, True)
    assert (config.codec, config.will, config.uri) == ("noop", None, None)


def test_a_mapping_and_the_object_are_the_same():
    assert MqttConfig.of({"keep_alive": 5}) == MqttConfig(keep_alive=5)
    assert MqttConfig.of(None) == MqttConfig.of({}) == MqttConfig()
    config = MqttConfig(keep_alive=7)
    assert MqttConfig.of(config) is config


def test_the_mapping_itself_is_never_changed():
    given: dict[str, Any] = {
        "uri": "mqtt://x",
        "topics": {"a": {"qos": 1}},
        "will": {"topic": "t", "message": b"x"},
        "broker": {"cafile": "ca.pem"},
    }
    before = {
        name: dict(value) if isinstance(value, dict) else value
        for name, value in given.items()
    }
    MqttConfig.of(given)
    assert given == before


def test_two_settings_share_nothing():
    first, second = MqttConfig.of({}), MqttConfig.of({})
    assert first.topics is not second.topics
    assert first.codec_params is not second.codec_params


def test_what_belongs_to_the_broker_may_stand_in_a_mapping_of_its_own():
    config = MqttConfig.of(
        {"broker": {"uri": "mqtt://x", "cafile": "a"}, "cafile": "b"}
    )
    assert (config.uri, config.cafile) == ("mqtt://x", "b")


def test_changes_are_checked_as_well():
    assert MqttConfig().with_changes(keep_alive=5).keep_alive == 5
    with pytest.raises(ConfigError, match="keep_alive"):
        MqttConfig().with_changes(keep_alive=-1)


@pytest.mark.parametrize(
    "settings",
    [
        {"password": "hunter2"},
        {"password": b"hunter2"},
        {"keyfile_password": "hunter2"},
        {"uri": "mqtt://ann:hunter2@broker"},
        {"uri": "mqtt://ann:p@ss/hunter2@broker"},
        {"proxy": "http://ann:hunter2@proxy:8080"},
        {"extra_headers": {"Authorization": "Bearer hunter2", "Cookie": "hunter2"}},
    ],
)
def test_no_secret_is_shown(settings: dict[str, Any]):
    shown = repr(MqttConfig.of({"username": "me", **settings}))
    assert "hunter2" not in shown
    assert "***" in shown
    assert "username='me'" in shown


def test_what_is_shown_is_what_is_set():
    assert repr(MqttConfig()) == "MqttConfig()"
    config = MqttConfig(uri="mqtt://broker:1", keep_alive=5)
    assert repr(config) == "MqttConfig(uri='mqtt://broker:1', keep_alive=5)"


@pytest.mark.parametrize("name", [item.name for item in fields(MqttConfig)])
async def test_a_setting_of_a_wrong_type_is_an_error_of_ours(broker, name: str):
    things: tuple[Any, ...] = (
        5,
        1.5,
        b"x",
        [1],
        ["ab"],
        object(),
        (1,),
        "ab",
        {"ab": 1},
        {1: "b"},
    )
    for thing in things:
        # What can be is left, and not looked at any further.
        with suppress(StructiotError):
            MqttConfig.of({name: thing})
        with suppress(StructiotError):
            config = MqttConfig(**{name: thing})
            if name not in {"store", "uri", "reconnect_retries"}:
                given = config.with_changes(connect_s=1, reconnect_retries=0)
                async with open_mqttclient(
                    broker.uri,
                    "x",
                    given,
                    environment=Environment(network=broker.network),
                ):
                    pass


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ({"ab": "cd"}, (("ab", "cd"),)),
        ([("a", "b"), ["a", "c"]], (("a", "b"), ("a", "c"))),
    ],
)
async def test_user_properties_may_be_a_mapping(
    broker, pairs: Any, expected: tuple[tuple[str, str], ...]
):
    will = {"topic": "t", "properties": {"user_properties": pairs}}
    options: dict[str, Any] = {"protocol": "5.0", "user_properties": pairs}
    async with open_client(broker, will=will, **options):
        (connect,) = broker.connection.of(Connect)
    assert connect.properties.user_properties == expected
    assert connect.will.properties.user_properties == expected


@pytest.mark.parametrize(
    ("will", "expected"),
    [
        ({"topic": "t"}, Will(topic="t")),
        (
            {"topic": "t", "message": "\u00fc", "qos": 2, "retain": True},
            Will(topic="t", payload=b"\xc3\xbc", qos=2, retain=True),
        ),
        ({"topic": "t", "message": bytearray(b"x")}, Will(topic="t", payload=b"x")),
        ({"topic": "t", "payload": "x"}, Will(topic="t", payload=b"x")),
        (Will(topic="t"), Will(topic="t")),
        (Will(topic="t", payload="x"), Will(topic="t", payload=b"x")),  # type: ignore[arg-type]
        (None, None),
    ],
)
def test_a_will_may_be_a_mapping_with_defaults(will: Any, expected: Will | None):
    assert MqttConfig.of({"will": will}).will == expected


@pytest.mark.parametrize("pairs", [{"a": "b"}, [("a", "b")], [["a", "b"]]])
def test_a_will_is_spelt_alike_as_a_class_and_as_a_mapping(pairs: Any):
    given: dict[str, Any] = {
        "topic": "t",
        "payload": "gone",
        "qos": 1,
        "retain": True,
        "properties": {"will_delay_s": 5, "user_properties": pairs},
    }
    properties = WillProperties(will_delay_s=5, user_properties=pairs)
    expected = Will(
        topic="t",
        payload=b"gone",
        qos=1,
        retain=True,
        properties=WillProperties(will_delay_s=5, user_properties=(("a", "b"),)),
    )
    for will in (given, Will(**given), Will(**{**given, "properties": properties})):
        assert MqttConfig.of({"will": will}).will == expected


@pytest.mark.parametrize(
    ("settings", "problem"),
    [
        ({"keep_alive": -1}, "keep_alive is a whole number, 0 to 65535 seconds"),
        ({"keep_alive": 65_536}, "keep_alive is .* not 65536"),
        ({"keep_alive": "10"}, "keep_alive is .* not '10'"),
        ({"keep_alive": 9.5}, "keep_alive is .* not 9.5"),
        ({"keep_alive": True}, "keep_alive is .* not True"),
        ({"keep_alive": None}, "keep_alive is .* not None"),
        ({"session_expiry_s": -1}, "session_expiry_s is a whole number, 0 to"),
        ({"topic_alias_maximum": 65_536}, "topic_alias_maximum is .* 0 to 65535"),
        ({"reconnect_retries": "2"}, "reconnect_retries .* not '2'"),
        ({"reconnect_retries": -2}, "reconnect_retries .* -1 or more; -1 is for ever"),
        ({"plugins": ["event_logger"]}, "unknown MQTT setting 'plugins'"),
        ({"retry_refused": "yes"}, "retry_refused is true or false, not 'yes'"),
        ({"max_inflight": 0}, "max_inflight is a whole number, 1 to 65535"),
        ({"receive_maximum": 0}, "receive_maximum is a whole number, 1 to 65535"),
        ({"max_packet_bytes": 10}, "max_packet_bytes is a whole number, 64 or more"),
        ({"outbox_items": 0}, "outbox_items is a whole number, 1 or more"),
        ({"outbox_bytes": 0}, "outbox_bytes is a whole number, 1 or more"),
        ({"subscription_items": 0}, "subscription_items is .* 1 or more"),
        ({"ping_delay": -0.1}, "ping_delay is 0 or more seconds, not -0.1"),
        ({"ping_delay": "1"}, "ping_delay is 0 or more seconds, not '1'"),
        ({"reconnect_max_interval": 0}, "reconnect_max_interval is above 0 seconds"),
        ({"connect_s": 0}, "connect_s is above 0 seconds"),
        ({"connect_s": math.nan}, "connect_s is above 0 seconds, not nan"),
        ({"goodbye_s": -1}, "goodbye_s is 0 or more seconds"),
        ({"unclaimed_s": -1}, "unclaimed_s is 0 or more seconds"),
        ({"default_qos": 3}, "default_qos is 0, 1 or 2, not 3"),
        ({"default_qos": []}, r"default_qos is 0, 1 or 2, not \[\]"),
        ({"default_retain": "yes"}, "default_retain is true or false, not 'yes'"),
        ({"cleansession": 0}, "cleansession is true or false, not 0"),
        ({"auto_reconnect": None}, "auto_reconnect is true or false"),
        ({"check_hostname": "no"}, "check_hostname is true or false"),
        ({"protocol": "4"}, "protocol is '3.1.1', '5.0' or 'auto', not '4'"),
        ({"offline_qos0": "keep"}, "offline_qos0 is 'wait', 'drop' or 'raise'"),
        ({"store": "x.sqlite"}, "store needs cleansession False"),
        ({"topics": []}, "topics is a mapping, not list"),
        ({"topics": {"a": 1}}, "topics: 'a' is a mapping, not int"),
        ({"topics": {"a/#": {}}}, "topics: 'a/#' "),
        ({"topics": {5: {}}}, "topics: 5 is no text"),
        ({"topics": {"a": {"qos": 3}}}, "topics: 'a' has a QoS 0, 1 or 2"),
        ({"topics": {"a": {"retain": "x"}}}, "topics: 'a' has .* retain true or"),
        ({"topics": {"a": {"QoS": 1}}}, "topics: 'a' has qos and retain, not 'QoS'"),
        ({"codec_params": "bool"}, "codec_params is a mapping, not str"),
        ({"extra_headers": ["x"]}, "extra_headers is a mapping, not list"),
        ({"broker": "mqtt://x"}, "broker is a mapping, not str"),
        ({"will": "gone"}, "will is a mapping, not str"),
        ({"will": {"message": b""}}, "will: it needs a topic"),
        ({"will": {"topic": "a/#"}}, "will: the topic 'a/#' "),
        ({"will": {"topic": "t", "qos": 3}}, "will: qos is 0, 1 or 2, not 3"),
        (
            {"will": {"topic": "t", "message": 5}},
            "the payload is text or bytes, not int",
        ),
        ({"will": {"topic": "t", "paylod": b""}}, "did you mean 'payload'"),
        (
            {"will": {"topic": "t", "payload": b"", "message": b""}},
            "unknown .*'message'",
        ),
        ({"will": Will(topic="t", payload=5)}, "the payload is text or bytes, not int"),  # type: ignore[arg-type]
        ({"will": Will(topic="a/#")}, "will: the topic 'a/#' "),
        ({"outgoing_aliases": 1}, "outgoing_aliases is true or false, not 1"),
        ({"subscription_ids": None}, "subscription_ids is true or false"),
        ({"response_information": "no"}, "response_information is true or false"),
        ({"will": {"topic": "t", "qos": []}}, r"will: qos is 0, 1 or 2, not \[\]"),
        (
            {"will": {"topic": "t", "properties": {"will_delay": 1}}},
            "will: properties: there is no 'will_delay'; did you mean 'will_delay_s'",
        ),
        ({"host": "broker"}, "unknown MQTT setting 'host'; did you mean 'uri'"),
        ({"alpn": "mqtt"}, r"alpn is a list of texts, such as \['mqtt'\], not 'mqtt'"),
        ({"user_properties": "ab"}, "user_properties are pairs in a list, not 'ab'"),
        ({"user_properties": ["ab"]}, "user_properties are pairs of texts, not 'ab'"),
        ({"extra_headers": {"a": 1}}, "extra_headers has texts"),
        ({"keyfile": "key.pem"}, "keyfile= goes with certfile="),
        ({"uri": b"mqtt://x"}, "uri is a text, or a function .*, not bytes"),
        ({"topics": {"a": {"qos": []}}}, "topics: 'a' has a QoS 0, 1 or 2"),
        ({"keepalive": 5}, "unknown MQTT setting 'keepalive'; did you mean 'keep_al"),
        ({"zzzzzz": 5}, "unknown MQTT setting 'zzzzzz'$"),
    ],
)
def test_what_cannot_work_is_said_in_words(settings: dict[str, Any], problem: str):
    with pytest.raises(ConfigError, match=problem) as caught:
        MqttConfig.of(settings)
    assert "\n" not in str(caught.value)


def test_what_is_no_mapping_is_refused():
    with pytest.raises(ConfigError, match="MQTT settings are a mapping, not str"):
        MqttConfig.of("mqtt://x")  # type: ignore[arg-type]  # that is the point


def test_all_problems_are_told_at_once():
    with pytest.raises(ConfigError) as caught:
        MqttConfig(keep_alive=-1, connect_s=0, default_qos=7, cleansession="no")  # type: ignore[arg-type]
    for name in ("keep_alive", "connect_s", "default_qos", "cleansession"):
        assert name in str(caught.value)
    with pytest.raises(ConfigError, match=r"'one'.*'two'"):
        MqttConfig.of({"one": 1, "two": 2})


async def test_qos_and_retain_come_from_the_call_then_the_topic_then_the_default(
    broker,
):
    topics = {"a": {"qos": 2, "retain": True}, "b": {"qos": 0}, "c": TopicDefaults()}
    async with open_client(broker, default_qos=1, topics=topics) as client:
        await client.publish("a", b"topic")
        await client.publish("a", b"call", qos=1, retain=False)
        await client.publish("b", b"topic")
        await client.publish("c", b"default")
        await client.publish("d", b"default")
        await client.publish_many([("a", b"many"), ("d", b"many")])
    assert [
        (message.topic, message.qos, message.retain)
        for message in broker.connection.of(Message)
    ] == [
        ("a", 2, True),
        ("a", 1, False),
        ("b", 0, False),
        ("c", 1, False),
        ("d", 1, False),
        ("a", 2, True),
        ("d", 1, False),
    ]


@pytest.mark.parametrize("uri", ["mqtt://broker", "ws://broker", "unix:///broker"])
@pytest.mark.parametrize(
    "setting",
    [
        {"cafile": "ca.pem"},
        {"capath": "/etc/ssl/certs"},
        {"cadata": "nothing"},
        {"certfile": "own.pem"},
        {"ssl_context": ssl.create_default_context()},
    ],
    ids=lambda one: next(iter(one)),
)
async def test_what_is_for_tls_is_refused_beside_an_address_without(
    uri: str, setting: dict[str, Any]
):
    with pytest.raises(ConfigError, match=f"{next(iter(setting))}= is for TLS"):
        async with open_mqttclient(uri, config=setting):
            pytest.fail("a password could be read on the way")
