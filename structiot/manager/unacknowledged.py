"""Messages of our own dialect between being sent and being known to have arrived."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Generator
from contextlib import contextmanager
from copy import copy
from random import Random
from typing import Final
from weakref import WeakValueDictionary

import anyio
import anyio.lowlevel

from structiot._kit.flow.replies import Reply, ReplyTable
from structiot.errors import Overflowed, StructiotError

__all__ = [
    "MOST_UNACKNOWLEDGED",
    "Exchanges",
    "SeenMessages",
    "Unacknowledged",
    "new_message_id",
]

MOST_UNACKNOWLEDGED: Final = 32
_MOST_REMEMBERED: Final = 64
_ID_BYTES: Final = 8


def new_message_id(random: Random) -> int:
    """Make up what a message will be acknowledged by; 0 is none."""
    return random.getrandbits(64) or 1


class Unacknowledged:
    """What was sent to one device and is not known to have arrived, whatever connection."""

    def __init__(self) -> None:
        self._payloads: dict[int, bytes] = {}
        self._replies: ReplyTable[int, None] = ReplyTable("acknowledgements")
        self._room = anyio.Event()
        self._error: StructiotError | None = None

    def __contains__(self, message_id: object) -> bool:
        return message_id in self._payloads

    @property
    def messages(self) -> list[tuple[int, bytes]]:
        """Their ids and what they say, in the order in which they were sent."""
        return list(self._payloads.items())

    async def wait_for_room(self) -> None:
        """Wait until there are fewer than may be under way.

        Raises:
            StructiotError: What `fail_all` was given meanwhile.
        """
        while self._error is None and len(self._payloads) >= MOST_UNACKNOWLEDGED:
            if self._room.is_set():
                self._room = anyio.Event()
            await self._room.wait()
        if self._error is not None:
            await anyio.lowlevel.checkpoint_if_cancelled()
            raise copy(self._error)

    def acknowledged(self, message_id: int) -> None:
        """A message has arrived."""
        self._forget(message_id)
        self._replies.resolve(message_id, None)

    def fail(self, message_id: int, error: StructiotError) -> None:
        """A message will not arrive."""
        self._replies.fail(message_id, error)

    def fail_all(self, error: StructiotError) -> None:
        """Nothing will be known to have arrived any more."""
        self._error = error
        self._replies.fail_all(error)
        self._room.set()

    def _forget(self, message_id: int) -> None:
        self._payloads.pop(message_id, None)
        self._room.set()

    @contextmanager
    def under_way(self, message_id: int, payload: bytes) -> Generator[Reply[None]]:
        """Keep a message for the length of the block, in which its arrival is awaited.

        Raises:
            Overflowed: As many as may be are under way.
        """
        if len(self._payloads) >= MOST_UNACKNOWLEDGED:
            message = f"{MOST_UNACKNOWLEDGED} messages are not acknowledged yet"
            raise Overflowed(message)
        self._payloads[message_id] = payload
        try:
            with self._replies.expect(message_id) as reply:
                yield reply
        finally:
            self._forget(message_id)


class SeenMessages:
    """The latest messages of each sender, so that one that comes twice is taken once.

    Of twenty thousand devices that makes a million ids: they stand in eight bytes each.

    Args:
        most_senders: Of how many senders, the least recent of which are forgotten.
        most_messages: How many messages of each.
    """

    def __init__(
        self, most_senders: int, most_messages: int = _MOST_REMEMBERED
    ) -> None:
        self._most_senders = most_senders
        self._most_bytes = most_messages * _ID_BYTES
        self._seen: OrderedDict[str, bytearray] = OrderedDict()

    def is_new(self, sender: str, message_id: int) -> bool:
        """Tell whether it has not come before, and remember it."""
        seen = self._seen.setdefault(sender, bytearray())
        self._seen.move_to_end(sender)
        wanted = message_id.to_bytes(_ID_BYTES)
        at = seen.find(wanted)
        while at % _ID_BYTES and at > 0:
            # The end of one and the begin of the next look like it.
            at = seen.find(wanted, at + 1)
        if at >= 0:
            return False
        seen += wanted
        if len(seen) > self._most_bytes:
            del seen[:_ID_BYTES]
        if len(self._seen) > self._most_senders:
            self._seen.popitem(last=False)
        return True


class Exchanges:
    """What is known of the messages to and from all devices, whatever connection.

    Args:
        most_devices: Of how many devices the latest messages are remembered.

    Attributes:
        seen: What has come from devices of our own dialect.
    """

    def __init__(self, most_devices: int) -> None:
        self.seen: SeenMessages = SeenMessages(most_devices)
        # They outlive a connection as long as somebody waits for an acknowledgement.
        self._waiting: WeakValueDictionary[str, Unacknowledged] = WeakValueDictionary()

    def waiting_for(self, uuid: str) -> Unacknowledged:
        """Give what is under way to a device."""
        waiting = self._waiting.get(uuid)
        if waiting is None:
            waiting = self._waiting[uuid] = Unacknowledged()
        return waiting

    def fail_all(self, error: StructiotError) -> None:
        """Nothing will be known to have arrived at any device any more."""
        for waiting in list(self._waiting.values()):
            waiting.fail_all(error)
