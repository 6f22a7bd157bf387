"""Who watches a strip, and what they have been told.

Readings go to each watcher as they come, the oldest dropped where somebody is slow.
Events are told by difference, and only the latest of each kind waits: whoever is slow
misses what was in between, never what is.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from datetime import datetime

from structiot._kit.environment import Environment
from structiot._kit.flow.conflating import ConflatingQueue
from structiot._kit.flow.mailbox import Mailbox
from structiot.maxsmart.changes import ChangeWatch, StripChange
from structiot.maxsmart.values import StripData, StripInfo, entities_of, states_of
from structiot.model import (
    Availability,
    DeviceEvent,
    EntitiesChanged,
    Entity,
    Reading,
    State,
    StateChange,
)

__all__ = ["EventBox", "Subscribers"]

EventBox = ConflatingQueue[str, DeviceEvent]


class Subscribers:
    """The watchers of one strip.

    Attributes:
        info: Who the strip is.
        data: What it reported last.
        entities: What it has, for the common model.
        availability: Whether it is there, as told last.
        states: The latest state of each entity, by key.
    """

    def __init__(
        self, info: StripInfo, data: StripData, environment: Environment
    ) -> None:
        self._environment = environment
        self.info: StripInfo = info
        self.data: StripData = data
        self.availability: Availability = Availability(
            is_available=True, at_utc=data.at_utc
        )
        self.entities: tuple[Entity, ...] = ()
        self._has_current = False
        self.states: dict[str, State | None] = {}
        self._reading_boxes: list[Mailbox[Reading]] = []
        self._event_boxes: list[EventBox] = []
        self._change_watches: list[ChangeWatch] = []
        self._describe()
        self._tell_states()

    @property
    def size(self) -> int:
        """How many watch."""
        boxes = len(self._reading_boxes) + len(self._event_boxes)
        return boxes + len(self._change_watches)

    @contextmanager
    def readings(self, max_items: int) -> Generator[Mailbox[Reading]]:
        """Add a watcher of readings; not the first one gets the present ones at once."""
        name = f"readings of {self.info.name}"
        box: Mailbox[Reading] = Mailbox(max_items, name=name)
        if self.size and self.availability.is_available:
            for reading in self.data.readings:
                box.put(reading)
        self._reading_boxes.append(box)
        try:
            yield box
        finally:
            self._reading_boxes.remove(box)
            box.close()

    @contextmanager
    def changes(
        self, min_power_w: float, max_items: int, is_recent: Callable[[], bool]
    ) -> Generator[Mailbox[StripChange]]:
        """Add a watcher of changes from the present data, or else from the next.

        Args:
            min_power_w: Its threshold.
            max_items: How many changes may wait.
            is_recent: Tells whether data that nobody watched for are fresh enough.
        """
        name = f"changes of {self.info.name}"
        box: Mailbox[StripChange] = Mailbox(max_items, name=name)
        watch = ChangeWatch(box, min_power_w)
        if self.availability.is_available and (self.size or is_recent()):
            watch.see(self.data)
        self._change_watches.append(watch)
        try:
            yield box
        finally:
            self._change_watches.remove(watch)
            box.close()

    @contextmanager
    def events(self) -> Generator[EventBox]:
        """Add a watcher of events, told the present availability and states at once."""
        box: EventBox = ConflatingQueue()
        box.put("availability", self.availability)
        for key, state in self.states.items():
            box.put(f"state {key}", self._state_change(key, state))
        self._event_boxes.append(box)
        try:
            yield box
        finally:
            self._event_boxes.remove(box)
            box.close()

    def close(self) -> None:
        """End every iteration."""
        for readings in self._reading_boxes:
            readings.close()
        for watch in self._change_watches:
            watch.box.close()
        for events in self._event_boxes:
            events.close()

    def tell_data(self, data: StripData) -> None:
        """Give what was read to everybody, and the states that it changes."""
        self.data = data
        for box in self._reading_boxes:
            for reading in data.readings:
                box.put(reading)
        for watch in self._change_watches:
            watch.see(data)
        self._tell_states()

    def tell_info(self, info: StripInfo) -> None:
        """Tell that the strip describes itself anew, if it does."""
        if info != self.info:
            self.info = info
            self._describe()
            self._tell_entities("the strip describes itself anew")

    def tell_availability(self, *, is_available: bool, reason: str = "") -> None:
        """Tell that the strip is there, or why it is not."""
        self.availability = Availability(
            is_available=is_available, at_utc=self._now_utc(), reason=reason
        )
        self._tell("availability", self.availability)

    def _describe(self) -> None:
        self.entities = entities_of(self.info, has_current=self._has_current)

    def _tell_states(self) -> None:
        if not self._has_current and any(a is not None for a in self.data.current_a):
            self._has_current = True
            self._describe()
            self._tell_entities("the strip reports current")
        for key, state in states_of(self.data, has_current=self._has_current):
            if key not in self.states or self.states[key] != state:
                self.states[key] = state
                self._tell(f"state {key}", self._state_change(key, state))

    def _tell_entities(self, reason: str) -> None:
        at_utc = self._now_utc()
        self._tell("entities", EntitiesChanged(at_utc=at_utc, reason=reason))

    def _tell(self, key: str, event: DeviceEvent) -> None:
        for box in self._event_boxes:
            box.put(key, event)

    def _now_utc(self) -> datetime:
        return self._environment.now_utc()

    def _state_change(self, key: str, state: State | None) -> StateChange:
        return StateChange(key=key, state=state, at_utc=self.data.at_utc)
