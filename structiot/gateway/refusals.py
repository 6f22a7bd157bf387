"""What the broker does not take from the gateway: said once, and again when it is over.

A broker may refuse a topic (its permissions), a message (its limits) or a subscription.
Each of them is an event; the log has a line for each device and kind, of twenty at most.
What may pass by itself, such as a quota, is tried again; anything else only with the next
connection, the next change or a reload.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from types import MappingProxyType

from structiot._kit.text import error_text, printable
from structiot.errors import CommandRefused, StructiotError
from structiot.gateway.entities.topics import Topics
from structiot.gateway.events import GatewayEvent, TopicAccepted, TopicRefused
from structiot.mqtt import ReasonCode

__all__ = ["Refusals", "is_passing"]

_MAX_LINES = 20
_MAX_TOPICS = 16_384
# Whoever asks something may name any topic for the answer.
_LINES_OF_ANYBODY = 5
_TOPICS_OF_ANYBODY = 100
_PASSING = {
    ReasonCode.UNSPECIFIED_ERROR,
    ReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    ReasonCode.QUOTA_EXCEEDED,
}

_log = logging.getLogger(__name__)


def is_passing(error: StructiotError) -> bool:
    """Whether the broker may take the same later."""
    return isinstance(error, CommandRefused) and error.code in _PASSING


class Refusals:
    """The topics and filters of one gateway that its broker refuses.

    Args:
        topics: The gateway's topics.
        emit: Tells the gateway's holder.
        most_lines: How many kinds of topics have a line in the log.
        most_topics: How many topics are remembered; what is refused beyond is only
            counted.
    """

    def __init__(
        self,
        topics: Topics,
        emit: Callable[[GatewayEvent], None],
        *,
        most_lines: int = _MAX_LINES,
        most_topics: int = _MAX_TOPICS,
    ) -> None:
        self._topics = topics
        self._emit = emit
        self._most_lines = most_lines
        self._most_topics = most_topics
        self._refused: dict[str, TopicRefused] = {}
        self._said: dict[tuple[str, str], set[str]] = {}

    def of_anybody(self) -> Refusals:
        """Make those for topics that anybody may name: they crowd out no others."""
        return Refusals(
            self._topics,
            self._emit,
            most_lines=_LINES_OF_ANYBODY,
            most_topics=_TOPICS_OF_ANYBODY,
        )

    @property
    def by_topic(self) -> Mapping[str, TopicRefused]:
        """What is refused now; a live view."""
        return MappingProxyType(self._refused)

    def refused(self, topic: str, error: StructiotError) -> None:
        """The broker has refused something, for the first time or once more."""
        # The topic stands in front already.
        reason = error_text(error).rpartition(f"{topic!r}: ")[2]
        event = TopicRefused(topic=printable(topic), reason=reason)
        if self._refused.get(topic) == event:
            return
        if topic not in self._refused and len(self._refused) >= self._most_topics:
            return
        self._refused[topic] = event
        said = self._said.setdefault(self._kind_of(topic), set())
        if not said:
            self._say(event)
        said.add(topic)
        self._emit(event)

    def accepted(self, topic: str) -> None:
        """The broker has taken something."""
        event = self._refused.pop(topic, None)
        if event is None:
            return
        kind = self._kind_of(topic)
        said = self._said.get(kind, set())
        said.discard(topic)
        if not said:
            self._said.pop(kind, None)
            _log.info("the broker takes %s again", event.topic)
        self._emit(TopicAccepted(topic=event.topic))

    def _say(self, event: TopicRefused) -> None:
        kinds = len(self._said)
        if kinds <= self._most_lines:
            _log.warning("the broker refuses %s: %s", event.topic, event.reason)
        if kinds == self._most_lines:
            _log.warning("what else it refuses is told as events only")

    def _kind_of(self, topic: str) -> tuple[str, str]:
        """Tell whose topic it is, and of which kind."""
        own, discovery = f"{self._topics.base}/", f"{self._topics.discovery_prefix}/"
        levels = topic.removeprefix(own).removeprefix(discovery).split("/")
        if topic.startswith(own) and len(levels) > 1:
            return levels[0], levels[-1]
        if topic.startswith(discovery) and len(levels) > 2:
            return levels[1], "discovery"
        return topic, ""
