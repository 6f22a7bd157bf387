"""Packet by packet: what the decoder accepts and refuses, apart from properties."""

from __future__ import annotations

import pytest

from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.codec.decoder import (
    Role,
)
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Message,
    PacketType,
    Pingreq,
    Suback,
    Subscribe,
    Unsuback,
)
from structiot.mqtt.wire.reasons import ConnectReturnCode
from tests.wire.mqtt.decoding import (
    BAD_FILTER,
    BAD_TOPIC,
    BAD_VERSION,
    CONNECT_5,
    MALFORMED,
    PROTOCOL_ERROR,
    refusal,
)

# --- CONNECT ----------------------------------------------------------------------


def test_a_server_learns_the_version_from_connect():
    decoder = Decoder(role="server")
    subscribe = bytes.fromhex("8207 000a 00 000161 2e")
    message = bytes.fromhex("3005 000161 00 78")

    [connect, published, request] = decoder.feed(CONNECT_5 + message + subscribe)

    assert isinstance(connect, Connect)
    assert connect.version == decoder.version == 5
    assert published == Message("a", b"x")
    assert isinstance(request, Subscribe)
    assert request.subscriptions[0].no_local


@pytest.mark.parametrize(
    ("name", "level"), [("4d515454", 3), ("4d515454", 6), ("4d5149736470", 4)]
)
def test_another_protocol_level_is_refused_so_that_it_can_be_answered(
    name: str, level: int
):
    decoder = Decoder(role="server")
    body = bytes.fromhex(name)
    body = bytes((0, len(body))) + body + bytes((level, 2, 0, 60, 0, 1, 97))

    decoder.feed(b"\x10" + bytes((len(body),)) + body)

    assert decoder.violation is not None
    assert decoder.violation.code == BAD_VERSION
    assert decoder.peer_level == level


@pytest.mark.parametrize(
    ("what", "digits", "code"),
    [
        ("another protocol", "100d 0004 48545450 04 02 003c 000161", MALFORMED),
        ("reserved flag", "100d 00044d515454 04 03 003c 000161", MALFORMED),
        ("will QoS without will", "100d 00044d515454 04 0a 003c 000161", MALFORMED),
        ("will retain without will", "100d 00044d515454 04 22 003c 000161", MALFORMED),
        (
            "will QoS 3",
            "1012 00044d515454 04 1e 003c 000161 000177 0000",
            MALFORMED,
        ),
        (
            "password without user name",
            "1010 00044d515454 04 42 003c 000161 000170",
            MALFORMED,
        ),
        ("user name missing", "100d 00044d515454 04 82 003c 000161", MALFORMED),
        (
            "will topic with wildcard",
            "1012 00044d515454 04 06 003c 000161 000123 0000",
            BAD_TOPIC,
        ),
        (
            "will topic empty",
            "1011 00044d515454 04 06 003c 000161 0000 0000",
            BAD_TOPIC,
        ),
        ("bytes behind", "100e 00044d515454 04 02 003c 000161 00", MALFORMED),
        (
            "authentication data without method",
            "1012 00044d515454 05 02 003c 04 16000178 000161",
            PROTOCOL_ERROR,
        ),
    ],
)
def test_a_wrong_connect_is_refused(what: str, digits: str, code: int):
    assert refusal(digits, role="server") == code


def test_a_tls_handshake_where_a_connect_should_be_is_named():
    decoder = Decoder(role="server")
    hello = bytes.fromhex("16030100f8010000f40303")
    assert decoder.feed(hello) == []
    assert "as a TLS handshake begins" in str(decoder.violation)


def test_an_empty_client_id_without_clean_session_is_left_to_the_server():
    digits = "100c 00044d515454 04 00 003c 0000"
    assert refusal(digits, role="server") is None


# --- CONNACK ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "version", "digits", "code"),
    [
        ("reserved flags", 4, "2002 0200", MALFORMED),
        ("reserved flags", 5, "2003 800000", MALFORMED),
        ("session with refusal", 4, "2002 0105", PROTOCOL_ERROR),
        ("session with refusal", 5, "2003 018700", PROTOCOL_ERROR),
        ("reserved return code", 4, "2002 0006", PROTOCOL_ERROR),
        ("reason that is none", 5, "2003 000100", PROTOCOL_ERROR),
        ("reason of another packet", 5, "2003 009200", PROTOCOL_ERROR),
        ("no properties", 5, "2002 0000", MALFORMED),
        ("too long", 4, "2003 000000", MALFORMED),
        ("data without method", 5, "2007 0000 04 16000178", PROTOCOL_ERROR),
    ],
)
def test_a_wrong_connack_is_refused(what: str, version: int, digits: str, code: int):
    assert refusal(digits, version=version) == code


@pytest.mark.parametrize("code", range(1, 6))
def test_a_server_that_knows_no_5_0_is_understood(code: int):
    decoder = Decoder(role="client", version=5)

    [packet] = decoder.feed(bytes((0x20, 2, 0, code)))

    assert packet == Connack(reason=ConnectReturnCode(code))
    assert isinstance(packet, Connack)
    assert isinstance(packet.reason, ConnectReturnCode)


