"""Several requests in one message, for devices that can.

Facts: reference 3.4. How many a device takes it says itself; how long its answers may be
is learnt when one was cut off. What an answer leaves out is asked again.
"""

from __future__ import annotations

import copy
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Final, TypeAlias

from structiot._kit.json_text import compact
from structiot.errors import (
    AuthRefused,
    CommandRefused,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.meross.errors import CallDropped
from structiot.meross.features.feature import Request
from structiot.meross.link.exchange import error_of, new_message_id
from structiot.meross.wire.batch import MULTIPLE, batch_payload, batch_replies
from structiot.meross.wire.envelope import Envelope, Method, Payload
from structiot.meross.wire.system import ABILITY, ALL

__all__ = ["Answer", "BatchMemory", "ask_many"]

Answer: TypeAlias = Envelope | StructiotError
"""What came of one of many requests."""

Ask: TypeAlias = Callable[[Request], Awaitable[Envelope]]

# What is large, what holds others, and what was seen to fail among others.
_ALONE: Final = frozenset({ABILITY, ALL, MULTIPLE, "Appliance.Hub.ToggleX"})
# Answers of an mss310 are cut off at 2.9 kB.
_ROOM_BYTES: Final = 2_900
_LEAST_ROOM_BYTES: Final = 600
_HEADER_BYTES: Final = 330
_UNKNOWN_BYTES: Final = 500
_MOST_NAMESPACES: Final = 512
_MOST_IN_BATCH: Final = 16

_MOST_FAILURES: Final = 2
# With these the next request would not fare better.
_HOPELESS: Final = (ReplyTimeout, ConnectFailed, CallDropped, AuthRefused)


class BatchMemory:
    """How many requests a device takes at once, and how long its answers may be.

    Attributes:
        max_requests: As the device says (`maxCmdNum`); 1 does without batches.
        is_broken: Whether it said so and cannot do it.
        room_bytes: How long an answer may be, as far as that is known.
    """

    def __init__(self, max_requests: int) -> None:
        self.max_requests: int = max_requests
        self.is_broken: bool = False
        self.room_bytes: int = _ROOM_BYTES
        self._sizes: dict[str, int] = {}
        self._failures = 0

    def is_eligible(self, request: Request) -> bool:
        """Tell whether a request may be among others; one that is relative may not.

        What is missing in an answer is asked again, whether it was done or not.
        """
        return request.namespace not in _ALONE and not request.is_relative

    def size_of_next(self, requests: Sequence[Request]) -> int:
        """Tell how many of these make the next batch; 1 is none."""
        if self.is_broken:
            return 1
        room = self.room_bytes
        for count, request in enumerate(
            requests[: min(self.max_requests, _MOST_IN_BATCH)]
        ):
            room -= self._sizes.get(request.namespace, _UNKNOWN_BYTES)
            if room < 0:
                return max(count, 1)
        return max(1, min(len(requests), self.max_requests, _MOST_IN_BATCH))

    def learn(self, namespace: str, payload: Payload) -> None:
        """Remember how long an answer is."""
        if namespace in self._sizes or len(self._sizes) < _MOST_NAMESPACES:
            size = len(compact(payload, is_ascii=True)) + _HEADER_BYTES
            self._sizes[namespace] = size

    def was_cut(self, namespaces: Sequence[str]) -> None:
        """An answer ended after these."""
        known = sum(self._sizes.get(name, _UNKNOWN_BYTES) for name in namespaces)
        self.room_bytes = max(_LEAST_ROOM_BYTES, min(self.room_bytes, known))

    def worked(self) -> None:
        """A batch was answered."""
        self._failures = 0

    def failed(self, *, for_good: bool) -> None:
        """A batch was not answered as one: it is remembered the second time at last."""
        self._failures += 1
        self.is_broken = for_good or self._failures >= _MOST_FAILURES


async def ask_many(
    requests: Sequence[Request],
    batches: BatchMemory,
    ask: Ask,
    random: Random,
) -> list[Answer]:
    """Ask several things, in as few messages as a device understands.

    Args:
        requests: What is asked.
        batches: What is known of the device, and learnt.
        ask: Sends a request, and gives its answer.
        random: Makes ids up.

    Returns:
        The answer to each, or the error that it was answered with.

    Raises:
        StructiotError: Of `ask`, where nothing was answered.
    """
    answers: dict[int, Answer] = {}
    try:
        await _ask_in_batches(requests, batches, ask, random, answers)
        for at, request in enumerate(requests):
            if at not in answers:
                answers[at] = await _ask_alone(request, batches, ask)
    except _HOPELESS as exc:
        if not answers:
            raise
        return [answers.get(at) or copy.copy(exc) for at in range(len(requests))]
    return [answers[at] for at in range(len(requests))]


async def _ask_alone(request: Request, batches: BatchMemory, ask: Ask) -> Answer:
    try:
        reply = await ask(request)
    except (CommandRefused, LinkLost, ProtocolViolation) as exc:
        return exc
    batches.learn(request.namespace, reply.payload)
    return reply


async def _ask_in_batches(
    requests: Sequence[Request],
    batches: BatchMemory,
    ask: Ask,
    random: Random,
    answers: dict[int, Answer],
) -> None:
    """Ask what may be among others; what is left out twice is asked for alone."""
    pending = deque(at for at, one in enumerate(requests) if batches.is_eligible(one))
    missed: Counter[int] = Counter()
    while pending:
        count = batches.size_of_next([requests[at] for at in pending])
        places = [pending.popleft() for _ in range(count)]
        if count == 1:
            continue
        inner = [_inner(requests[at], random) for at in places]
        batch = Request(
            method=Method.SET, namespace=MULTIPLE, payload=batch_payload(inner)
        )
        try:
            replies = batch_replies(await ask(batch), inner)
        except (CommandRefused, LinkLost, ProtocolViolation) as exc:
            batches.failed(for_good=isinstance(exc, CommandRefused))
            return
        came = [one for one in zip(places, inner, replies, strict=True) if one[2]]
        for at, message, reply in came:
            assert reply is not None  # noqa: S101 - those that came
            answers[at] = error_of(reply, message, "batch") or reply
            batches.learn(message.namespace, reply.payload)
        if not came:
            batches.failed(for_good=True)
            continue
        batches.worked()
        missing = [at for at in places if at not in answers]
        if missing:
            batches.was_cut([message.namespace for _, message, _ in came])
            missed.update(missing)
            pending.extendleft(at for at in reversed(missing) if missed[at] == 1)


def _inner(request: Request, random: Random) -> Envelope:
    return Envelope(
        namespace=request.namespace,
        method=request.method,
        payload=request.payload,
        message_id=new_message_id(random),
    )
