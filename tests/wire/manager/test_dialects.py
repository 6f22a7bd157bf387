"""The dialects of iot-manager: recorded exchanges, and what may come in any pieces.

Recorded: reference 4, with the original's releases 0.0.5, 0.0.8, 0.0.12 and 0.0.35.
"""

from __future__ import annotations

import pytest

from structiot.errors import ProtocolViolation, UsageError
from structiot.manager.wire.dialects import Dialect
from structiot.manager.wire.events import (
    AliveAsked,
    Data,
    Event,
    InfoAsked,
    InfoTold,
    IsAlive,
    Left,
)
from structiot.manager.wire.info import Info, InfoReader, canonical_uuid
from structiot.manager.wire.length16 import FramedDevice, FramedServer
from structiot.manager.wire.unframed import UnframedDevice, UnframedServer

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
TOLD = f'{UUID}##test##{{ "key_1": "data_1" }}'.encode()
INFO = Info(uuid=UUID, type="test", data={"key_1": "data_1"})
UNFRAMED = [Dialect.D0, Dialect.D1, Dialect.D2, Dialect.D3]
ANSWERS = {
    "D0": b"beat",
    "D1": b"beat",
    "D2": b"\x02\xff",
    "D3": b"\x02\xf8\x01\xfe\x80",
}


def known(dialect: Dialect) -> UnframedServer:
    server = UnframedServer(dialect)
    server.ask_info()
    marker = b"\xf8\x01\xfe\x80" if dialect == "D3" else b""
    assert server.feed(TOLD + marker) == [InfoTold(INFO)]
    return server


def test_an_info_that_is_asked_for_again_is_no_longer_than_the_first():
    server = FramedServer()
    server.ask_info()
    server.feed(b"\x00\x41" + TOLD)
    server.ask_info()
    with pytest.raises(ProtocolViolation, match="an info of 8193 bytes, 8192 at most"):
        server.feed(b"\x20\x01" + TOLD + b" " * (8193 - 65))


# ---------------------------------------------------------------- as recorded


def test_the_recorded_exchange_with_0_0_5():
    server = UnframedServer(Dialect.D1)
    assert server.ask_info() == b"\x01\xff"
    assert len(TOLD) == 65
    assert server.feed(TOLD) == [InfoTold(INFO)]
    assert server.feed(b"hello") == [Data(b"hello")]
    assert server.ask_alive() == b"\x02\xff"
    assert server.feed(b"beat") == [IsAlive()]
    assert server.write(b"cmd") == b"cmd"
    assert server.say_goodbye() == b"\x03\xff"
    device = UnframedDevice(Dialect.D1)
    assert device.feed(b"\x01\xff") == [InfoAsked()]
    assert device.feed(b"\x02\xff") == [AliveAsked()]
    assert device.say_alive() == b"beat"
    assert device.feed(b"ALLTYP") == [Data(b"ALLTYP")]
    assert device.feed(b"\x03\xff") == [Left()]


def test_the_recorded_exchange_with_0_0_35():
    server = FramedServer()
    assert server.ask_info() == b"\x00\x01\x01"
    assert server.feed(b"\x00\x41" + TOLD) == [InfoTold(INFO)]
    assert server.feed(b"\x00\x05hello") == [Data(b"hello")]
    assert server.ask_alive() == b"\x00\x01\x02"
    assert server.feed(b"\x00\x01\x02") == [IsAlive()]
    assert server.write(b"ALL") + server.write(b"TYP") == b"\x00\x03ALL\x00\x03TYP"
    assert server.say_goodbye() == b"\x00\x01\x03"
    device = FramedDevice()
    assert device.feed(b"\x00\x01\x01") == [InfoAsked()]
    assert device.feed(b"\x00\x01\x02") == [AliveAsked()]
    assert device.say_alive() == b"\x00\x01\x02"
    assert device.feed(b"\x00\x03ALL\x00\x03TYP") == [Data(b"ALL"), Data(b"TYP")]
    assert device.feed(b"\x00\x01\x03") == [Left()]


@pytest.mark.parametrize(
    ("dialect", "info", "alive", "written"),
    [
        (Dialect.D0, b"\x01", b"\x02", b"cmd"),
        (Dialect.D2, b"\x01\xff", b"\x02\xff", b"cmd\xff"),
        (
            Dialect.D3,
            b"\x01\xf8\x01\xfe\x80",
            b"\x02\xf8\x01\xfe\x80",
            b"cmd\xf8\x01\xfe\x80",
        ),
    ],
)
def test_the_first_bytes_of_the_others(dialect, info, alive, written):
    server, device = UnframedServer(dialect), UnframedDevice(dialect)
    assert server.ask_info() == info
    assert server.write(b"cmd") == written
    assert server.feed(TOLD) == [InfoTold(INFO)]
    assert server.ask_alive() == alive
    assert device.feed(info + alive) == [InfoAsked(), AliveAsked()]
    assert device.feed(written) == [Data(b"cmd")]
    assert server.feed(device.say_alive()) == [IsAlive()]


