"""Both sides of our own dialect: frames with a kind, proofs, messages that are acknowledged.

Each frame is a kind of one byte, a length of two (big-endian), and so many bytes:

| kind | from | payload |
|---|---|---|
| `H` hello | server | version 1; flags (1: a proof is wanted); nonce of 16 bytes |
| `I` info | device | version 1; UUID of 16 bytes; nonce of 16; length of the proof, 0 or 32; proof; length of the type; type; data as JSON |
| `W` welcome | server | seconds between heartbeats in two bytes; proof of 32 bytes, or none |
| `G` getinfo | server | nothing; the device tells its info again |
| `P` ping | both | nothing; answered by `O` |
| `O` pong | both | nothing |
| `D` data | both | id of 8 bytes, not 0; the message |
| `A` acknowledgement | both | the id |
| `E` end | both | a reason, as text |
| `R` refusal | server | as `E`, but of one whom it will never take: why, as text |

A proof is HMAC-SHA256 with the device's secret of: `structiot device` or `structiot server`,
the server's nonce, the device's nonce, and the info from its UUID on without the nonce, the
proof and its length. So the secret is never told, a server proves that it knows it as well,
and what the device says of itself cannot be changed on the way.

Who sends data keeps them until they are acknowledged, and sends them again with the same id
after it has connected anew, at most 32 at once. Who gets data remembers the last 64 ids, and
acknowledges again what it has had already.

Each side takes nothing but what is due, and a goodbye at any time:

    server   H sent --I--> known: P O D A, and an I for each G
    device   --H--> asked, I sent --W--> taken: P O D A G
                                 --R--> refused for good

So whatever comes to a device that has a secret comes from a server that has proven it.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterator
from typing import Final, TypeAlias
from uuid import UUID

from structiot._kit.json_text import violation
from structiot._kit.text import printable
from structiot.errors import AuthRefused, UsageError
from structiot.manager.wire.events import (
    Acknowledged,
    AliveAsked,
    Data,
    Event,
    InfoAsked,
    InfoTold,
    IsAlive,
    Left,
    Welcomed,
)
from structiot.manager.wire.info import MAX_INFO_BYTES, Info, fault_of_type, read_info

__all__ = ["MAX_MESSAGE_BYTES", "NONCE_BYTES", "NativeDevice", "NativeServer"]

VERSION: Final = 1
NONCE_BYTES: Final = 16
MAX_MESSAGE_BYTES: Final = 65_535 - 8
_HEAD: Final = 3
_PROOF_BYTES: Final = 32
_ID_BYTES: Final = 8
_MAX_REASON_BYTES: Final = 200
_WANTS_PROOF: Final = 1
_UUID_AND_NONCE: Final = 1 + 16 + NONCE_BYTES
_KINDS: Final = {
    b"H": "a hello",
    b"I": "an info",
    b"W": "a welcome",
    b"G": "a question who it is",
    b"P": "a question whether it is there",
    b"O": "an answer that it is there",
    b"D": "a message",
    b"A": "an acknowledgement",
    b"E": "a goodbye",
    b"R": "a refusal",
}

_Parsers: TypeAlias = dict[bytes, Callable[[bytes], Event]]


class _Native:
    """What both sides do alike."""

    holds: Final = False

    def __init__(self) -> None:
        self._waiting = bytearray()
        self._most_bytes = 65_535
        self._goodbye: _Parsers = {b"E": lambda text: Left(_text_of(text))}
        # What is due now, and what is when both know each other.
        self._parsers: _Parsers = self._goodbye
        self._later: _Parsers = {
            **self._goodbye,
            b"P": lambda _: AliveAsked(),
            b"O": lambda _: IsAlive(),
            b"D": self._data,
            b"A": lambda payload: Acknowledged(_id_of(payload, b"A")),
        }

    def feed(self, data: bytes) -> list[Event]:
        """Take what has come.

        Raises:
            ProtocolViolation: It is not as the dialect has it.
        """
        return [self._event(kind, payload) for kind, payload in self._frames(data)]

    @property
    def held_bytes(self) -> int:
        """How much has come of a frame that is not whole yet."""
        return len(self._waiting)

    def let_go(self) -> list[Event]:
        """Nothing is held: frames say where they end."""
        return []

    def write(self, data: bytes, message_id: int = 0) -> bytes:
        """Write a message.

        Args:
            data: The message.
            message_id: What it will be acknowledged by, from 1 to 2**64 - 1.

        Raises:
            UsageError: It is longer than a frame.
        """
        if len(data) > MAX_MESSAGE_BYTES:
            text = f"a message of {len(data)} bytes, {MAX_MESSAGE_BYTES} at most"
            raise UsageError(text)
        return _frame(b"D", message_id.to_bytes(_ID_BYTES) + data)

    def acknowledge(self, message_id: int) -> bytes:
        """Say that a message is safe here."""
        return _frame(b"A", message_id.to_bytes(_ID_BYTES))

    def ask_alive(self) -> bytes:
        """Ask whether the other side is there."""
        return _frame(b"P")

    def say_alive(self) -> bytes:
        """Answer that."""
        return _frame(b"O")

    def say_goodbye(self, reason: str = "") -> bytes:
        """End it."""
        return _frame(b"E", _bytes_of(reason))

    def _frames(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        waiting = self._waiting
        waiting += data
        at = 0
        while len(waiting) - at >= _HEAD:
            kind = bytes(waiting[at : at + 1])
            size = int.from_bytes(waiting[at + 1 : at + _HEAD])
            if fault := self._fault_of(kind, size):
                raise violation(fault, bytes(waiting[at : at + 128]))
            if len(waiting) - at - _HEAD < size:
                break
            at += _HEAD + size
            yield kind, bytes(waiting[at - size : at])
        del waiting[:at]

    def _fault_of(self, kind: bytes, size: int) -> str:
        name = _KINDS.get(kind)
        if name is None:
            return f"a frame begins with the byte {kind.hex()}, which is of no kind"
        if kind not in self._parsers:
            return f"{name} came, which is not due"
        if size > self._most_bytes:
            return f"{name} of {size} bytes came, {self._most_bytes} at most"
        return ""

    def _event(self, kind: bytes, payload: bytes) -> Event:
        return self._parsers[kind](payload)

    def _data(self, payload: bytes) -> Data:
        return Data(payload[_ID_BYTES:], _id_of(payload[:_ID_BYTES], b"D"))


class NativeServer(_Native):
    """The server's side of one connection.

    Args:
        nonce: 16 bytes that nobody can foresee.
        wants_proof: Whether a device has to prove that it knows its secret.
    """

    def __init__(self, nonce: bytes, *, wants_proof: bool = False) -> None:
        super().__init__()
        self._nonce = nonce
        self._wants_proof = wants_proof
        self._is_known = False
        self._asked = 0
        self._device_nonce = self._told = self._proof = b""
        self._most_bytes = MAX_INFO_BYTES + 128

    def ask_info(self) -> bytes:
        """Ask who the device is, for the first time or again."""
        self._asked += 1
        self._parsers = {**self._parsers, b"I": self._info}
        if self._is_known:
            return _frame(b"G")
        flags = _WANTS_PROOF if self._wants_proof else 0
        return _frame(b"H", bytes((VERSION, flags)) + self._nonce)

    def is_proven_by(self, secret: bytes) -> bool:
        """Tell whether the device that has told its info knows this secret."""
        right = self._proof_of(b"device", secret)
        return hmac.compare_digest(right, self._proof)

    def welcome(self, heartbeat_s: int, secret: bytes | None = None) -> bytes:
        """Tell a device that it has been taken, and prove that its secret is known."""
        proof = b"" if secret is None else self._proof_of(b"server", secret)
        return _frame(b"W", min(heartbeat_s, 65_535).to_bytes(2) + proof)

    def say_refusal(self, reason: str) -> bytes:
        """Tell a device that it will not be taken, however often it asks."""
        return _frame(b"R", _bytes_of(reason))

    def _proof_of(self, who: bytes, secret: bytes) -> bytes:
        return _proof(who, secret, self._nonce, self._device_nonce, self._told)

    def _info(self, payload: bytes) -> InfoTold:
        info, self._device_nonce, self._proof, self._told = _read_info(payload)
        self._is_known, self._most_bytes = True, 65_535
        self._asked -= 1
        self._parsers = (
            {**self._later, b"I": self._info} if self._asked else self._later
        )
        return InfoTold(info)


class NativeDevice(_Native):
    """The device's side of one connection.

    Args:
        nonce: 16 bytes that nobody can foresee.
        secret: What it shares with the server; None if nothing.
    """

    def __init__(self, nonce: bytes, *, secret: bytes | None = None) -> None:
        super().__init__()
        self._nonce, self._server_nonce = nonce, b""
        self._secret = secret
        self._told = b""
        self._is_taken = False
        self._later[b"G"] = lambda _: InfoAsked()
        self._parsers = {**self._goodbye, b"H": self._hello}

    def tell_info(self, info: Info) -> bytes:
        """Say who it is.

        Raises:
            UsageError: It cannot be written.
        """
        _, kind, data = info.encode().split(b"##", 2)
        told = UUID(info.uuid).bytes + bytes((len(kind),)) + kind + data
        proof = b""
        if self._secret is not None:
            proof = _proof(
                b"device", self._secret, self._server_nonce, self._nonce, told
            )
        self._told = told
        if not self._is_taken:
            due: _Parsers = {b"W": self._welcome, b"R": self._refusal}
            self._parsers = {**self._goodbye, **due}
        payload = bytes((VERSION,)) + told[:16] + self._nonce + bytes((len(proof),))
        return _frame(b"I", payload + proof + told[16:])

    def _hello(self, payload: bytes) -> InfoAsked:
        if len(payload) < 2 + NONCE_BYTES or payload[0] < VERSION:
            raise violation("a hello of another kind", payload)
        if payload[1] & _WANTS_PROOF and self._secret is None:
            message = "the manager wants a proof of a secret, and none was given"
            raise AuthRefused(message)
        self._server_nonce = payload[2 : 2 + NONCE_BYTES]
        # Until we have said who we are.
        self._parsers = self._goodbye
        return InfoAsked()

    def _refusal(self, text: bytes) -> Event:
        raise AuthRefused(f"the manager refuses the device: {_text_of(text)}")

    def _welcome(self, payload: bytes) -> Welcomed:
        proof = payload[2:]
        if len(payload) not in {2, 2 + _PROOF_BYTES}:
            raise violation("a welcome of another kind", payload[:128])
        if self._secret is not None:
            right = _proof(
                b"server", self._secret, self._server_nonce, self._nonce, self._told
            )
            if not hmac.compare_digest(right, proof):
                message = "the manager has not proven that it knows the secret"
                raise AuthRefused(message)
        self._is_taken, self._parsers = True, self._later
        return Welcomed(int.from_bytes(payload[:2]))


def _frame(kind: bytes, payload: bytes = b"") -> bytes:
    return kind + len(payload).to_bytes(2) + payload


def _bytes_of(reason: str) -> bytes:
    """Write a reason; no character of it is cut in two."""
    cut = reason.encode("utf-8", "replace")[:_MAX_REASON_BYTES]
    return cut.decode("utf-8", "ignore").encode()


def _text_of(reason: bytes) -> str:
    return printable(reason.decode("utf-8", "replace"))


def _id_of(payload: bytes, kind: bytes) -> int:
    number = int.from_bytes(payload)
    if len(payload) != _ID_BYTES or not number:
        raise violation(f"{_KINDS[kind]} without the id of a message came", payload)
    return number


def _read_info(payload: bytes) -> tuple[Info, bytes, bytes, bytes]:
    """Give the info, the nonce, the proof, and what the proof is of."""
    most = MAX_INFO_BYTES + 128
    if len(payload) > most:
        text = f"an info of {len(payload)} bytes, {most} at most"
        raise violation(text, payload[:128])
    size = payload[_UUID_AND_NONCE] if len(payload) > _UUID_AND_NONCE else 1
    begin = _UUID_AND_NONCE + 1
    if payload[:1] != bytes((VERSION,)) or size not in {0, _PROOF_BYTES}:
        raise violation("an info of another kind", payload[:128])
    uuid, nonce = payload[1:17], payload[17:_UUID_AND_NONCE]
    proof, rest = payload[begin : begin + size], payload[begin + size :]
    kind = rest[1 : 1 + rest[0]] if rest else b""
    data = rest[1 + len(kind) :]
    # A separator in it would make the data begin too early.
    if fault := fault_of_type(kind.decode(errors="replace")):
        raise violation(f"the type of the info {fault}", payload[:128])
    written = b"##".join((str(UUID(bytes=uuid)).encode(), kind, data))
    return read_info(written), nonce, proof, uuid + rest


def _proof(
    who: bytes, secret: bytes, server_nonce: bytes, device_nonce: bytes, told: bytes
) -> bytes:
    message = b"structiot " + who + server_nonce + device_nonce + told
    return hmac.digest(secret, message, hashlib.sha256)
