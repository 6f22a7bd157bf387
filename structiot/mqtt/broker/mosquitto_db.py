"""The file in which Mosquitto 2 keeps its state (`mosquitto.db`, version 6): read it.

*Captured (Mosquitto 2.0.11).* Fifteen bytes of a name, four of a checksum that is 0, the
version in four; then chunks: kind and length in four bytes each, and the content. What
counts from a client's packets is big-endian, as in a packet; the numbers of messages and
all times are as the machine that wrote them has them, here little-endian. Behind the
fixed part of a chunk stand its texts, and properties of MQTT 5.0 as in a packet, if there
are any. The first chunk says how wide the numbers of messages are.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field

from structiot.errors import ConfigError

__all__ = [
    "QUEUED",
    "WAIT_FOR_PUBCOMP",
    "WAIT_FOR_PUBREL",
    "SavedClient",
    "SavedDelivery",
    "SavedMessage",
    "SavedState",
    "SavedSubscription",
    "parse_db",
]

_NAME = b"\x00\xb5\x00mosquitto db"
_VERSION = 6
_HEAD_BYTES = len(_NAME) + 8
_NUMBER_BYTES = 8
_CFG, _MESSAGE, _DELIVERY, _RETAIN, _SUBSCRIPTION, _CLIENT = range(1, 7)
_KINDS = range(_CFG, _CLIENT + 1)

# States of a delivery: released, or never sent; all others were perhaps sent.
RESEND_PUBREL = 6
WAIT_FOR_PUBREL = 7
WAIT_FOR_PUBCOMP = 9
QUEUED = 11


@dataclass(frozen=True, slots=True)
class SavedMessage:
    """A message, and who has published it; times are seconds since 1970, 0 is never."""

    expires_at_s: int
    qos: int
    retain: bool
    topic: str
    payload: bytes
    properties: bytes | None
    client_id: str | None
    username: str | None


@dataclass(frozen=True, slots=True)
class SavedClient:
    """A session that lasts."""

    client_id: str
    username: str | None
    expiry_s: int
    expires_at_s: int


@dataclass(frozen=True, slots=True)
class SavedDelivery:
    """A message on its way to a client, or, of QoS 2, from it."""

    client_id: str
    message: int
    packet_id: int
    qos: int
    state: int
    retain: bool
    is_incoming: bool
    properties: bytes | None


@dataclass(frozen=True, slots=True)
class SavedSubscription:
    """A filter of a session; its options are as in SUBSCRIBE."""

    client_id: str
    topic_filter: str
    qos: int
    options: int
    identifier: int | None


@dataclass(slots=True)
class SavedState:
    """All of a file; messages by the numbers that the others name."""

    messages: dict[int, SavedMessage] = field(default_factory=dict)
    clients: list[SavedClient] = field(default_factory=list)
    deliveries: list[SavedDelivery] = field(default_factory=list)
    subscriptions: list[SavedSubscription] = field(default_factory=list)
    retained: list[int] = field(default_factory=list)


def parse_db(data: bytes) -> SavedState:
    """Read a whole file.

    One that is cut off exactly between two chunks cannot be told from a whole one.

    Raises:
        ConfigError: It is none, of another version, cut off or damaged; it says where.
    """
    if not data.startswith(_NAME):
        raise ConfigError("it is no database of Mosquitto")
    version = int.from_bytes(data[_HEAD_BYTES - 4 : _HEAD_BYTES])
    if version != _VERSION:
        raise ConfigError(
            f"it is of version {version}, and {_VERSION}, of Mosquitto 2, is what can be "
            "read: let Mosquitto 2 start and end once with it"
        )
    state = SavedState()
    for at, kind, content in _chunks(data):
        try:
            _take(state, kind, content)
        except struct.error:
            raise ConfigError(f"the chunk at byte {at} is too short") from None
        except UnicodeDecodeError:
            raise ConfigError(f"the chunk at byte {at} has no UTF-8") from None
        except ConfigError as exc:
            raise ConfigError(f"the chunk at byte {at}: {exc}") from None
    return state


def _chunks(data: bytes) -> Iterator[tuple[int, int, bytes]]:
    at = _HEAD_BYTES
    if len(data) <= at:
        raise ConfigError("it is cut off in its head, or behind it")
    while at < len(data):
        if at + 8 > len(data):
            raise ConfigError(f"it is cut off at byte {len(data)}, in a chunk's head")
        kind, size = struct.unpack_from(">II", data, at)
        if kind not in _KINDS:
            raise ConfigError(
                f"the chunk at byte {at} is of a kind {kind} that is none"
            )
        if (kind == _CFG) != (at == _HEAD_BYTES):
            raise ConfigError(f"the chunk at byte {at} has no place there")
        if at + 8 + size > len(data):
            raise ConfigError(f"it is cut off at byte {len(data)}, in a chunk")
        yield at, kind, data[at + 8 : at + 8 + size]
        at += 8 + size


class _Texts:
    """What stands behind the fixed part of a chunk, in pieces of known lengths."""

    def __init__(self, content: bytes, at: int) -> None:
        self._content = content
        self._at = at

    def take(self, size: int) -> bytes:
        end = self._at + size
        if end > len(self._content):
            raise ConfigError("it ends before its texts do")
        piece, self._at = self._content[self._at : end], end
        return piece

    def text(self, size: int) -> str:
        return self.take(size).decode()

    def rest(self) -> bytes | None:
        return self.take(len(self._content) - self._at) or None

    def end(self) -> None:
        if self.rest():
            raise ConfigError("it goes on behind its end")


def _take(state: SavedState, kind: int, content: bytes) -> None:
    if kind == _CFG:
        width = struct.unpack_from("<QBB", content)[2]
        if width != _NUMBER_BYTES:
            raise ConfigError(f"messages have numbers of {width} bytes, not 8")
    elif kind == _MESSAGE:
        _take_message(state, content)
    elif kind == _DELIVERY:
        state.deliveries.append(_delivery(content))
    elif kind == _RETAIN:
        state.retained.append(struct.unpack_from("<Q", content)[0])
        _Texts(content, 8).end()
    elif kind == _SUBSCRIPTION:
        state.subscriptions.append(_subscription(content))
    else:
        state.clients.append(_client(content))


def _take_message(state: SavedState, content: bytes) -> None:
    number, expires_at_s = struct.unpack_from("<Qq", content)
    size, _, source_size, user_size, topic_size, _, qos, retain = struct.unpack_from(
        ">IHHHHHBB", content, 16
    )
    texts = _Texts(content, 32)
    client_id, username = texts.text(source_size), texts.text(user_size)
    state.messages[number] = SavedMessage(
        expires_at_s=expires_at_s,
        qos=qos,
        retain=bool(retain),
        topic=texts.text(topic_size),
        payload=texts.take(size),
        properties=texts.rest(),
        client_id=client_id or None,
        username=username or None,
    )


def _client(content: bytes) -> SavedClient:
    (expires_at_s,) = struct.unpack_from("<q", content)
    expiry_s, _, id_size, _, name_size, _ = struct.unpack_from(">IHHHHI", content, 8)
    texts = _Texts(content, 24)
    client_id, username = texts.text(id_size), texts.text(name_size)
    texts.end()
    return SavedClient(client_id, username or None, expiry_s, expires_at_s)


def _delivery(content: bytes) -> SavedDelivery:
    (number,) = struct.unpack_from("<Q", content)
    packet_id, id_size, qos, state, flags, direction = struct.unpack_from(
        ">HHBBBB", content, 8
    )
    texts = _Texts(content, 16)
    return SavedDelivery(
        client_id=texts.text(id_size),
        message=number,
        packet_id=packet_id,
        qos=qos,
        state=state,
        retain=bool(flags >> 4),
        is_incoming=direction == 0,
        properties=texts.rest(),
    )


def _subscription(content: bytes) -> SavedSubscription:
    identifier, id_size, filter_size, qos, options, _ = struct.unpack_from(
        ">IHHBBH", content
    )
    texts = _Texts(content, 12)
    client_id, topic_filter = texts.text(id_size), texts.text(filter_size)
    texts.end()
    return SavedSubscription(client_id, topic_filter, qos, options, identifier or None)
