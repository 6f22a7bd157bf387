"""A feature that is nothing but settings, by channel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from structiot.meross.features.feature import About, Feature, Poll, Request, Update
from structiot.meross.features.fields import Setting
from structiot.meross.features.table import Table
from structiot.meross.wire.envelope import Method, Payload
from structiot.meross.wire.payloads import items_of, key_of
from structiot.model import Command, Entity, State

__all__ = ["TableFeature"]


class TableFeature(Feature):
    """Those of some settings whose namespaces the device has."""

    def __init__(self, about: About, settings: Sequence[Setting]) -> None:
        super().__init__(about)
        has = about.abilities
        self._table: Table = Table([s for s in settings if s.namespace in has])

    @property
    def entities(self) -> tuple[Entity, ...]:
        """One for each field of each setting."""
        return self._table.entities

    @property
    def polls(self) -> Sequence[Poll]:
        """Each namespace, with the channels that are known."""
        channels = [{"channel": channel} for channel in self._table.channels]
        return [
            Poll(
                request=Request(
                    method=Method.GET,
                    namespace=setting.namespace,
                    payload={key_of(setting.namespace): channels},
                ),
                pace=setting.pace,
            )
            for setting in self._table.settings
        ]

    def take(self, namespace: str, payload: Payload, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the items of a namespace."""
        states: dict[str, State | None] = {}
        is_changed = False
        for item in items_of(payload, key_of(namespace)):
            update = self._table.take(namespace, item)
            states.update(update.states)
            is_changed = is_changed or update.entities_changed
        return Update(states=states, entities_changed=is_changed)

    def acknowledged(
        self, request: Request, payload: Payload, at_utc: datetime
    ) -> Update:
        """Read the answer; one without items says that it is as asked."""
        has_items = items_of(payload, key_of(request.namespace))
        said: Mapping[str, object] = payload if has_items else request.payload
        return self.take(request.namespace, said, at_utc)

    def command(
        self, key: str, command: Command, at_utc: datetime
    ) -> Sequence[Request]:
        """Set a field."""
        if not self._table.has(key):
            return super().command(key, command, at_utc)
        change = self._table.change(key, command)
        item = {"channel": change.channel, **change.members}
        return [
            Request(
                method=Method.SET,
                namespace=change.namespace,
                payload={key_of(change.namespace): [item]},
            )
        ]