# --- PUBLISH ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "version", "digits", "code"),
    [
        ("QoS 3", 4, "3606 000161 000178", MALFORMED),
        ("QoS 3, repeated, retained", 5, "3f07 000161 0001 00 78", MALFORMED),
        ("QoS 3, cut", 4, "3600", MALFORMED),
        ("DUP with QoS 0", 4, "3804 000161 78", MALFORMED),
        ("packet id 0", 4, "3206 000161 000078", PROTOCOL_ERROR),
        ("packet id 0", 5, "3407 000161 0000 00 78", PROTOCOL_ERROR),
        ("packet id cut", 4, "3204 000161 00", MALFORMED),
        ("packet id cut, zeros behind", 4, "3203 000161 0000", MALFORMED),
        ("wildcard +", 4, "3005 00012b 7878", BAD_TOPIC),
        ("wildcard #", 5, "3008 0003612f23 00 7878", BAD_TOPIC),
        ("U+0000", 4, "3005 000100 7878", MALFORMED),
        ("not UTF-8", 4, "3006 0002c328 7878", MALFORMED),
        ("surrogate", 4, "3007 0003eda080 7878", MALFORMED),
        ("empty topic", 4, "3004 0000 7878", PROTOCOL_ERROR),
        ("empty topic, no properties", 5, "3005 0000 00 7878", PROTOCOL_ERROR),
        ("empty topic, no alias", 5, "3007 0000 02 0100 7878", PROTOCOL_ERROR),
        ("topic longer than packet", 4, "3004 0003 6161", MALFORMED),
        ("topic longer than packet, more behind", 4, "3004 0003 6161 d000", MALFORMED),
        ("no topic", 4, "3000", MALFORMED),
        ("half a topic length", 4, "3001 00", MALFORMED),
        ("half a topic length, more behind", 4, "3001 00 00", MALFORMED),
        ("no properties", 5, "3003 000161", MALFORMED),
        ("no properties, more behind", 5, "3003 000161 00d0", MALFORMED),
        ("properties longer than packet", 5, "3006 000161 03 2300", MALFORMED),
        ("property length overlong", 5, "3006 000161 8000 78", MALFORMED),
    ],
)
def test_a_wrong_publish_is_refused(what: str, version: int, digits: str, code: int):
    decoder = Decoder(role="client", version=version)
    assert decoder.feed(bytes.fromhex(digits)) == []
    assert decoder.violation is not None
    assert decoder.violation.code == code


def test_a_subscription_identifier_comes_from_servers_only():
    digits = "3006 000161 02 0b01"
    assert refusal(digits, role="client", version=5) is None
    assert refusal(digits, role="server", version=5) == PROTOCOL_ERROR


# --- the other packets ------------------------------------------------------------


@pytest.mark.parametrize(
    ("what", "role", "version", "digits", "code"),
    [
        ("PUBACK id 0", "client", 4, "4002 0000", PROTOCOL_ERROR),
        ("PUBREL id 0", "server", 5, "6202 0000", PROTOCOL_ERROR),
        ("PUBACK short", "client", 4, "4001 00", MALFORMED),
        ("PUBACK with reason", "client", 4, "4003 000100", MALFORMED),
        ("PUBACK, other reason", "client", 5, "4003 000192", PROTOCOL_ERROR),
        ("PUBREL, other reason", "client", 5, "6203 000110", PROTOCOL_ERROR),
        ("PUBCOMP, no such reason", "client", 5, "7003 00017f", PROTOCOL_ERROR),
        ("PUBACK, extra", "client", 5, "4005 0001000000", MALFORMED),
        ("SUBSCRIBE id 0", "server", 4, "8206 0000 000161 00", PROTOCOL_ERROR),
        ("SUBSCRIBE, no filter", "server", 4, "8202 0001", PROTOCOL_ERROR),
        ("SUBSCRIBE, no filter", "server", 5, "8203 0001 00", PROTOCOL_ERROR),
        ("SUBSCRIBE, no options", "server", 4, "8205 0001 000161", MALFORMED),
        ("SUBSCRIBE, QoS 3", "server", 4, "8206 0001 000161 03", MALFORMED),
        ("SUBSCRIBE, QoS 3", "server", 5, "8207 0001 00 000161 03", PROTOCOL_ERROR),
        ("SUBSCRIBE, reserved", "server", 4, "8206 0001 000161 04", MALFORMED),
        ("SUBSCRIBE, reserved", "server", 5, "8207 0001 00 000161 40", MALFORMED),
        ("SUBSCRIBE, handling 3", "server", 5, "8207000100000161 30", PROTOCOL_ERROR),
        (
            "SUBSCRIBE, no local and shared",
            "server",
            5,
            "8210 0001 00 000a 2473686172652f672f61 04",
            PROTOCOL_ERROR,
        ),
        ("SUBSCRIBE, bad filter", "server", 4, "8207 0001 00026123 00", BAD_FILTER),
        ("SUBSCRIBE, empty filter", "server", 4, "8205 0001 0000 00", BAD_FILTER),
        ("SUBSCRIBE, U+0000", "server", 4, "8206 0001 000100 00", MALFORMED),
        ("UNSUBSCRIBE, no filter", "server", 4, "a202 0001", PROTOCOL_ERROR),
        ("UNSUBSCRIBE, no filter", "server", 5, "a203 0001 00", PROTOCOL_ERROR),
        ("UNSUBSCRIBE, bad filter", "server", 5, "a207 0001 00 0002612b", BAD_FILTER),
        ("SUBACK, no code", "client", 4, "9002 0001", PROTOCOL_ERROR),
        ("SUBACK, code of 5.0", "client", 4, "9003 0001 87", PROTOCOL_ERROR),
        ("SUBACK, code of UNSUBACK", "client", 5, "9004 0001 00 11", PROTOCOL_ERROR),
        ("UNSUBACK with codes", "client", 4, "b003 0001 00", MALFORMED),
        ("UNSUBACK, no code", "client", 5, "b003 0001 00", PROTOCOL_ERROR),
        ("UNSUBACK, granted", "client", 5, "b004 0001 00 01", PROTOCOL_ERROR),
        ("PINGREQ with body", "server", 4, "c001 00", MALFORMED),
        ("PINGRESP with body", "client", 5, "d001 00", MALFORMED),
        ("DISCONNECT with reason", "server", 4, "e001 00", MALFORMED),
        ("DISCONNECT, other reason", "client", 5, "e001 01", PROTOCOL_ERROR),
        ("DISCONNECT, expiry", "client", 5, "e007 00 05 1100000000", PROTOCOL_ERROR),
        ("AUTH, other reason", "client", 5, "f001 80", PROTOCOL_ERROR),
        ("AUTH, data, no method", "client", 5, "f006 18 04 16000100", PROTOCOL_ERROR),
    ],
)
def test_a_wrong_packet_is_refused(
    what: str, role: Role, version: int, digits: str, code: int
):
    assert refusal(digits, role=role, version=version) == code


