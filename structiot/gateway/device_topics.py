"""What one device shows on the broker: announcement, availability, states.

A device may tell nonsense (an entity that it does not have, a state that the entity
cannot be in, a key that is no topic level): that is said once and left out.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any

from structiot._kit.text import printable
from structiot.errors import UsageError
from structiot.gateway.context import GatewayContext
from structiot.gateway.energy_totals import is_energy_total
from structiot.gateway.entities.components import check_component, platform_of
from structiot.gateway.entities.device_list import device_json
from structiot.gateway.entities.discovery import discovery_payload
from structiot.gateway.entities.states import (
    occurrence_payload,
    shown_state,
    state_json,
    state_payload,
)
from structiot.gateway.entities.topics import OFFLINE, ONLINE
from structiot.gateway.entities.typed import check_key, settled
from structiot.gateway.records import DeviceRecord
from structiot.model import (
    Availability,
    DeviceInfo,
    Entity,
    Event,
    Occurrence,
    State,
    StateChange,
)

__all__ = ["DeviceTopics"]

_MAX_ENTITIES = 512
_MAX_SAID = 32
_MAX_STATES_CHARS = 262_144

_log = logging.getLogger(__name__)


class DeviceTopics:
    """One device on the broker; nothing is published while it has no slug.

    Attributes:
        slug: The device's level in topics; None until that is known.
        entities: What it has, by key.
        states: The latest state of each entity that has told one, by key.
        changed_at_utc: Since when each of these is as it is.
        occurrences: What happened last to each entity, by key.
        availability: Whether it can be reached, and since when.
        listed: What the list of devices says of it, as JSON; empty until it was opened.
    """

    def __init__(self, context: GatewayContext, label: str, system: str) -> None:
        self.slug: str | None = None
        self.entities: dict[str, Entity] = {}
        self.states: dict[str, State | None] = {}
        self.changed_at_utc: dict[str, datetime] = {}
        self.occurrences: dict[str, Occurrence] = {}
        self.availability: Availability = Availability(
            is_available=False, at_utc=context.clock(), reason="not reached yet"
        )
        self.listed: str = ""
        self._context = context
        self._label = label
        self._system = system
        self._info: DeviceInfo | None = None
        self._counters: dict[str, StateChange] = {}
        self._states_json: dict[str, str] = {}
        self._nonsense: set[str] = set()
        self._is_chosen = False

    def take_place(self, slug: str, *, is_chosen: bool) -> None:
        """Take a level in topics, from now on.

        Args:
            slug: The level.
            is_chosen: It was chosen for the device, and is not its name.
        """
        self.slug = slug
        self._is_chosen = is_chosen
        root = self._context.topics.root(slug)
        self._context.devices_changed()
        self._context.announcer.occupy(root, self._system, is_chosen=is_chosen)

    def describe(self, name: str, info: DeviceInfo, entities: Iterable[Entity]) -> None:
        """Announce what it has; take away what it no longer has."""
        self._info = info
        if self.slug is None:
            return
        given = list(islice(entities, _MAX_ENTITIES + 1))
        if len(given) > _MAX_ENTITIES:
            self.say_nonsense("entities", f"of over {_MAX_ENTITIES} entities, the last")
        usable = map(self._usable, given[:_MAX_ENTITIES])
        present = {entity.key: entity for entity in usable if entity is not None}
        self._keep(present)
        self.entities = present
        self.listed = device_json(self.slug, name, self._system, info, present)
        self._context.devices_changed()
        topics = self._context.topics
        section = self._context.devices.get(self.slug)
        build = partial(
            discovery_payload,
            device=self.slug,
            name=printable(name, most=100),
            info=info,
            entities=tuple(present.values()),
            topics=topics,
            version=self._context.version,
            room=section.room if section is not None else None,
        )
        record = DeviceRecord(
            root=topics.root(self.slug),
            system=self._system,
            id="" if info.is_provisional else info.id,
            platforms={key: platform_of(entity) for key, entity in present.items()},
            is_chosen=self._is_chosen,
        )
        # Home Assistant would keep what is announced under a makeshift identity.
        is_final = not info.is_provisional
        self._context.announcer.show(record, build if is_final else None)

    def _keep(self, keys: Collection[str]) -> None:
        kept: tuple[dict[str, Any], ...] = (
            self.states,
            self.changed_at_utc,
            self.occurrences,
            self._states_json,
        )
        had = len(self._states_json)
        for by_key in kept:
            for key in by_key.keys() - set(keys):
                del by_key[key]
        if len(self._states_json) != had:
            self._show_soon()

    def _usable(self, given: Entity) -> Entity | None:
        """Give an entity as it can be announced; None if it cannot."""
        key = getattr(given, "key", "")
        try:
            entity = settled(given)
            check_key(entity.key)
            check_component(entity, self._context.topics)
        except UsageError as exc:
            self.say_nonsense(str(key), str(exc))
            return None
        return entity

    def show_availability(self, availability: Availability) -> None:
        """Show whether it can be reached."""
        self.availability = availability
        if self.slug is not None:
            payload = ONLINE if availability.is_available else OFFLINE
            topic = self._context.topics.availability(self.slug)
            self._context.sink.retain(topic, payload)

    @property
    def counters(self) -> tuple[StateChange, ...]:
        """What those of its entities told last that count energy."""
        return tuple(self._counters.values())

    def show_state(self, told: StateChange) -> StateChange | None:
        """Show a state, of a counter its total; give what was shown, if that is new."""
        entity = self.entities.get(told.key)
        if entity is None or self.slug is None:
            self.say_nonsense(told.key, f"it has no entity {told.key!r}")
            return None
        change = told
        if self._info is not None and is_energy_total(entity):
            change = self._context.energy.shown(self._info, entity, told)
            self._counters[told.key] = told
        change = replace(change, state=shown_state(entity, change.state))
        if change.key in self._counters and (
            self.states.get(change.key, ...) == change.state
        ):
            return None
        try:
            payload = state_payload(entity, change.state)
        except UsageError as exc:
            self.say_nonsense(change.key, str(exc))
            return None
        if self.states.get(change.key, ...) != change.state:
            self.changed_at_utc[change.key] = change.at_utc
        self.states[change.key] = change.state
        as_json = state_json(entity, change.state, payload)
        if self._states_json.get(change.key) != as_json:
            self._states_json[change.key] = as_json
            self._show_soon()
        topic = self._context.topics.state(self.slug, change.key)
        self._context.sink.retain(topic, payload)
        return change

    def _show_soon(self) -> None:
        if self.slug is not None:
            topic = self._context.topics.device_state(self.slug)
            self._context.summaries.soon(topic, partial(self._show_states, topic))

    def _show_states(self, topic: str) -> None:
        """Show the states of all entities as one JSON object, in their order."""
        by_key = self._states_json
        members = [f'"{key}":{by_key[key]}' for key in self.entities if key in by_key]
        payload = f"{{{','.join(members)}}}"
        if len(payload) <= _MAX_STATES_CHARS:
            self._context.sink.retain(topic, payload)
        else:
            self.say_nonsense(
                "states", "more text than one JSON of all its states may have"
            )

    def show_occurrence(self, occurrence: Occurrence) -> bool:
        """Tell what has happened, once; False if it is nothing that can happen."""
        entity = self.entities.get(occurrence.key)
        if not isinstance(entity, Event) or self.slug is None:
            self.say_nonsense(occurrence.key, f"it has no event {occurrence.key!r}")
            return False
        try:
            payload = occurrence_payload(entity, occurrence, is_timed=True)
        except UsageError as exc:
            self.say_nonsense(occurrence.key, str(exc))
            return False
        self.occurrences[occurrence.key] = occurrence
        topic = self._context.topics.event(self.slug, occurrence.key)
        self._context.sink.tell(topic, payload)
        return True

    def say_nonsense(self, about: str, what: str) -> None:
        """Say what is ignored, once for each thing it is about."""
        about = printable(about, most=100)
        if about in self._nonsense or len(self._nonsense) >= _MAX_SAID:
            return
        self._nonsense.add(about)
        what = printable(what)
        _log.warning("%s tells nonsense, which is ignored: %s", self._label, what)

    def forgive(self) -> None:
        """Begin anew to say what is ignored."""
        self._nonsense.clear()

    def leave(self, reason: str) -> None:
        """Leave its place as offline, to take another one."""
        at_utc = self._context.clock()
        self.show_availability(
            Availability(is_available=False, at_utc=at_utc, reason=reason)
        )
        self.entities.clear()
        self._keep(())
        if self.slug is not None:
            self._show_no_more(self.slug)
            self._context.announcer.leave(self._context.topics.root(self.slug))
        self.slug = None

    def withdraw(self) -> None:
        """Take it off the broker for good."""
        if self.slug is None:
            return
        self._show_no_more(self.slug)
        self._context.announcer.withdraw(self._context.topics.root(self.slug))
        self.slug = None

    def _show_no_more(self, slug: str) -> None:
        self.listed = ""
        self._context.devices_changed()
        self._context.summaries.forget(self._context.topics.device_state(slug))
