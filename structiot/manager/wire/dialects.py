"""The dialects that devices speak, as data. Facts: reference 1 and 4."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

__all__ = ["LENGTH_16", "WORDS", "Dialect", "Words"]


class Dialect(StrEnum):
    """What a listener, or a device, speaks; its name counts in any case.

    The names of the old ones are those of the reference: D0 is as the documentation of
    iot-manager has it, D1 is its release 0.0.5, D2 0.0.8 and 0.0.10, D3 0.0.12, and D4
    all from 0.0.13 on. The last is our own.
    """

    D0 = "D0"
    D1 = "D1"
    D2 = "D2"
    D3 = "D3"
    D4 = "D4"
    STRUCTIOT = "structiot"

    @classmethod
    def _missing_(cls, value: object) -> Dialect | None:
        name = value.casefold() if isinstance(value, str) else None
        return next((one for one in cls if one.value.casefold() == name), None)

    @property
    def is_framed(self) -> bool:
        """Whether it tells where a message ends."""
        return self in {Dialect.D4, Dialect.STRUCTIOT}


@dataclass(frozen=True, slots=True, kw_only=True)
class Words:
    """What one dialect says for what.

    Attributes:
        ask_info: Server: who are you?
        ask_alive: Server: are you there?
        is_alive: Device: I am.
        end: Server: that is all.
        marker: Stands behind each message of the server, and behind a device's info.
    """

    ask_info: bytes
    ask_alive: bytes
    is_alive: bytes
    end: bytes
    marker: bytes = b""

    @property
    def commands(self) -> Mapping[bytes, str]:
        """What a device would obey if it were sent as a message, and what that means."""
        return {
            self.ask_info: "the question who it is",
            self.ask_alive: "the question whether it is there",
            self.end: "the goodbye",
        }

    def command_in(self, written: bytes) -> str:
        """Say for which command a device would take a message; nothing for none."""
        meaning = self.commands.get(written)
        return f"{written.hex(' ')} for a command: {meaning}" if meaning else ""


_MARKER_2: Final = b"\xff"
_MARKER_3: Final = b"\xf8\x01\xfe\x80"

# D2 and D3 never ended a connection by a word; theirs are as those of their neighbours.
WORDS: Final[Mapping[Dialect, Words]] = MappingProxyType(
    {
        Dialect.D0: Words(
            ask_info=b"\x01", ask_alive=b"\x02", is_alive=b"beat", end=b"end\n"
        ),
        Dialect.D1: Words(
            ask_info=b"\x01\xff",
            ask_alive=b"\x02\xff",
            is_alive=b"beat",
            end=b"\x03\xff",
        ),
        Dialect.D2: Words(
            ask_info=b"\x01\xff",
            ask_alive=b"\x02\xff",
            is_alive=b"\x02\xff",
            end=b"\x03\xff",
            marker=_MARKER_2,
        ),
        Dialect.D3: Words(
            ask_info=b"\x01" + _MARKER_3,
            ask_alive=b"\x02" + _MARKER_3,
            is_alive=b"\x02" + _MARKER_3,
            end=b"\x03" + _MARKER_3,
            marker=_MARKER_3,
        ),
    }
)
"""Of the dialects without frames."""

LENGTH_16: Final = Words(
    ask_info=b"\x01", ask_alive=b"\x02", is_alive=b"\x02", end=b"\x03"
)
"""The payloads of D4's frames."""
