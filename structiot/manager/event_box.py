"""The events that wait for one listener of a manager."""

from __future__ import annotations

from collections import Counter
from typing import Final

from structiot._kit.flow.mailbox import Mailbox
from structiot.manager.events import (
    ClientDisconnected,
    ClientRefused,
    ManagerEvent,
    MessageReceived,
)

__all__ = ["EventBox"]

# Messages have up to 64 kB, and a listener may be slower than all devices together.
_MOST_BYTES: Final = 16_777_216
# What an event counts as, beside its data.
_EVENT_BYTES: Final = 512
# So much of what a device has said of itself is not counted when it is gone.
_INFO_BYTES: Final = 2048
_SHARE_TO_LOSE: Final = 8


class EventBox(Mailbox[ManagerEvent]):
    """A mailbox that no device can fill at the cost of the others.

    When it is full, messages of the devices of which most waits are lost, the oldest
    first, and those who were refused count as one; who comes and goes is told as long as
    there is anything else to lose. Where there is hardly anything else, all of that is lost,
    and what comes of it: to look for a little in much, for each event, would take long.

    Args:
        wanted: Of which type of device; None are all.
        max_items: How many events wait at most.
    """

    def __init__(self, wanted: str | None, max_items: int) -> None:
        super().__init__(
            max_items,
            name="events of a manager",
            max_bytes=_MOST_BYTES,
            size_of=_bytes_of,
        )
        self._wanted = wanted
        self._losable = 0

    def tell(self, event: ManagerEvent, of_type: str | None) -> None:
        """Take an event of a device of this type, if it is wanted."""
        if self._wanted is None or self._wanted == of_type:
            self.put(event)

    def put(self, event: ManagerEvent) -> bool:
        """Add an event; return False if it was lost at once."""
        is_losable = _who(event) is not None
        is_full = len(self._items) >= self.max_items and not self.is_closed
        if is_losable and is_full and self._has_little_to_lose():
            self._count_drop()
            return False
        is_put = super().put(event)
        self._losable += is_put and is_losable
        return is_put

    def _take(self) -> ManagerEvent:
        event = super()._take()
        self._losable -= _who(event) is not None
        return event

    def _has_little_to_lose(self) -> bool:
        return self._losable * _SHARE_TO_LOSE < len(self._items)

    def _make_room(self) -> None:
        if not self._losable:
            super()._make_room()
            return
        items = self._items
        waiting: Counter[str] = Counter()
        for event in items:
            if (who := _who(event)) is not None:
                waiting[who] += _EVENT_BYTES + _bytes_of(event)
        level = 0 if self._has_little_to_lose() else _level(waiting)
        events = list(items)
        items.clear()
        self._bytes = 0
        for event in events:
            who = _who(event)
            if who is not None and waiting[who] > level:
                waiting[who] -= _EVENT_BYTES + _bytes_of(event)
                self._count_drop()
                self._losable -= 1
            else:
                items.append(event)
                self._bytes += _bytes_of(event)


def _level(waiting: Counter[str]) -> float:
    """Give what nobody may have more of, so that an eighth of all is lost."""
    to_lose = sum(waiting.values()) / _SHARE_TO_LOSE
    sizes = sorted(waiting.values(), reverse=True)
    for count, (size, below) in enumerate(zip(sizes, [*sizes[1:], 0], strict=True), 1):
        if count * (size - below) >= to_lose:
            return size - to_lose / count
        to_lose -= count * (size - below)
    return 0


def _who(event: ManagerEvent) -> str | None:
    """Give whose event it is that may be lost; None for what may not."""
    if isinstance(event, MessageReceived):
        return event.client.uuid
    return "" if isinstance(event, ClientRefused) else None


def _bytes_of(event: ManagerEvent) -> int:
    if isinstance(event, MessageReceived):
        return len(event.data)
    if isinstance(event, ClientDisconnected):
        # Nothing else holds a device that is gone.
        return max(0, event.client.info_bytes - _INFO_BYTES)
    return 0
