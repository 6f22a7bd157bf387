"""Our own dialect, byte by byte as the documentation has it."""

from __future__ import annotations

import hashlib
import hmac

import pytest

from structiot.errors import AuthRefused, ProtocolViolation, UsageError
from structiot.manager.wire.events import (
    Acknowledged,
    AliveAsked,
    Data,
    InfoAsked,
    InfoTold,
    IsAlive,
    Left,
    Welcomed,
)
from structiot.manager.wire.info import Info
from structiot.manager.wire.native import NativeDevice, NativeServer

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
UUID_BYTES = bytes.fromhex("1862cfe15dab4d8ea94650d6728f830f")
INFO = Info(uuid=UUID, type="lamp", data={"a": 1})
TOLD = UUID_BYTES + b"\x04lamp" + b'{"a":1}'
SERVER_NONCE, DEVICE_NONCE = bytes(range(16)), bytes(range(16, 32))
SECRET = b"open sesame"
DEVICE_PROOF = hmac.new(
    SECRET, b"structiot device" + SERVER_NONCE + DEVICE_NONCE + TOLD, hashlib.sha256
).digest()
SERVER_PROOF = hmac.new(
    SECRET, b"structiot server" + SERVER_NONCE + DEVICE_NONCE + TOLD, hashlib.sha256
).digest()
HELLO = b"H\x00\x12\x01\x00" + SERVER_NONCE
WELCOME = b"W\x00\x02\x00\x3c"
MESSAGE = b"D\x00\x0a\0\0\0\0\0\0\0\x07on"
INFO_FRAME = (
    b"I\x00\x2e\x01" + UUID_BYTES + DEVICE_NONCE + b"\x00" + b"\x04lamp" + b'{"a":1}'
)


def known() -> NativeServer:
    server = NativeServer(SERVER_NONCE)
    server.ask_info()
    assert server.feed(INFO_FRAME) == [InfoTold(INFO)]
    return server


def taken() -> NativeDevice:
    device = NativeDevice(DEVICE_NONCE)
    device.feed(HELLO)
    device.tell_info(INFO)
    assert device.feed(WELCOME) == [Welcomed(60)]
    return device


def test_a_device_is_taken_without_a_secret():
    server, device = NativeServer(SERVER_NONCE), NativeDevice(DEVICE_NONCE)
    assert server.ask_info() == HELLO
    assert device.feed(HELLO) == [InfoAsked()]
    assert device.tell_info(INFO) == INFO_FRAME
    assert server.feed(INFO_FRAME) == [InfoTold(INFO)]
    assert server.welcome(60) == b"W\x00\x02\x00\x3c"
    assert device.feed(b"W\x00\x02\x00\x3c") == [Welcomed(60)]


def test_both_prove_that_they_know_the_secret_and_never_tell_it():
    server = NativeServer(SERVER_NONCE, wants_proof=True)
    device = NativeDevice(DEVICE_NONCE, secret=SECRET)
    hello = server.ask_info()
    assert hello == b"H\x00\x12\x01\x01" + SERVER_NONCE
    device.feed(hello)
    told = device.tell_info(INFO)
    assert told == (
        b"I\x00\x4e\x01"
        + UUID_BYTES
        + DEVICE_NONCE
        + b"\x20"
        + DEVICE_PROOF
        + b'\x04lamp{"a":1}'
    )
    assert server.feed(told) == [InfoTold(INFO)]
    assert server.is_proven_by(SECRET)
    assert not server.is_proven_by(b"another")
    welcome = server.welcome(60, SECRET)
    assert welcome == b"W\x00\x22\x00\x3c" + SERVER_PROOF
    assert device.feed(welcome) == [Welcomed(60)]
    assert SECRET not in hello + told + welcome


def test_what_was_said_cannot_be_changed_on_the_way():
    server = NativeServer(SERVER_NONCE, wants_proof=True)
    device = NativeDevice(DEVICE_NONCE, secret=SECRET)
    device.feed(server.ask_info())
    told = device.tell_info(INFO)
    server.feed(told.replace(b"lamp", b"door"))
    assert not server.is_proven_by(SECRET)


def test_a_server_that_does_not_know_the_secret_is_found_out():
    device = NativeDevice(DEVICE_NONCE, secret=SECRET)
    device.feed(HELLO)
    device.tell_info(INFO)
    with pytest.raises(AuthRefused, match="has not proven that it knows the secret"):
        device.feed(b"W\x00\x02\x00\x3c")
    with pytest.raises(AuthRefused, match="wants a proof"):
        NativeDevice(DEVICE_NONCE).feed(b"H\x00\x12\x01\x01" + SERVER_NONCE)