# ---------------------------------------------------------------- heartbeats and data


@pytest.mark.parametrize("dialect", UNFRAMED)
@pytest.mark.parametrize("cut", range(1, 5))
def test_an_answer_in_two_pieces_is_one(dialect: Dialect, cut: int):
    server, answer = known(dialect), ANSWERS[dialect]
    if cut >= len(answer):
        return
    server.ask_alive()
    assert server.feed(answer[:cut]) == []
    assert server.holds
    assert server.feed(answer[cut:]) == [IsAlive()]
    assert not server.holds


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_what_looked_like_an_answer_and_was_none_is_data(dialect: Dialect):
    server, answer = known(dialect), ANSWERS[dialect]
    server.ask_alive()
    assert server.feed(answer[:1]) == []
    assert server.let_go() == [IsAlive(), Data(answer[:1])]


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_an_answer_is_found_before_and_behind_data(dialect: Dialect):
    server, answer = known(dialect), ANSWERS[dialect]
    server.ask_alive()
    assert server.feed(answer + b"hello") == [IsAlive(), Data(b"hello")]
    server.ask_alive()
    assert server.feed(b"hello" + answer) == [IsAlive(), Data(b"hello")]
    assert server.feed(answer) == [Data(answer)]


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_data_prove_life_and_the_late_answer_is_swallowed_once(dialect: Dialect):
    server, answer = known(dialect), ANSWERS[dialect]
    server.ask_alive()
    assert server.feed(b"21.5 C") == [IsAlive(), Data(b"21.5 C")]
    assert server.feed(answer) == []
    assert server.feed(answer) == [Data(answer)]


def test_a_framed_answer_counts_only_while_one_is_due():
    server = FramedServer()
    server.ask_info()
    server.feed(b"\x00\x41" + TOLD)
    assert server.feed(b"\x00\x01\x02") == [Data(b"\x02")]
    server.ask_alive()
    assert server.feed(b"\x00\x02hi\x00\x01\x02") == [Data(b"hi"), IsAlive()]
    assert server.feed(b"\x00\x01\x03") == [Left()]


# ---------------------------------------------------------------- pieces


def one_by_one(side: UnframedServer | FramedServer, data: bytes) -> list[Event]:
    return [event for at in range(len(data)) for event in side.feed(data[at : at + 1])]


def test_frames_come_in_any_pieces():
    stream = b"\x00\x41" + TOLD + b"\x00\x05hello\x00\x00\xff\xff" + bytes(65_535)
    whole, pieces = FramedServer(), FramedServer()
    whole.ask_info()
    pieces.ask_info()
    expected = [InfoTold(INFO), Data(b"hello"), Data(b""), Data(bytes(65_535))]
    assert whole.feed(stream) == one_by_one(pieces, stream) == expected


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_an_info_comes_in_any_pieces(dialect: Dialect):
    server = UnframedServer(dialect)
    server.ask_info()
    assert one_by_one(server, TOLD) == [InfoTold(INFO)]
    assert server.feed(b"\r\nhello" if dialect == "D0" else b"hello") == (
        [Data(b"\r\nhello")] if dialect == "D0" else [Data(b"hello")]
    )


def test_behind_an_info_blanks_are_blank_and_the_rest_is_data():
    server = UnframedServer(Dialect.D0)
    server.ask_info()
    assert server.feed(TOLD + b"\r\nhello") == [InfoTold(INFO), Data(b"hello")]


@pytest.mark.parametrize("dialect", [Dialect.D0, Dialect.D1])
def test_commands_are_found_where_several_come_at_once(dialect: Dialect):
    server, device = known(dialect), UnframedDevice(dialect)
    stream = server.ask_alive() + server.write(b"cmd") + server.say_goodbye()
    assert device.feed(stream) == [AliveAsked(), Data(b"cmd"), Left()]
    end = server.say_goodbye()
    assert device.feed(b"unread" + end[:1]) == []
    assert device.feed(end[1:]) == [Data(b"unread"), Left()]
    assert device.feed(b"state" + end[:1]) == []
    assert device.let_go() == [Data(b"state" + end[:1])]


# ---------------------------------------------------------------- the info


