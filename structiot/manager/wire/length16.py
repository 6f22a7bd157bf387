"""Both sides of D4: frames of a length in two bytes, and a payload. Facts: reference 1, 7.2."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from structiot._kit.json_text import violation
from structiot.errors import UsageError
from structiot.manager.wire.dialects import LENGTH_16
from structiot.manager.wire.events import (
    AliveAsked,
    Data,
    Event,
    InfoAsked,
    InfoTold,
    IsAlive,
    Left,
)
from structiot.manager.wire.info import MAX_INFO_BYTES, Info, read_info

__all__ = ["MAX_FRAME_BYTES", "FramedDevice", "FramedServer"]

MAX_FRAME_BYTES: Final = 65_535
_HEAD: Final = 2


class _Frames:
    """Payloads out of what comes, in whatever pieces."""

    holds: Final = False

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._most_bytes = MAX_FRAME_BYTES

    @property
    def held_bytes(self) -> int:
        """How much has come of a frame that is not whole yet."""
        return len(self._waiting)

    def let_go(self) -> list[Event]:
        """Nothing is held: frames say where they end."""
        return []

    def write(self, data: bytes, message_id: int = 0) -> bytes:  # noqa: ARG002
        """Write a message.

        Raises:
            UsageError: It is longer than a frame, or the other side would take it for a
                command.
        """
        if command := LENGTH_16.command_in(data):
            raise UsageError(f"the other side would take {command}")
        return _frame(data)

    def _payloads(self, data: bytes) -> Iterator[bytes]:
        waiting = self._waiting
        waiting += data
        at = 0
        while len(waiting) - at >= _HEAD:
            size = int.from_bytes(waiting[at : at + _HEAD])
            if size > self._most_bytes:
                message = f"a frame of {size} bytes, {self._most_bytes} at most"
                raise violation(message, bytes(waiting[at : at + 128]))
            if len(waiting) - at - _HEAD < size:
                break
            at += _HEAD + size
            yield bytes(waiting[at - size : at])
        del waiting[:at]


class FramedServer(_Frames):
    """The server's side of one connection."""

    def __init__(self) -> None:
        super().__init__()
        self._most_bytes = MAX_INFO_BYTES
        self._is_info_asked = self._is_known = False
        self._is_alive_asked = False

    def ask_info(self) -> bytes:
        """Ask who the device is, for the first time or again."""
        self._is_info_asked = True
        return _frame(LENGTH_16.ask_info)

    def ask_alive(self) -> bytes:
        """Ask whether it is there."""
        self._is_alive_asked = True
        return _frame(LENGTH_16.ask_alive)

    def say_goodbye(self, reason: str = "") -> bytes:  # noqa: ARG002
        """End it."""
        return _frame(LENGTH_16.end)

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come.

        Raises:
            ProtocolViolation: What should be an info is none.
        """
        return [self._event(payload) for payload in self._payloads(data)]

    def _event(self, payload: bytes) -> Event:
        if self._is_info_asked and (not self._is_known or payload[36:38] == b"##"):
            if len(payload) > MAX_INFO_BYTES:
                message = f"an info of {len(payload)} bytes, {MAX_INFO_BYTES} at most"
                raise violation(message, payload[:128])
            info = read_info(payload)
            self._is_info_asked, self._is_known = False, True
            self._most_bytes = MAX_FRAME_BYTES
            return InfoTold(info)
        if self._is_alive_asked and payload == LENGTH_16.is_alive:
            self._is_alive_asked = False
            return IsAlive()
        return Left() if payload == LENGTH_16.end else Data(payload)


class FramedDevice(_Frames):
    """The device's side of one connection."""

    def tell_info(self, info: Info) -> bytes:
        """Say who it is.

        Raises:
            UsageError: It cannot be written.
        """
        return _frame(info.encode())

    def say_alive(self) -> bytes:
        """Answer a heartbeat."""
        return _frame(LENGTH_16.is_alive)

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come."""
        return [
            _COMMANDS.get(payload) or Data(payload) for payload in self._payloads(data)
        ]


_COMMANDS: Final[dict[bytes, Event]] = {
    LENGTH_16.ask_info: InfoAsked(),
    LENGTH_16.ask_alive: AliveAsked(),
    LENGTH_16.end: Left(),
}


def _frame(payload: bytes) -> bytes:
    if len(payload) > MAX_FRAME_BYTES:
        message = f"a message of {len(payload)} bytes, {MAX_FRAME_BYTES} at most"
        raise UsageError(message)
    return len(payload).to_bytes(_HEAD) + payload
