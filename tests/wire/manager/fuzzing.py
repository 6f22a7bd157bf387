"""Whatever comes, in whatever pieces, to whichever side of whichever dialect.

The first byte of an input says who receives and what, the second into how many pieces the
rest is cut and what is asked between two of them. Asserted for every input:

* nothing is raised but `ProtocolViolation`, and `AuthRefused` by a device that is refused;
* no more is held back than an info or a frame, and nothing that has not arrived;
* with frames or markers, the events are the same for the whole and for the pieces; without,
  no byte is lost or invented: what is no word of the dialect is data.
"""

from __future__ import annotations

from collections.abc import Iterator

from structiot.errors import AuthRefused, ProtocolViolation
from structiot.manager.wire.dialects import LENGTH_16, WORDS, Dialect
from structiot.manager.wire.events import AliveAsked, Data, Event, InfoAsked, Left
from structiot.manager.wire.info import MAX_INFO_BYTES, Info
from structiot.manager.wire.native import NativeServer
from structiot.manager.wire.sides import (
    DeviceSide,
    ServerSide,
    device_side,
    server_side,
)

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
INFO = f'{UUID}##lamp##{{"a":[1,"##"]}}'.encode()
OWN_INFO = (
    b"I\x00\x2e\x01"
    + bytes.fromhex("1862cfe15dab4d8ea94650d6728f830f")
    + bytes(16)
    + b'\x00\x04lamp{"a":1}'
)
DIALECTS = tuple(Dialect)
MARKED = (Dialect.D2, Dialect.D3)
# A frame with its head, or all that is no frame yet; of the others what may be a word.
MOST_HELD = 3 + 65_535


def first_byte(dialect: Dialect, *, is_server: bool) -> int:
    return DIALECTS.index(dialect) << 1 | is_server


def seeds() -> Iterator[bytes]:
    """What right devices and servers say."""
    for dialect in DIALECTS:
        info = OWN_INFO if dialect == "structiot" else INFO
        if dialect == "D4":
            info = len(info).to_bytes(2) + info
        words = WORDS.get(dialect, LENGTH_16)
        told = {
            True: info
            + {
                "D4": b"\0\5hello\0\1\2\0\0\0\1\3",
                "structiot": b"P\0\0O\0\0D\0\x0a\0\0\0\0\0\0\1\2onA\0\x08\0\0\0\0\0\0\1\2E\0\3bye",
            }.get(dialect, words.marker + b"hello" + words.is_alive),
            False: {
                "D4": b"\0\1\1\0\1\2\0\3cmd\0\1\3",
                "structiot": b"W\0\2\0\x3cG\0\0P\0\0D\0\x0a\0\0\0\0\0\0\1\2onE\0\0",
            }.get(
                dialect,
                words.ask_info + words.ask_alive + b"cmd" + words.marker + words.end,
            ),
        }
        for is_server, data in told.items():
            for how in (0, 0x13, 0xFF):
                yield bytes((first_byte(dialect, is_server=is_server), how)) + data


def check(data: bytes) -> None:
    """Feed one input to a side."""
    if len(data) < 2:
        return
    dialect, is_server = DIALECTS[(data[0] >> 1) % len(DIALECTS)], bool(data[0] & 1)
    stream, how = data[2:], data[1]
    pieces = in_pieces(stream, 1 + (how >> 2))
    asks = how & 3
    if is_server:
        whole = feed(asked(dialect), [stream])
        cut = feed(asked(dialect), pieces)
        feed(asked(dialect), pieces, asks)
    else:
        whole = feed(introduced(dialect), [stream])
        cut = feed(introduced(dialect), pieces)
        feed(introduced(dialect), pieces, asks)
    has_ends = dialect.is_framed or (dialect in MARKED and not is_server)
    if whole is None or cut is None:
        assert whole == cut or not has_ends
    elif has_ends:
        assert whole == cut
    elif not is_server:
        words = WORDS[dialect]
        for events, held in (whole, cut):
            sizes = {
                InfoAsked: len(words.ask_info),
                AliveAsked: len(words.ask_alive),
                Left: len(words.end),
            }
            taken = sum(
                len(one.data) if isinstance(one, Data) else sizes[type(one)]
                for one in events
            )
            assert taken + held == len(stream)


def asked(dialect: Dialect) -> ServerSide:
    side = server_side(dialect, bytes(16))
    side.ask_info()
    return side


def introduced(dialect: Dialect) -> DeviceSide:
    """Give a device that, where the dialect has an order, has said who it is."""
    side = device_side(dialect, bytes(16))
    if dialect is Dialect.STRUCTIOT:
        side.feed(b"H\0\x12\1\0" + bytes(16))
        side.tell_info(Info(uuid=UUID, type="lamp"))
    return side


def feed(
    side: ServerSide | DeviceSide, pieces: list[bytes], asks: int = 0
) -> tuple[list[Event], int] | None:
    """Feed the pieces; give the events and how much is held, or None for a violation."""
    events: list[Event] = []
    arrived = 0
    for number, piece in enumerate(pieces):
        arrived += len(piece)
        try:
            events += side.feed(piece)
            if asks & 1 and number % 3 == 0:
                events += side.let_go()
        except (ProtocolViolation, AuthRefused):
            return None
        is_unknown = isinstance(side, NativeServer) and not events
        most = MAX_INFO_BYTES + 131 if is_unknown else MOST_HELD
        assert side.held_bytes <= min(arrived, most)
        if asks & 2 and isinstance(side, ServerSide):
            side.ask_alive()
            if number % 2:
                side.ask_info()
    return events, side.held_bytes


def in_pieces(data: bytes, count: int) -> list[bytes]:
    """Cut data into about as many pieces."""
    size = max(1, len(data) // count)
    return [data[at : at + size] for at in range(0, len(data), size)]
