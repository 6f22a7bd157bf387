"""What overheard messages are: whose, and of which kind. Pure; the sniffer has the sockets."""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any, Final

from structiot._kit.json_text import parse_object
from structiot.meross.wire.capture import Kind, unfold
from structiot.meross.wire.envelope import (
    Envelope,
    Method,
    decode_envelope,
    is_signed,
)
from structiot.meross.wire.mqtt import app_topic, request_topic

__all__ = ["Overheard", "Reader"]

_ANSWERS: Final = frozenset(
    {Method.GETACK, Method.SETACK, Method.DELETEACK, Method.ERROR}
)
_CLOUD: Final = "CloudControl"
_MOST_REMEMBERED: Final = 1_024
_MOST_ASKED: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Overheard:
    """A message that belongs into the capture, with its secrets.

    Attributes:
        kind: What it is.
        by: Who said it.
        is_signed: Whether its signature is right.
        envelope: The message, understood.
        members: The same as it came.
    """

    kind: Kind
    by: str
    is_signed: bool
    envelope: Envelope
    members: dict[str, Any]


class Reader:
    """Tells what belongs into the capture of one device, and what was left unanswered.

    Args:
        uuid: The device.
        user_id: The account.
        key: Its key.
        app_id: The id of this program, whose own requests are left out.

    Attributes:
        foreign: Messages of other devices.
        app_topics: Where answers to the apps come that were heard so far.
    """

    def __init__(self, *, uuid: str, user_id: str, key: str, app_id: str) -> None:
        self.foreign: int = 0
        self.app_topics: list[str] = []
        self._uuid = uuid
        self._key = key
        self._requests = request_topic(uuid)
        self._own_topic = app_topic(user_id, app_id)
        self._app_topic = re.compile(rf"/app/{re.escape(user_id)}-\w{{1,64}}/subscribe")
        self._told: OrderedDict[tuple[Kind, str, Method], None] = OrderedDict()
        # Questions of apps by id, with when they were heard.
        self._asked: OrderedDict[str, tuple[Envelope, float]] = OrderedDict()
        self._known: set[int] = set()

    def read(self, topic: str, data: bytes, at_s: float) -> Overheard | None:
        """Read a message; None if it does not belong into the capture.

        Raises:
            ProtocolViolation: It is no message of this protocol.
        """
        envelope = decode_envelope(data, "overheard")
        kind = self._kind_of(topic, envelope)
        if kind is None:
            return None
        told = (kind, envelope.message_id, envelope.method)
        if told in self._told:
            return None
        self._told[told] = None
        if len(self._told) > _MOST_REMEMBERED:
            self._told.popitem(last=False)
        self._note(kind, envelope, at_s)
        return Overheard(
            kind=kind,
            by=_author(kind, envelope),
            is_signed=is_signed(envelope, self._key),
            envelope=envelope,
            members=parse_object(data, "overheard"),
        )

    def unanswered(self, heard_before_s: float) -> list[Envelope]:
        """Take the questions whose answers were not heard, each but once."""
        due: list[Envelope] = []
        for message_id, (asked, at_s) in list(self._asked.items()):
            if at_s > heard_before_s:
                break
            del self._asked[message_id]
            question = hash((asked.namespace, repr(asked.payload)))
            if question not in self._known and len(self._known) < _MOST_ASKED:
                self._known.add(question)
                due.append(asked)
        return due

    # ------------------------------------------------------------ inside

    def _kind_of(self, topic: str, envelope: Envelope) -> Kind | None:
        sender = envelope.sender
        if topic == self._requests:
            if sender == self._own_topic:
                return None
            return Kind.REQUEST if sender.startswith("/app/") else Kind.CLOUD
        is_own = envelope.device_uuid == self._uuid
        if not is_own and envelope.message_id not in self._asked:
            self.foreign += 1
            return None
        return Kind.ANSWER if envelope.method in _ANSWERS else Kind.PUSH

    def _note(self, kind: Kind, envelope: Envelope, at_s: float) -> None:
        if kind is Kind.ANSWER:
            self._asked.pop(envelope.message_id, None)
        elif kind is Kind.REQUEST:
            sender = envelope.sender
            if sender not in self.app_topics and self._app_topic.fullmatch(sender):
                self.app_topics.append(sender)
            questions = [one for one in unfold(envelope) if one.method is Method.GET]
            if questions:
                self._asked[envelope.message_id] = (envelope, at_s)
            if len(self._asked) > _MOST_ASKED:
                self._asked.popitem(last=False)


def _author(kind: Kind, envelope: Envelope) -> str:
    if kind is Kind.REQUEST:
        return "app"
    is_cloud = kind is Kind.CLOUD or envelope.trigger == _CLOUD
    return "cloud" if is_cloud and kind is not Kind.ANSWER else "device"