def test_a_device_without_a_secret_has_proven_nothing():
    assert not known().is_proven_by(SECRET)


def test_messages_are_acknowledged_by_their_ids():
    server, device = known(), taken()
    written = server.write(b"on", 258)
    assert written == b"D\x00\x0a\0\0\0\0\0\0\x01\x02on"
    assert device.feed(written) == [Data(b"on", 258)]
    assert device.acknowledge(258) == b"A\x00\x08\0\0\0\0\0\0\x01\x02"
    assert server.feed(device.acknowledge(258)) == [Acknowledged(258)]
    assert server.feed(device.write(b"", 2**64 - 1)) == [Data(b"", 2**64 - 1)]


def test_the_old_commands_keep_their_meaning():
    server, device = known(), taken()
    assert server.ask_info() == b"G\0\0"
    assert device.feed(b"G\0\0") == [InfoAsked()]
    changed = Info(uuid=UUID, type="lamp", data={"a": 2})
    assert server.feed(device.tell_info(changed)) == [InfoTold(changed)]
    assert server.ask_alive() == device.ask_alive() == b"P\0\0"
    assert device.feed(b"P\0\0") == server.feed(b"P\0\0") == [AliveAsked()]
    assert server.feed(device.say_alive()) == [IsAlive()]
    assert server.say_goodbye("replaced") == b"E\x00\x08replaced"
    assert device.feed(b"E\x00\x08replaced") == [Left("replaced")]
    assert server.feed(b"E\0\0") == [Left("")]


def test_an_info_that_is_asked_for_again_is_no_longer_than_the_first():
    server = known()
    server.ask_info()
    fitting = INFO_FRAME[3:] + b" " * (8320 - len(INFO_FRAME) + 3)
    assert server.feed(b"I\x20\x80" + fitting) == [InfoTold(INFO)]
    server.ask_info()
    with pytest.raises(ProtocolViolation, match="an info of 8321 bytes, 8320 at most"):
        server.feed(b"I\x20\x81" + fitting + b" ")


def test_frames_come_in_any_pieces():
    server = NativeServer(SERVER_NONCE)
    server.ask_info()
    stream = INFO_FRAME + b"P\0\0" + b"D\x00\x0a\0\0\0\0\0\0\0\x07on" + b"E\0\0"
    found = [event for at in stream for event in server.feed(bytes((at,)))]
    assert found == [InfoTold(INFO), AliveAsked(), Data(b"on", 7), Left("")]


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param(b"D\x00\x08\0\0\0\0\0\0\0\x01", id="data before the info"),
        pytest.param(b"I\xff\xff", id="longer than an info"),
        pytest.param(b"\x00\x41" + b"x" * 65, id="another dialect"),
        pytest.param(b"I\x00\x01\x02", id="another version"),
        pytest.param(INFO_FRAME.replace(b"\x00\x04", b"\x05\x04"), id="half a proof"),
        pytest.param(INFO_FRAME.replace(b"lamp", b"a##b"), id="a type with ##"),
        pytest.param(INFO_FRAME[:-7] + b"[1,2,3]", id="data that are no object"),
    ],
)
def test_what_is_no_info(sent: bytes):
    server = NativeServer(SERVER_NONCE)
    server.ask_info()
    with pytest.raises(ProtocolViolation):
        server.feed(sent)


def test_the_part_of_an_info_that_is_at_fault_is_named():
    for before, after, said in (
        (b"\x04lamp", b"\x06la##mp", "the type of the info has what no type may have"),
        (b"\x04lamp", b"\x05lamp#", "the type of the info has what no type may have"),
        (b"\x04lamp", b"\x00", "the type of the info has 0 characters"),
        (b"\x04lamp", b"\x01\xff", "UUID and type of the info are no text"),
        (b'{"a":1}', b"[1]", "the info's data"),
        (b'{"a":1}', b'##{"a":1}', "the info's data"),
    ):
        payload = INFO_FRAME[3:].replace(before, after)
        server = NativeServer(SERVER_NONCE)
        server.ask_info()
        with pytest.raises(ProtocolViolation, match=said):
            server.feed(b"I" + len(payload).to_bytes(2) + payload)


