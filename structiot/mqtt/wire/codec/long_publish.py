"""A long PUBLISH, whose payload is received where it stays.

Its memory grows with what has come: it is never more than `GROWTH` times as much, or
`FIRST_BYTES`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from io import BytesIO

from structiot.errors import ProtocolViolation
from structiot.mqtt.wire.codec.remembered import Remembered
from structiot.mqtt.wire.message_size import properties_bytes
from structiot.mqtt.wire.messages import PUBLISH_FLAGS, Message, Packet
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["BEGUN_BYTES", "LONG_BYTES", "LongPublish", "LongPublishes"]

LONG_BYTES = 131_072
"""A shorter packet is copied: that costs less than another read."""
BEGUN_BYTES = 8_192
"""So much of it is there before anything is set aside for it."""

GROWTH = 4
# With less to begin with, the allocator gives memory back to the system and fetches it
# anew for each message: a page fault for each 4 kB.
FIRST_BYTES = 262_144
PUBLISH = 0x30


class LongPublish:
    """A PUBLISH of which the payload is still coming.

    Attributes:
        message: What it will be; its payload comes at the end.
        held_bytes: The memory that is set aside for the payload.
        rich_bytes: What its properties take.

    Args:
        message: As above.
        size: The size of the payload.
        begun: The part of it that is there.
    """

    __slots__ = (
        "_at",
        "_file",
        "_size",
        "_space",
        "_whole",
        "held_bytes",
        "message",
        "rich_bytes",
    )

    def __init__(self, message: Message, size: int, begun: memoryview) -> None:
        self.message: Message = message
        self.held_bytes: int = 0
        properties = message.properties
        self.rich_bytes: int = 0 if properties is None else properties_bytes(properties)
        self._size = size
        self._at = 0
        # What is written into the buffer of such a file is its value, without a copy.
        self._file = BytesIO()
        self._space: memoryview | None = None
        # All of the payload, if it came in one piece.
        self._whole: bytes | None = None
        if begun:
            self._begin(begun)

    def _begin(self, begun: memoryview) -> None:
        self.held_bytes = min(self._size, max(FIRST_BYTES, GROWTH * len(begun)))
        self._file = BytesIO(bytes(self.held_bytes))
        self.put(begun)

    @property
    def whole_bytes(self) -> int:
        """The size of the payload, if nothing of it has come."""
        return 0 if self._at else self._size

    def give(self, data: bytes) -> None:
        """Take what comes first: what is all of it stays where it is."""
        if len(data) == self._size:
            self._whole, self._at = data, len(data)
            self.held_bytes = len(data)
        else:
            self._begin(memoryview(data))

    @property
    def is_complete(self) -> bool:
        """Whether all of the payload has come."""
        return self._at == self._size

    def space(self) -> memoryview:
        """Where the next bytes belong; good until the next call of anything here."""
        self._release()
        if self._at == self.held_bytes:
            self.held_bytes = min(self._size, max(FIRST_BYTES, GROWTH * self._at))
            self._file.seek(self.held_bytes - 1)
            self._file.write(b"\0")
        self._space = space = self._file.getbuffer()[self._at :]
        return space

    def filled(self, size: int) -> None:
        """So much has been put into `space`."""
        self._at += size

    def put(self, data: memoryview) -> int:
        """Copy what belongs to it from the beginning of some data; give its size."""
        at = 0
        while at < len(data) and not self.is_complete:
            space = self.space()
            step = min(len(space), len(data) - at)
            space[:step] = data[at : at + step]
            self._at += step
            at += step
        return at

    def finish(self) -> Message:
        """Give the message, once it is complete."""
        self._release()
        message = self.message
        if (payload := self._whole) is None:
            payload = self._file.getvalue()
        message.payload = message.data = payload
        return message

    def _release(self) -> None:
        if self._space is not None:
            self._space.release()
            self._space = None


class LongPublishes(ABC):
    """The part of a decoder that receives long messages where they stay.

    Attributes:
        remembered: Topics and properties that it knows again.
        long: The one that is coming; None is none.
        expects_long: Whether the last packet was a long PUBLISH: the next one may be, and
            whoever reads little of it now has to copy little.
        head_bytes: What that had before its payload.
    """

    remembered: Remembered
    violation: ProtocolViolation | None
    _version: int

    def __init__(self) -> None:
        self.expects_long: bool = False
        self.head_bytes: int = 0
        self.long: LongPublish | None = None

    def forget_long(self) -> None:
        """Let go of what has come of a long one."""
        self.long = None

    @property
    def has_space(self) -> bool:
        """Whether the next bytes may be received into `space`, to be copied no more."""
        return self.long is not None and not self.long.is_complete

    def space(self) -> memoryview:
        """Where the next bytes belong, if it `has_space`; good until the next call.

        Whoever uses it says how much has come by `filled`, and feeds nothing then.
        """
        return memoryview(b"") if self.long is None else self.long.space()

    @property
    def whole_bytes(self) -> int:
        """How much of a payload is to come, if nothing of it has; else 0."""
        return 0 if self.long is None else self.long.whole_bytes

    def give(self, data: bytes) -> None:
        """The first of it was received, or all, which then is the payload."""
        if self.long is not None:
            self.long.give(data)

    def filled(self, size: int) -> None:
        """So many bytes were received into `space`."""
        if self.long is not None:
            self.long.filled(size)

    @property
    def is_filled(self) -> bool:
        """Whether `filled` has made a packet complete."""
        return self.long is not None and self.long.is_complete

    def _go_on(self, data: bytes, packets: list[Packet]) -> int:
        """Add to a long PUBLISH; give where the data goes on."""
        at = 0
        if (long := self.long) is not None:
            at = long.put(memoryview(data))
            if long.is_complete:
                packets.append(long.finish())
                self.long, self.expects_long = None, True
        return at

    def begin_long(self, data: bytes) -> bool:
        """Begin a long PUBLISH with what would be fed next; if it is none, feed it.

        As `feed` does, but with its head alone, and nobody has to be told of a packet
        that is not complete.
        """
        if self.is_amid or self.violation is not None:
            return False
        try:
            header, size = self._measure(data, 0)
        except ProtocolViolation:
            return False
        return size > len(data) and self._begin(data, 0, header, size, least=1)

    def _begin(
        self, data: bytes, at: int, header: int, size: int, least: int = BEGUN_BYTES
    ) -> bool:
        """Begin a long PUBLISH, of which enough is there, but not all.

        What is wrong with it is found out when it is complete.
        """
        flags, end = data[at] ^ PUBLISH, len(data)
        is_long = size >= LONG_BYTES and end - at >= least
        if not is_long or flags not in PUBLISH_FLAGS:
            return False
        first = at + header
        name_end = payload_at = first + 2 + (data[first] << 8 | data[first + 1])
        packet_id, properties = 0, None
        try:
            if flags > 1:
                packet_id = data[name_end] << 8 | data[name_end + 1]
                payload_at += 2
            if self._version == 5 and data[payload_at]:
                properties, payload_at = self._properties(data, payload_at, end)
            elif self._version == 5:
                payload_at += 1
            if payload_at > min(end, at + size) or (flags > 1 and not packet_id):
                return False
            topic = self.remembered.topics.get(data[first + 2 : name_end])
            if topic is None:
                topic = self._topic(data, first + 2, name_end, properties)
        except (IndexError, ProtocolViolation):
            return False
        message = Message(topic, packet_id=packet_id, properties=properties)
        message.flags = flags
        self.head_bytes = payload_at - at
        begun = memoryview(data)[payload_at:]
        self.long = LongPublish(message, at + size - payload_at, begun)
        return True

    @property
    @abstractmethod
    def is_amid(self) -> bool:
        """Whether something is held that was not decoded."""

    @abstractmethod
    def _measure(self, data: bytes, at: int) -> tuple[int, int]: ...

    @abstractmethod
    def _topic(
        self, data: bytes, at: int, end: int, properties: PublishProperties | None
    ) -> str: ...

    @abstractmethod
    def _properties(
        self, data: bytes, at: int, stop: int
    ) -> tuple[PublishProperties, int]: ...
