"""What devices of one type have and say, as their section has it: made once for all of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from structiot._kit.json_text import text_of
from structiot.gateway.drivers.manager.entities import (
    ManagerEntitySection,
    ManagerTextSection,
)
from structiot.gateway.drivers.manager.section import ManagerTypeSection
from structiot.gateway.entities.told_members import (
    MISSING,
    MemberPath,
    state_of,
    value_at,
)
from structiot.gateway.entities.topics import unique_slug
from structiot.model import Command, Entity, Event, State

__all__ = ["TypeMapping"]

_MESSAGE: Final = "message"
_SEND: Final = "send"


class TypeMapping:
    """From what a device says to states and occurrences, from commands to messages. Pure.

    Args:
        section: What is said of the type; None if nothing is.

    Attributes:
        entities: What each device of the type has.
        members: Where the states of some of them stand in what it says.
        has_values: Whether messages tell states.
        has_others: Whether members and messages of which nothing is said are shown.
    """

    def __init__(self, section: ManagerTypeSection | None) -> None:
        given = section or ManagerTypeSection()
        self.has_values: bool = given.values
        self.has_others: bool = (
            not given.sections if given.others is None else given.others
        )
        self._sections: dict[str, ManagerEntitySection] = {
            one.usual_key: one for one in given.sections
        }
        entities = {key: one.entity for key, one in self._sections.items()}
        self._events = [
            (entity, self._sections[key].path)
            for key, entity in entities.items()
            if isinstance(entity, Event)
        ]
        self.members: list[tuple[MemberPath, Entity]] = [
            (path, entity)
            for key, entity in entities.items()
            if (path := self._sections[key].path) and not isinstance(entity, Event)
        ]
        self._other_event = ""
        if self.has_others:
            text = ManagerTextSection(
                key=unique_slug(_SEND, entities.__contains__), name="Send"
            )
            self._sections[text.usual_key] = text
            entities[text.usual_key] = text.entity
            self._other_event = unique_slug(_MESSAGE, entities.__contains__)
            entities[self._other_event] = Event(
                key=self._other_event, name="Message", event_types=(_MESSAGE,)
            )
        self.entities: tuple[Entity, ...] = tuple(entities.values())

    def states_in(self, said: Mapping[str, object]) -> dict[str, State | None]:
        """Give the states that a JSON object tells."""
        return {
            entity.key: state_of(entity, value)
            for path, entity in self.members
            if (value := value_at(said, path)) is not MISSING
        }

    def event_in(
        self, said: Mapping[str, object] | None, text: str
    ) -> tuple[str, str] | None:
        """Give what a message tells that happens: an event's key and its type.

        Args:
            said: The message, if it is a JSON object.
            text: The message as a text.
        """
        for event, path in self._events:
            found = text if path is None else text_of(value_at(said, path))
            if found in event.event_types:
                return event.key, found
        return (self._other_event, _MESSAGE) if self._other_event else None

    def message(self, key: str, command: Command) -> str:
        """Give what a device is sent for a command."""
        return self._sections[key].message(command)

    def is_assumed(self, key: str) -> bool:
        """Whether what an entity was told last is taken for what it is."""
        one = self._sections[key]
        return one.path is None and hasattr(one, "member")