@pytest.mark.parametrize(
    "sent",
    [b"D\x00\x03abc", b"D\x00\x08\0\0\0\0\0\0\0\0", b"A\0\0", b"Z\0\0", b"H\0\0"],
)
def test_what_is_no_frame_of_a_known_device(sent: bytes):
    with pytest.raises(ProtocolViolation):
        known().feed(sent)


# What may come to a device before its manager has proven anything, and may not.
BEFORE = {
    "a message": MESSAGE,
    "an acknowledgement": b"A\x00\x08\0\0\0\0\0\0\0\x07",
    "a question who it is": b"G\0\0",
    "a question whether it is there": b"P\0\0",
    "an answer that it is there": b"O\0\0",
}


@pytest.mark.parametrize("name", [*BEFORE, "a welcome", "a refusal"])
def test_nothing_comes_before_the_hello(name: str):
    sent = {**BEFORE, "a welcome": WELCOME, "a refusal": b"R\0\0"}[name]
    with pytest.raises(ProtocolViolation, match=f"{name} came, which is not due"):
        NativeDevice(DEVICE_NONCE).feed(sent)


@pytest.mark.parametrize("secret", [None, SECRET])
@pytest.mark.parametrize("name", [*BEFORE, "a hello"])
def test_nothing_comes_between_the_info_and_the_welcome(
    name: str, secret: bytes | None
):
    device = NativeDevice(DEVICE_NONCE, secret=secret)
    device.feed(HELLO)
    device.tell_info(INFO)
    with pytest.raises(ProtocolViolation, match=f"{name} came, which is not due"):
        device.feed({**BEFORE, "a hello": HELLO}[name])


@pytest.mark.parametrize("sent", [HELLO, WELCOME, b"R\0\0", INFO_FRAME])
def test_what_is_no_frame_for_a_device_that_is_taken(sent: bytes):
    with pytest.raises(ProtocolViolation, match="not due"):
        taken().feed(sent)


def test_a_welcome_does_not_come_with_the_hello():
    with pytest.raises(ProtocolViolation, match="a welcome came, which is not due"):
        NativeDevice(DEVICE_NONCE).feed(HELLO + WELCOME)


@pytest.mark.parametrize("payload", [b"", b"\0", b"\0\0\0", bytes(33), bytes(35)])
def test_what_is_no_welcome(payload: bytes):
    device = NativeDevice(DEVICE_NONCE)
    device.feed(HELLO)
    device.tell_info(INFO)
    with pytest.raises(ProtocolViolation, match="a welcome of another kind"):
        device.feed(b"W" + len(payload).to_bytes(2) + payload)


def test_an_info_comes_as_often_as_it_is_asked_for():
    server = known()
    server.ask_info()
    server.ask_info()
    assert server.feed(INFO_FRAME * 2) == [InfoTold(INFO)] * 2
    with pytest.raises(ProtocolViolation, match="an info came, which is not due"):
        server.feed(INFO_FRAME)


def test_a_refusal_is_for_good():
    device = NativeDevice(DEVICE_NONCE)
    device.feed(HELLO)
    device.tell_info(INFO)
    refusal = NativeServer(SERVER_NONCE).say_refusal("its type is not taken here")
    with pytest.raises(AuthRefused, match="refuses the device: its type is not taken"):
        device.feed(refusal)


def test_faults_are_said_in_plain_words():
    said = {
        INFO_FRAME: "an info came, which is not due",
        b"x\x01\x02": "a frame begins with the byte 78, which is of no kind",
        b"D\0\3abc": "a message without the id of a message came",
    }
    for sent, words in said.items():
        with pytest.raises(ProtocolViolation, match=f"^{words}$"):
            known().feed(sent)
    server = NativeServer(SERVER_NONCE)
    server.ask_info()
    with pytest.raises(
        ProtocolViolation, match=r"^an info of 9079 bytes came, 8320 at"
    ):
        server.feed(b"I" + (9079).to_bytes(2))


@pytest.mark.parametrize("reason", ["\u00e4" * 150, "x" + "\u20ac" * 90, "\ud800"])
def test_a_reason_is_cut_between_characters(reason: str):
    written = known().say_goodbye(reason)
    (left,) = taken().feed(written)
    assert isinstance(left, Left)
    assert left.reason
    assert "\ufffd" not in left.reason
    assert len(written) <= 3 + 200


def test_a_message_fits_into_a_frame():
    assert len(known().write(bytes(65_527), 1)) == 3 + 65_535
    with pytest.raises(UsageError, match="65527 at most"):
        known().write(bytes(65_528), 1)