@pytest.mark.parametrize(
    "told",
    [
        f"{UUID.upper()}##light##{{}}",
        f"{UUID.replace('-', '')}##light##{{}}",
        f'{UUID}##light##{{"a": "}}##{{\\"", "b": [{{}}]}}',
        f"{UUID}##light##\n{{}}",
        f'{UUID}##light##{{"a": [' + "{}," * 254 + "1]}",
    ],
)
def test_infos_that_are_right(told: str):
    found = InfoReader().feed(told.encode())
    assert found is not None
    info, rest = found
    assert (info.uuid, info.type, rest) == (UUID, "light", b"")


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ("x" * 36 + "##light##{}", "no UUID"),
        ("../" * 12 + "##light##{}", "no UUID"),
        (f"{UUID}##light##[1]", "no object"),
        (f"{UUID}##light##null", "no object"),
        (f"{UUID}##light##" + "[" * 5000, "no object"),
        (f"{UUID}##light##" + '{"a":' * 1300 + "1" + "}" * 1300, "nested too deeply"),
        (f'{UUID}##light##{{"a": [' + "{}," * 255 + "1]}", "257 brackets, 256 at"),
        (f"{UUID}####{{}}", "0 characters"),
        (f"{UUID}##{'t' * 65}##{{}}", "65 characters"),
        (f"{UUID}##li\nght##{{}}", "no type may have"),
        (f"{UUID}##light##{{'a': 1}}", "no JSON"),
        (f"{UUID}##li##ght##{{}}", "no object"),
        ("a" * 9000, "more than 8192 bytes"),
        (f'{UUID}##light##{{"a": "' + "x" * 9000, "more than 8192 bytes"),
    ],
)
def test_infos_that_are_none(told: str, why: str):
    with pytest.raises(ProtocolViolation, match=why):
        InfoReader().feed(told.encode())


def test_an_info_that_is_no_text():
    for told in (b"\xff" * 36 + b"##light##{}", UUID.encode() + b"##\xff##{}"):
        with pytest.raises(ProtocolViolation, match="no text"):
            InfoReader().feed(told)
    with pytest.raises(ProtocolViolation, match="no UTF-8"):
        InfoReader().feed(UUID.encode() + b'##light##{"a": "\xff"}')


@pytest.mark.parametrize("size", [8192, 8193])
def test_the_longest_info(size: int):
    head = f'{UUID}##light##{{"a": "'.encode()
    told = head + b"x" * (size - len(head) - 2) + b'"}'
    if size == 8192:
        assert InfoReader().feed(told) is not None
    else:
        with pytest.raises(ProtocolViolation, match="8192"):
            InfoReader().feed(told)


def test_an_info_is_written_as_it_is_read():
    found = InfoReader().feed(INFO.encode())
    assert found == (INFO, b"")
    with pytest.raises(UsageError, match="no type may have"):
        Info(uuid=UUID, type="a##b").encode()
    with pytest.raises(UsageError, match="no UUID"):
        Info(uuid="7", type="a").encode()
    with pytest.raises(UsageError, match="8192 at most"):
        Info(uuid=UUID, type="a", data={"a": "x" * 9000}).encode()
    assert canonical_uuid(UUID.replace("-", "").upper()) == UUID


def test_what_is_equal_has_one_hash():
    again = InfoReader().feed(TOLD)
    assert again is not None
    assert {INFO, again[0]} == {INFO}
    assert {InfoTold(INFO), Data(b"x"), Data(b"x")} == {InfoTold(again[0]), Data(b"x")}


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_an_info_is_asked_for_again_and_data_come_first(dialect: Dialect):
    server = known(dialect)
    again = f'{UUID}##test##{{"key_1": "new"}}'.encode()
    changed = Info(uuid=UUID, type="test", data={"key_1": "new"})
    server.ask_info()
    assert server.feed(b"21.5 C") == [Data(b"21.5 C")]
    assert server.feed(again[:20]) == []
    assert server.feed(again[20:50]) == []
    assert server.holds
    assert server.feed(again[50:]) == [InfoTold(changed)]
    assert server.feed(again) == [Data(again)]


# ---------------------------------------------------------------- what is not sent


@pytest.mark.parametrize("dialect", UNFRAMED)
def test_no_message_is_a_command(dialect: Dialect):
    server = known(dialect)
    commands = [server.ask_info(), server.ask_alive(), server.say_goodbye()]
    marker = {"D2": b"\xff", "D3": b"\xf8\x01\xfe\x80"}.get(dialect, b"")
    for command in commands:
        with pytest.raises(UsageError, match="for a command"):
            server.write(command.removesuffix(marker))
    with pytest.raises(UsageError, match="heartbeat"):
        UnframedDevice(dialect).write(ANSWERS[dialect])


def test_no_framed_message_is_a_command_or_too_long():
    for side in (FramedServer(), FramedDevice()):
        for command in (b"\x01", b"\x02", b"\x03"):
            with pytest.raises(UsageError, match="for a command"):
                side.write(command)
        with pytest.raises(UsageError, match="65535 at most"):
            side.write(bytes(65_536))
        assert side.write(b"") == b"\0\0"


def test_a_frame_that_cannot_be_an_info_is_refused_from_its_head():
    server = FramedServer()
    server.ask_info()
    with pytest.raises(ProtocolViolation, match="8192 at most"):
        server.feed(b"\xff\xff")
