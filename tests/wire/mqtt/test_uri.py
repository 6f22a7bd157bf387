"""Addresses of brokers."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot.errors import ConfigError
from structiot.mqtt.wire.uri import BrokerUri, parse_uri


@pytest.mark.parametrize(
    ("uri", "scheme", "host", "port"),
    [
        ("mqtt://broker/", "mqtt", "broker", 1883),
        ("mqtts://broker", "mqtts", "broker", 8883),
        ("ws://broker", "ws", "broker", 80),
        ("wss://broker", "wss", "broker", 443),
        ("tcp://broker", "mqtt", "broker", 1883),
        ("ssl://broker", "mqtts", "broker", 8883),
        ("tls://broker", "mqtts", "broker", 8883),
        ("MQTT://Broker:1", "mqtt", "broker", 1),
        ("mqtt://10.0.0.7:65535", "mqtt", "10.0.0.7", 65535),
        ("mqtt://[::1]:2000/", "mqtt", "::1", 2000),
        ("mqtt://[fe80::1%25eth0]", "mqtt", "fe80::1%eth0", 1883),
        ("unix:///run/mqtt.sock", "unix", "/run/mqtt.sock", None),
        ("mqtt+unix:///run/my%20mqtt.sock", "unix", "/run/my mqtt.sock", None),
    ],
)
def test_an_address_is_read(uri: str, scheme: str, host: str, port: int | None):
    broker = parse_uri(uri)
    assert (broker.scheme, broker.host, broker.port) == (scheme, host, port)


def test_credentials_are_percent_decoded():
    broker = parse_uri("mqtt://us%40er:p%3Aa%2Fs%20s@host")
    assert (broker.username, broker.password) == ("us@er", "p:a/s s")


def test_without_credentials_there_are_none():
    assert parse_uri("mqtt://host").username is None
    assert parse_uri("mqtt://host").password is None
    assert parse_uri("mqtt://user@host").password is None


def test_credentials_of_a_unix_socket_are_read():
    broker = parse_uri("unix://user:secret@/run/mqtt.sock")
    assert (broker.username, broker.password) == ("user", "secret")
    assert broker.host == "/run/mqtt.sock"


def test_path_and_query_are_kept_for_the_websocket():
    assert parse_uri("ws://host/mqtt?a=b&c=d").path == "/mqtt?a=b&c=d"
    assert parse_uri("ws://host").path == "/"


@pytest.mark.parametrize(
    ("uri", "is_tls", "is_websocket"),
    [
        ("mqtt://h", False, False),
        ("mqtts://h", True, False),
        ("ws://h", False, True),
        ("wss://h", True, True),
        ("unix:///h", False, False),
    ],
)
def test_the_scheme_says_what_the_connection_is(
    uri: str, is_tls: bool, is_websocket: bool
):
    broker = parse_uri(uri)
    assert (broker.is_tls, broker.is_websocket) == (is_tls, is_websocket)


@pytest.mark.parametrize(
    ("uri", "shown"),
    [
        ("mqtt://user:secret@broker/", "mqtt://broker:1883"),
        ("wss://user:secret@[::1]/x", "wss://[::1]:443"),
        ("unix://user:secret@/run/x", "unix:///run/x"),
    ],
)
def test_an_address_is_shown_without_credentials(uri: str, shown: str):
    assert str(parse_uri(uri)) == shown
    assert "secret" not in repr(parse_uri(uri))


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("broker:1883", "begins with mqtt://, not 'broker:1883'"),
        ("", "begins with mqtt://"),
        ("http://broker", "unknown scheme 'http'"),
        ("://broker", "unknown scheme ''"),
        ("mqtt://", "no host"),
        ("mqtt://:1883", "no host"),
        ("mqtt://user:secret@:1883", "no host"),
        ("unix://", "no host"),
        ("mqtt://broker:0", "the port .* is 1 to 65535"),
        ("mqtt://broker:65536", "the port .* is 1 to 65535"),
        ("mqtt://broker:-1", "the port .* is 1 to 65535"),
        ("mqtt://broker:mqtt", "the port .* is 1 to 65535"),
        ("mqtt://broker:99999", "the port .* is 1 to 65535, not 99999"),
        ("mqtt://[::1", "cannot be read"),
        ("mqtt://[zz]/", "cannot be read"),
    ],
)
def test_an_address_that_cannot_work_is_refused_in_words(uri: str, problem: str):
    with pytest.raises(ConfigError, match=problem):
        parse_uri(uri)


@pytest.mark.parametrize(
    ("uri", "problem"),
    [
        ("mqtt://broker/home", "there is no path, and topics are given apart"),
        ("mqtts://ann:secret@broker:1/a/b/", "there is no path"),
        ("tcp://broker/a", "mqtt:// there is no path"),
        ("mqtt://broker?retain=1", "mqtt:// there is no \\?"),
        ("mqtt://broker#home", "mqtt:// there is no #"),
        ("ws://broker/mqtt#1", "ws:// there is no #"),
        ("unix:///run/mqtt#1", "unix:// there is no #"),
        ("unix:///run/mqtt?1", "unix:// there is no \\?"),
    ],
)
def test_what_would_be_passed_over_is_refused(uri: str, problem: str):
    with pytest.raises(ConfigError, match=problem) as caught:
        parse_uri(uri)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("end", ["", "/", "//"])
def test_a_slash_at_the_end_is_no_path(end: str):
    assert parse_uri(f"mqtt://broker{end}").host == "broker"


@pytest.mark.parametrize(
    "uri",
    [
        "user:secret@broker:1883",
        "user:secret@broker://x",
        "mqtt://user:secret@broker:port",
        "mqtt://user:secret@[broker",
        "http://user:secret@broker",
        "mqtt://user:secret",
        "mqtt://user:secret#1@broker",
        "mqtt://user:secret/1@broker",
        "wss://user:secret/1@broker",
    ],
)
def test_an_error_about_an_address_shows_no_password(uri: str):
    with pytest.raises(ConfigError) as caught:
        parse_uri(uri)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("mark", "/?#")
@pytest.mark.parametrize("start", ["secret", "1"])
@pytest.mark.parametrize("scheme", ["mqtt", "mqtts", "wss"])
def test_a_password_that_is_not_encoded_is_told_of(scheme: str, start: str, mark: str):
    if scheme == "wss" and (start, mark) == ("1", "/"):
        # That is what a path may be.
        assert parse_uri("wss://broker:1/x@y").path == "/x@y"
        return
    with pytest.raises(ConfigError, match="percent-encoded"):
        parse_uri(f"{scheme}://ann:{start}{mark}x@broker")


@pytest.mark.parametrize(
    "uri",
    [
        "mqtt://ann:a@b#1@broker",
        "mqtt://ann:a@b/1@broker",
        "mqtts://ann:a@b?1@broker/",
        "ws://ann:a@b#1@broker/mqtt",
        "unix://ann:a@b#1@/run/x",
    ],
)
def test_what_an_unencoded_password_leaves_of_itself_is_not_taken_for_a_host(uri: str):
    with pytest.raises(ConfigError, match="percent-encoded"):
        parse_uri(uri)


def test_a_query_of_a_websocket_may_hold_an_at():
    broker = parse_uri("wss://ann:x@broker/mqtt?who=a@b")
    assert (broker.host, broker.path) == ("broker", "/mqtt?who=a@b")


@pytest.mark.parametrize("thing", [b"mqtt://broker", 1883, None, ["mqtt://broker"]])
def test_what_is_no_text_is_no_address(thing: Any):
    with pytest.raises(ConfigError, match="a broker's address is a text, not"):
        parse_uri(thing)


@given(st.text(max_size=60) | st.text(alphabet="mqt:/@[]%.19a?#", max_size=40))
def test_any_text_is_an_address_or_a_config_error(text: str):
    for uri in (text, f"mqtt://{text}", f"unix://{text}"):
        try:
            broker = parse_uri(uri)
        except ConfigError:
            continue
        assert broker.host
        assert broker.port is None or 0 < broker.port < 65_536


def test_equal_addresses_are_equal():
    plain = BrokerUri(scheme="mqtt", host="h", port=1883)
    assert parse_uri("tcp://h") == plain
