"""What requests have in common, whichever way they take: ids, times, answers."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Awaitable, Callable
from random import Random
from typing import Final

from structiot._kit.environment import Environment
from structiot._kit.json_text import text_of
from structiot.errors import (
    DeviceReplaced,
    ProtocolViolation,
    StructiotError,
)
from structiot.meross.errors import MerossRefused, WrongKey
from structiot.meross.wire.batch import mend_batch
from structiot.meross.wire.digests import without_digests
from structiot.meross.wire.envelope import (
    ANSWERS,
    Envelope,
    Method,
    decode_envelope,
    is_signed,
)
from structiot.meross.wire.payloads import object_of

__all__ = [
    "ClockWasWrong",
    "PeerClock",
    "at_the_right_time",
    "check_answer",
    "error_of",
    "new_message_id",
    "read_reply",
]

WRONG_SIGN: Final = 5001
# Devices let a few seconds pass, and tell whole ones.
_TOLERATED_S: Final = 2.0
_LAST_TIMESTAMP_S: Final = 2**32

# Where words end and data begins, such as a request given back.
_DATA: Final = re.compile(r"[\[{\"=].*", re.DOTALL)

_log = logging.getLogger(__name__)


class ClockWasWrong(WrongKey):
    """A signature was refused for its time; with the device's own it is worth a try."""


class PeerClock:
    """The time as a device has it: it refuses what was signed long ago, or will be.

    Attributes:
        offset_s: How far it is ahead of ours; 0 while it is near enough.
    """

    def __init__(self, who: str, environment: Environment) -> None:
        self.offset_s: float = 0.0
        self._who = who
        self._environment = environment

    def timestamp_s(self) -> int:
        """Tell the time to sign a message with."""
        return math.floor(self._now_s() + self.offset_s)

    def note(self, timestamp_s: int) -> bool:
        """Take the time from a signed reply; True if ours had been a wrong one."""
        if not 0 < timestamp_s < _LAST_TIMESTAMP_S:
            return False
        was_off_by_s = timestamp_s - self.timestamp_s()
        if abs(was_off_by_s) <= _TOLERATED_S:
            return False
        offset_s = timestamp_s - self._now_s()
        self.offset_s = offset_s if abs(offset_s) > _TOLERATED_S else 0.0
        _log.info("the clock of %s is %+.0f s from ours", self._who, self.offset_s)
        return True

    def _now_s(self) -> float:
        return self._environment.now_utc().timestamp()


def new_message_id(random: Random) -> str:
    """Make an id up."""
    return f"{random.getrandbits(128):032x}"


async def at_the_right_time(ask: Callable[[], Awaitable[Envelope]]) -> Envelope:
    """Ask, and once more if it was refused for a time that is known better now."""
    try:
        return await ask()
    except ClockWasWrong:
        return await ask()


def read_reply(data: bytes, what: str) -> Envelope:
    """Read a reply, also that to a batch which the device had no room to finish.

    Raises:
        ProtocolViolation: It is none; what it is may hold secrets and does not go along.
    """
    try:
        try:
            return decode_envelope(data, what)
        except ProtocolViolation:
            mended = mend_batch(data)
            if mended == data:
                raise
            return decode_envelope(mended, what)
    except ProtocolViolation as exc:
        trouble = str(exc)
    raise ProtocolViolation(trouble)


def check_answer(
    reply: Envelope, request: Envelope, key: str, clock: PeerClock, where: str
) -> None:
    """Find out whether a message is the answer to a request.

    Args:
        reply: What came.
        request: What was asked; its `uuid` is None if nobody knows yet whom.
        key: The account's.
        clock: Is told the time.
        where: Who answers, for errors.

    Raises:
        DeviceReplaced: It is of another device.
        WrongKey: Our signature is wrong.
        MerossRefused: The device can or will not do it.
        ProtocolViolation: It is no answer to this, or not signed.
    """
    what = f"{where}: the answer to {request.method} {request.namespace}"
    if reply.message_id != request.message_id:
        raise ProtocolViolation(f"{what} is one to something else")
    found = reply.device_uuid
    if found is not None and request.uuid is not None and found != request.uuid:
        message = f"{where}: another device answers, {found} instead of {request.uuid}"
        raise DeviceReplaced(message, host=where, expected=request.uuid, found=found)
    is_genuine = is_signed(reply, key)
    was_wrong = is_genuine and clock.note(reply.timestamp_s)
    if reply.method is Method.ERROR and reply.error_code == WRONG_SIGN:
        if was_wrong:
            message = f"{what} is that our clock is wrong"
            raise ClockWasWrong(message, code=WRONG_SIGN)
        message = (
            f"{where} refuses our signature: the key is another account's, or one from "
            "before the device was reset or added again"
        )
        raise WrongKey(message, code=WRONG_SIGN)
    if not is_genuine:
        raise ProtocolViolation(f"{what} has a wrong signature")
    if (error := error_of(reply, request, where)) is not None:
        raise error


def error_of(reply: Envelope, request: Envelope, where: str) -> StructiotError | None:
    """Give the error that an answer is, or None; it is not verified here."""
    what = f"{where}: {request.method} {request.namespace}"
    if reply.method is Method.ERROR:
        code = reply.error_code
        detail = _words_of(object_of(reply.payload, "error").get("detail"))
        return MerossRefused(
            f"{what} is refused: {code} {detail}".strip(),
            namespace=request.namespace,
            code=code,
            peer_text=detail,
        )
    if reply.method is not ANSWERS[request.method]:
        return ProtocolViolation(f"{what} is answered by {reply.method}")
    if reply.namespace != request.namespace:
        return ProtocolViolation(f"{what} is answered by {reply.namespace}")
    return None


def _words_of(detail: object) -> str:
    """Give what a device says of an error, without what may be a secret."""
    return without_digests(_DATA.sub("", text_of(detail) or "")[:200]).strip()
