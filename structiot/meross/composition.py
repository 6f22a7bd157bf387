"""What a device is composed of: the features that its abilities ask for, and who takes what."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from structiot.meross.features.feature import About, Feature, Poll, Request
from structiot.meross.features.registry import features_of
from structiot.meross.wire.system import ALL
from structiot.model import Command, Entity

__all__ = ["Composition"]


class Composition:
    """The features of one device.

    Attributes:
        about: What is known of the device.
        features: What it is composed of.
    """

    def __init__(self, about: About) -> None:
        self.about: About = about
        self.features: tuple[Feature, ...] = features_of(about)
        # Namespaces of what was ordered since `is_overtaken` was asked about.
        self._ordered: set[str] = set()

    @property
    def entities(self) -> tuple[Entity, ...]:
        """What the device has, by all its features."""
        return tuple(entity for one in self.features for entity in one.entities)

    @property
    def polls(self) -> list[Poll]:
        """What its features want to be asked."""
        return [poll for feature in self.features for poll in feature.polls]

    def paces(self, namespace: str) -> set[str]:
        """Give how its features want one namespace to be asked."""
        return {
            poll.pace
            for feature in self.concerned(namespace)
            for poll in feature.polls
            if poll.request.namespace == namespace
        }

    def describe(self, about: About) -> bool:
        """Take it that more, or something else, is known; tell if it is composed anew.

        What is under way, such as a door, a feature remembers: it is made anew only where
        it would be another one.
        """
        is_other = _made_of(about) != _made_of(self.about)
        self.about = about
        if is_other:
            self.features = features_of(about, self.features)
        for feature in self.features:
            feature.about = about
        return is_other

    def concerned(self, namespace: str) -> Iterator[Feature]:
        """Give the features that a payload is for."""
        return (one for one in self.features if namespace in one.namespaces)

    def orders(self, key: str, command: Command, at_utc: datetime) -> Sequence[Request]:
        """Give the requests that carry out a command on one of `entities`."""
        feature = next(
            one for one in self.features if any(e.key == key for e in one.entities)
        )
        return feature.command(key, command, at_utc)

    def asked(self) -> None:
        """Something is being asked; what is ordered from now on may overtake it."""
        self._ordered.clear()

    def ordered(self, namespace: str) -> None:
        """Something was ordered."""
        self._ordered.add(namespace)

    def is_overtaken(self, namespace: str) -> bool:
        """Whether an answer may be older than an order that was given meanwhile."""
        return bool(self._ordered) and any(
            one.namespaces & self._ordered
            for one in self.features
            if namespace == ALL or namespace in one.namespaces
        )


def _made_of(about: About) -> object:
    """Give what features depend on; what else is known they look up."""
    return about.abilities, [channel.number for channel in about.channels]