@pytest.mark.parametrize("version", [4, 5])
def test_a_server_takes_pings_and_goodbyes(version: int):
    decoder = Decoder(role="server", version=version)
    assert decoder.feed(b"\xc0\x00\xe0\x00") == [Pingreq(), Disconnect()]


# --- strings ----------------------------------------------------------------------

STRINGS_4: dict[str, tuple[Role, str, str]] = {
    "topic": ("client", "30", "{}"),
    "client id": ("server", "10", "00044d51545404020000 {}"),
    "user name": ("server", "10", "00044d51545404820000 000161 {}"),
    "will topic": ("server", "10", "00044d51545404060000 000161 {} 0000"),
    "filter": ("server", "82", "0001 {} 00"),
    "filter to leave": ("server", "a2", "0001 {}"),
}
STRINGS_5: dict[str, tuple[Role, str, str]] = {
    "user property": ("client", "e0", "00 {block} 26 {} 0000"),
    "user property value": ("client", "e0", "00 {block} 26 0000 {}"),
    "reason string": ("client", "40", "0001 00 {block} 1f {}"),
    "content type": ("client", "30", "000161 {block} 03 {}"),
    "response topic": ("client", "30", "000161 {block} 08 {}"),
}


def string_in(place: str, body: str, first: str, raw: bytes) -> str:
    field = len(raw).to_bytes(2, "big").hex() + raw.hex()
    before, _, after = body.partition("{block}")
    after = after.format(field) if after else after
    before = before.format(field)
    if "{block}" in body:
        before += f"{len(bytes.fromhex(after)):02x}"
    whole = bytes.fromhex(before + after)
    return first + f"{len(whole):02x}" + whole.hex()


@pytest.mark.parametrize("place", [*STRINGS_4, *STRINGS_5])
def test_strings_are_well_formed_utf_8_wherever_they_stand(place: str):
    role, first, body = (STRINGS_4 | STRINGS_5)[place]
    version = 4 if place in STRINGS_4 else 5

    for bad in ("c328", "eda080", "edbfbf", "00", "610062", "c080", "f5808080", "ff"):
        digits = string_in(place, body, first, bytes.fromhex(bad))
        assert refusal(digits, role=role, version=version) == MALFORMED, bad
    for good in ("efbbbf61", "f09f9880", "c3a9", "01", "efbfbf"):
        digits = string_in(place, body, first, bytes.fromhex(good))
        assert refusal(digits, role=role, version=version) is None, good


def test_a_suback_and_an_unsuback_keep_the_order_of_their_codes():
    decoder = Decoder(role="client", version=5)

    [suback, unsuback] = decoder.feed(
        bytes.fromhex("9008 0001 00 02 87 00 01 8f b006 0001 00 11 00 87")
    )

    assert isinstance(suback, Suback)
    assert suback.reasons == (2, 0x87, 0, 1, 0x8F)
    assert isinstance(unsuback, Unsuback)
    assert unsuback.reasons == (0x11, 0, 0x87)


def test_every_packet_type_has_a_name():
    assert [kind.value for kind in PacketType] == list(range(1, 16))
