"""What the broker has been asked to send, kept true over reconnects."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Sequence
from copy import copy
from functools import partial
from itertools import groupby
from typing import TypeAlias

import anyio

from structiot.errors import CommandRefused, StructiotError
from structiot.mqtt.errors import SubscribeRefused
from structiot.mqtt.link.poison_filters import PoisonFilters
from structiot.mqtt.link.routing import Filter, Router
from structiot.mqtt.wire.messages import Suback, Unsuback
from structiot.mqtt.wire.properties import SubscribeProperties
from structiot.mqtt.wire.protocol import ClientProtocol, State
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import parse_shared

__all__ = ["Subscribing"]

# Filters in one SUBSCRIBE when many are restored; keeps packets below any limit.
FILTERS_PER_PACKET = 100

# So many refusals are in the words of one error.
MOST_TOLD = 5

WILDCARDS = frozenset("+#")

# Writes a packet; False if there is no packet id for it.
Request: TypeAlias = Callable[[], bool]

_log = logging.getLogger(__name__)


class Subscribing:
    """Sends SUBSCRIBE and UNSUBSCRIBE and knows who waits for the answers.

    Attributes:
        poison: Knows which filters the broker dislikes.
    """

    def __init__(
        self,
        router: Router,
        protocol: ClientProtocol,
        peer: str,
        *,
        wants_ids: bool,
    ) -> None:
        self.poison: PoisonFilters = PoisonFilters(peer)
        self._router = router
        self._protocol = protocol
        self._wants_ids = wants_ids
        self._subscribed: dict[int, list[Filter]] = {}
        self._unsubscribed: dict[int, tuple[anyio.Event, tuple[str, ...]]] = {}
        # What the broker may still know of although nobody wants it.
        self._unwanted: dict[str, None] = {}
        # Requests without a packet id, in order, and who waits for the answer.
        self._postponed: deque[tuple[Request, anyio.Event | None]] = deque()
        self._is_silent = False

    def subscribe(self, entries: Sequence[Filter]) -> None:
        """Subscribe now if there is a connection, else at the next one."""
        wanted: list[Filter] = []
        for entry in entries:
            entry.ask_again()
            name = entry.request.topic_filter
            self._unwanted.pop(name, None)
            if name not in self.poison.suspects or name == self.poison.tried:
                wanted.append(entry)
        if self._protocol.state is State.OPEN:
            self._ask_for(wanted)

    @property
    def _has_ids(self) -> bool:
        """Whether a SUBSCRIBE has an identifier, which is that of all its filters."""
        protocol = self._protocol
        is_possible = protocol.limits.subscription_ids_available is not False
        return self._wants_ids and protocol.version >= 5 and is_possible

    def _ask_for(self, entries: Sequence[Filter]) -> None:
        """Write as few SUBSCRIBEs as it takes."""
        has_ids, step = (
            self._has_ids,
            1 if self.poison.is_careful else FILTERS_PER_PACKET,
        )
        for _, group in groupby(entries, lambda one: has_ids and one.subscription_id):
            alike = list(group)
            for start in range(0, len(alike), step):
                self._do(partial(self._write_subscribe, alike[start : start + step]))

    def _do(self, request: Request, done: anyio.Event | None = None) -> None:
        if self._postponed or not request():
            self._postponed.append((request, done))

    def send_postponed(self) -> None:
        """Send what has waited for a packet id, once all answers are dealt with."""
        if self._postponed and self._protocol.state is State.OPEN:
            while self._postponed and self._postponed[0][0]():
                self._postponed.popleft()

    def _write_subscribe(self, entries: list[Filter]) -> bool:
        """Write a SUBSCRIBE; False if there is no packet id for it, or others go first."""
        if self.poison.is_careful and self._subscribed:
            return False
        entries = [entry for entry in entries if self._router.knows(entry)]
        if self._protocol.version >= 5:
            entries = [entry for entry in entries if not self._is_unavailable(entry)]
        if not entries:
            return True
        properties = None
        if self._has_ids:
            properties = SubscribeProperties(subscription_id=entries[0].subscription_id)
        requests = tuple(entry.request for entry in entries)
        try:
            packet_id = self._protocol.subscribe(requests, properties)
        except StructiotError as exc:
            if isinstance(exc, CommandRefused) and len(entries) > 1:
                # Too long together; alone they may be short enough.
                for entry in entries:
                    self._do(partial(self._write_subscribe, [entry]))
                return True
            # This broker cannot do what is asked.
            for entry in entries:
                self._refused(entry, _naming(entry, exc))
            return True
        if packet_id:
            self._subscribed[packet_id] = entries
        return packet_id > 0

    def _is_unavailable(self, entry: Filter) -> bool:
        """Refuse what the broker has announced that it has not (5.0)."""
        limits = self._protocol.limits
        name = entry.request.topic_filter
        group, pattern = parse_shared(name)
        if limits.shared_subscription_available is False and group is not None:
            reason = ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED
        elif (
            limits.wildcard_subscription_available is False
            and not WILDCARDS.isdisjoint(pattern)
        ):
            reason = ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED
        else:
            return False
        text = f"the broker takes no such subscription as {name!r}: {reason.text}"
        self._refused(
            entry, SubscribeRefused(text, topic_filter=name, code=int(reason))
        )
        return True

    async def subscribed(self, entries: Sequence[Filter]) -> None:
        """Wait for the broker's answer to each filter.

        Raises:
            SubscribeRefused: The broker said no; to several filters, it names all.
            TransportError: The link gave up.
        """
        if self._protocol.keep_alive.is_paused:
            self.enter_early()
        errors = [error for one in entries if (error := await _answer_to(one))]
        if not errors:
            return
        first = errors[0]
        if len(errors) == 1 or not isinstance(first, SubscribeRefused):
            raise copy(first)
        told = "; ".join(str(error) for error in errors[:MOST_TOLD])
        if len(errors) > MOST_TOLD:
            told += f"; and {len(errors) - MOST_TOLD} more"
        name, code = first.topic_filter, first.code
        raise SubscribeRefused(told, topic_filter=name, code=code)

    def try_again(self, name: str) -> None:
        """Ask for a filter that the broker is suspected to dislike, if it is wanted."""
        entry = self._router.filters.get(name)
        if entry is None:
            self.poison.answered(name)
        else:
            self.subscribe([entry])

    def enter_early(self) -> None:
        """Let everybody begin who waits for an answer, which is not read for a while.

        A refusal then ends the iteration.
        """
        for entry in self._router:
            if entry.granted is None and entry.error is None:
                entry.was_granted = True
                entry.answered.set()

    def restore(self, *, session_present: bool) -> None:
        """Subscribe again what the broker does not know (any more)."""
        if session_present:
            wanted = [entry for entry in self._router if entry.granted is None]
        else:
            wanted = list(self._router)
            for entry in wanted:
                if entry.granted is not None:
                    for messages in entry.subscribers:
                        messages.gaps += 1
                entry.ask_again()
                entry.before = None
            self._unwanted.clear()
            self._router.forget_retained()
        # Own messages stand there already, and these subscriptions may be for them.
        out = self._protocol.out
        written = out.take()
        self._give_up(tuple(self._unwanted))
        suspects = self.poison.suspects
        self._ask_for(
            [one for one in wanted if one.request.topic_filter not in suspects]
        )
        for piece in written:
            out.add_large(piece)

    def take_suback(self, suback: Suback) -> None:
        """Give each filter its answer."""
        entries = self._subscribed.pop(suback.packet_id, None)
        if entries is None:
            _log.debug("SUBACK %d for nothing", suback.packet_id)
            return
        for index, entry in enumerate(entries):
            name = entry.request.topic_filter
            self.poison.answered(name)
            if index >= len(suback.reasons):
                error = SubscribeRefused(
                    f"the broker did not answer for {name!r}", topic_filter=name
                )
                self._refused(entry, error)
                continue
            reason = suback.reasons[index]
            if reason >= 0x80:
                text = f"the broker refused the subscription {name!r}: {reason.text}"
                self._refused(
                    entry, SubscribeRefused(text, topic_filter=name, code=int(reason))
                )
            else:
                entry.answer(int(reason))

    def _refused(self, entry: Filter, error: StructiotError) -> None:
        if entry.before is not None:
            # The broker does not want more than it has granted; that stays.
            entry.request = entry.agreed
            entry.answer(entry.before, error)
            return
        entry.answer(None, error)
        if all(messages.is_left for messages in entry.subscribers):
            _log.warning("%s", error)
        elif entry.was_granted:
            for messages in entry.subscribers:
                messages.refused(error)

    def unsubscribe(self, names: Sequence[str]) -> list[anyio.Event]:
        """Unsubscribe; give the events of the answers.

        Without a connection it is done at the next one, should the session live.
        """
        self._unwanted.update(dict.fromkeys(names))
        return self._give_up(names) if self._protocol.state is State.OPEN else []

    def _give_up(self, names: Sequence[str]) -> list[anyio.Event]:
        answers: list[anyio.Event] = []
        for start in range(0, len(names), FILTERS_PER_PACKET):
            some = tuple(names[start : start + FILTERS_PER_PACKET])
            answers.append(done := anyio.Event())
            self._do(partial(self._write_unsubscribe, some, done), done)
        return answers

    def _write_unsubscribe(self, names: tuple[str, ...], done: anyio.Event) -> bool:
        """Write an UNSUBSCRIBE; False if there is no packet id for it."""
        try:
            packet_id = self._protocol.unsubscribe(names)
        except CommandRefused as exc:
            if len(names) > 1:
                for name in names[:-1]:
                    one = anyio.Event()
                    self._do(partial(self._write_unsubscribe, (name,), one), one)
                self._do(partial(self._write_unsubscribe, names[-1:], done), done)
                return True
            # The broker has a lower limit for packets than when it was subscribed.
            _log.warning("cannot unsubscribe %s: %s", names[0], exc)
            done.set()
            return True
        if packet_id:
            self._unsubscribed[packet_id] = (done, names)
        return packet_id > 0

    async def unsubscribed(
        self, answers: Sequence[anyio.Event], patience_s: float
    ) -> None:
        """Wait for the answers to UNSUBSCRIBEs, shielded and bounded.

        A broker that was silent once is not waited for again on this connection.
        """
        if answers and not self._is_silent:
            with anyio.move_on_after(patience_s, shield=True):
                for done in answers:
                    await done.wait()
            self._is_silent = not answers[-1].is_set()

    def take_unsuback(self, unsuback: Unsuback) -> None:
        """Tell who waits, and the log of a refusal: what still comes is for nobody."""
        known = self._unsubscribed.pop(unsuback.packet_id, None)
        if known is not None:
            done, names = known
            for name in names:
                self._unwanted.pop(name, None)
            for name, reason in zip(names, unsuback.reasons, strict=False):
                if reason >= 0x80:
                    text = "the broker does not unsubscribe %r: %s"
                    _log.warning(text, name, reason.text)
            done.set()

    def connection_lost(
        self, error: StructiotError | None, now: float, *, is_alone: bool
    ) -> None:
        """Unanswered requests go out again at the next connection.

        Args:
            error: Why it has ended.
            now: When.
            is_alone: Whether no message was under way.
        """
        self._is_silent = False
        first = next(iter(self._subscribed.values()), [])
        name = first[0].request.topic_filter if first else None
        self._subscribed.clear()
        refused = self.poison.lost(error, name, now, is_alone=is_alone)
        if refused is not None:
            self._refused(first[0], refused)
        unsubscribed, self._unsubscribed = self._unsubscribed, {}
        postponed, self._postponed = self._postponed, deque()
        for done, _ in unsubscribed.values():
            done.set()
        for _, waited_for in postponed:
            if waited_for is not None:
                waited_for.set()

    def fail_all(self, error: StructiotError) -> None:
        """Nothing will be answered any more."""
        for entry in self._router:
            if entry.granted is None:
                entry.answer(None, error)


async def _answer_to(entry: Filter) -> StructiotError | None:
    while True:
        event = entry.answered
        await event.wait()
        if entry.answered is event:
            return entry.error
        if entry.before is not None:
            return None  # granted, and asked for by somebody else since


def _naming(entry: Filter, error: StructiotError) -> StructiotError:
    """Make an error that names the filter of a request that this broker does not take."""
    if not isinstance(error, CommandRefused):
        return error
    name = entry.request.topic_filter
    text = f"the broker takes no such subscription as {name!r}: {error}"
    return SubscribeRefused(text, topic_filter=name, code=error.code)
