"""Who gets a message: subscriptions found by its topic, one target of each session."""

from __future__ import annotations

import sys
from collections.abc import Generator

from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.core.retaining import Retaining
from structiot.mqtt.broker.core.sessions import Session, SharedGroup, Subscription
from structiot.mqtt.broker.core.work import PORTION, UNKNOWN_TOPIC, WIDE
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.wire.topics import TopicTree, is_shared

__all__ = ["Found", "Matching", "Target", "target_of"]

MAX_CACHED_TOPICS = 16_384
MAX_CACHED_TOPIC_CHARS = 256
# Of all topics together, with what they were made of.
MAX_CACHED_TARGETS = 100_000
# Members of a shared group that are asked whether they take a message, at most, and what
# that may compare.
MOST_ASKED = 32
MOST_COMPARED = 6400
# To choose a member takes so much longer than to look at a subscription.
CHOICE_WORK = 3
# Subscription identifiers in one copy of a message.
MAX_IDS = 100

Found = tuple[Subscription | SharedGroup, ...]
# One subscriber of a message: its session, the highest QoS granted, whether RETAIN is
# shown as published, the identifiers of all its subscriptions that match, and the filter
# if that is shared.
Target = tuple[Session, int, bool, tuple[int, ...], str | None]


class Matching(Retaining):
    """Finds subscribers; a base of `Broker`.

    Attributes:
        tree: Subscriptions and shared groups by filter.
        shared: Shared groups by their whole filter.
        permissions: What users may publish, subscribe and receive; see `go_by`.
    """

    def __init__(self, limits: BrokerLimits, permissions: Permissions) -> None:
        super().__init__(limits)
        self.permissions: Permissions = permissions
        self.tree: TopicTree[Subscription | SharedGroup] = TopicTree()
        self.shared: dict[str, SharedGroup] = {}
        # By topic: what the tree has found, and what was made of it.
        self._targets: dict[str, tuple[Found, list[Target]]] = {}
        self._remembered = 0

    def _find(self, topic: str) -> Found | None:
        tree = self.tree
        before = tree.steps
        found = tree.find(topic, WIDE)
        self.work.done += UNKNOWN_TOPIC + tree.steps - before
        return found

    def _merge(
        self, topic: str, found: Found, origin: Session | None, newest: int
    ) -> Generator[None, None, list[Target]]:
        """Make one target of each session: highest QoS, all identifiers."""
        known = self._targets.get(topic)
        if known is not None and known[0] is found:
            return known[1]
        by_session: dict[Session, Target] = {}
        others: list[Target] = []
        permissions = self.permissions
        is_lasting = newest == sys.maxsize
        for index, entry in enumerate(found, 1):
            if not index % WIDE:
                self.work.done += WIDE
                yield
            if isinstance(entry, SharedGroup):
                is_lasting = False
                others += map(target_of, self.choose(entry, topic))
                continue
            if entry.request.no_local:
                is_lasting = False
            if _is_left_out(entry, origin, newest):
                continue
            session = entry.session
            target = by_session.get(session)
            if target is None:
                by_session[session] = target_of(entry)
            elif len(target[3]) >= MAX_IDS:
                # The others come with a copy of their own (3.3.4 allows it).
                others.append(target)
                by_session[session] = target_of(entry)
            else:
                by_session[session] = _joined(target, entry)
        targets = [*by_session.values(), *others]
        targets = yield from self._allowed(topic, targets)
        # What was made by two sets of permissions holds for this message alone.
        if is_lasting and permissions is self.permissions:
            self._remember(topic, found, targets)
        return targets

    def _allowed(
        self, topic: str, targets: list[Target]
    ) -> Generator[None, None, list[Target]]:
        """Leave out who may not receive a topic."""
        if not self.permissions.has_entries:
            return targets
        work, allowed = self.work, list[Target]()
        end = work.done + PORTION
        for target in targets:
            if self.may_receive(target[0], topic):
                allowed.append(target)
            if work.done >= end:
                end = work.done + PORTION
                yield
        return allowed

    def choose(self, group: SharedGroup, topic: str) -> tuple[Subscription, ...]:
        """Choose the member of a group that gets a message, if any may receive it."""
        self.work.done += CHOICE_WORK
        rules = self.permissions.most_rules
        most = max(1, min(MOST_ASKED, MOST_COMPARED // max(1, rules)))
        return group.choose(lambda session: self.may_receive(session, topic), most)

    def may_receive(self, session: Session, topic: str) -> bool:
        """Tell whether a session may be given a message of a topic."""
        permissions, user = self.permissions, session.username
        if not permissions.has_entries:
            return True
        self.work.done += permissions.count(user)
        return permissions.may_receive(user, session.client_id, topic)

    def go_by(self, permissions: Permissions) -> None:
        """Have other permissions from the next packet on, and the next message."""
        self.permissions = permissions
        self.forget_targets()

    def _remember(self, topic: str, found: Found, targets: list[Target]) -> None:
        size = self._size(found, targets)
        self._remembered += size
        if (
            len(self._targets) >= MAX_CACHED_TOPICS
            or self._remembered > MAX_CACHED_TARGETS
        ):
            self.forget_targets()
            self._remembered = size
        if len(topic) <= MAX_CACHED_TOPIC_CHARS:
            self._targets[topic] = (found, targets)

    @staticmethod
    def _size(found: Found, targets: list[Target]) -> int:
        # A place in a tuple is an eighth of a target.
        return len(targets) + len(found) // 8

    def forget_targets(self) -> None:
        """Subscriptions have changed."""
        self._targets.clear()
        self._remembered = 0


def _is_left_out(entry: Subscription, origin: Session | None, newest: int) -> bool:
    session = entry.session
    return (
        session.is_over
        or entry.after >= newest
        or (session is origin and entry.request.no_local)
    )


def _joined(target: Target, entry: Subscription) -> Target:
    session, qos, shows_retain, ids, _ = target
    request = entry.request
    return (
        session,
        max(qos, request.qos),
        shows_retain or request.retain_as_published,
        ids + entry.ids,
        None,
    )


def target_of(subscription: Subscription) -> Target:
    """Give the target of one subscription alone."""
    request = subscription.request
    return (
        subscription.session,
        request.qos,
        request.retain_as_published,
        subscription.ids,
        request.topic_filter if is_shared(request.topic_filter) else None,
    )
