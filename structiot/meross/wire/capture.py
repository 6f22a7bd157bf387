"""What a capture is made of: messages as they were overheard, and what was said of them.

A capture is a zip file of three members:

| member | is |
|---|---|
| `manifest.json` | whose capture it is, when, how many of what; see `Manifest` |
| `log.ndjson` | a `Record` a line, in the order in which they came |
| `commands.json` | each request with its answer; made of the log, for people |

Secrets were replaced before anything was written, so signatures in it are worth nothing.
`capture_file` reads the zip; here are the texts inside.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

from structiot._kit.json_text import (
    clean_text,
    compact,
    integer_of,
    number_of,
    parse_object,
    text_of,
    violation,
)
from structiot.errors import ProtocolViolation
from structiot.meross.wire.batch import MULTIPLE, messages_of
from structiot.meross.wire.envelope import Envelope, read_members
from structiot.meross.wire.payloads import Item, object_of
from structiot.meross.wire.system import Abilities, read_abilities

__all__ = [
    "MAX_LINE_BYTES",
    "Exchange",
    "Kind",
    "Manifest",
    "Record",
    "decode_manifest",
    "decode_record",
    "encode_manifest",
    "encode_record",
    "exchanges",
    "unfold",
]

FORMAT: Final = "structiot.meross.capture"
VERSION: Final = 1
MAX_LINE_BYTES: Final = 262_144
_MAX_TEXT: Final = 1_000
_MAX_UNANSWERED: Final = 1_024


class Kind(StrEnum):
    """What a line of the log is."""

    REQUEST = "request"
    ANSWER = "answer"
    PUSH = "push"
    CLOUD = "cloud"
    ANNOTATION = "annotation"
    NOTE = "note"


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line of the log.

    Attributes:
        kind: A request to the device, its answer, what it tells by itself, what the
            cloud tells it; an annotation of whoever listens; a note of ours.
        at: When, in ISO 8601.
        after_s: Seconds since the capture began.
        by: `"app"`, `"device"`, `"cloud"`, `"structiot"`, or `"user"` for annotations.
        topic: Where it was overheard; empty for what was not.
        is_signed: Whether its signature was right; None for what has none.
        message: Header and payload, without secrets.
        text: What an annotation or a note says.
    """

    kind: Kind
    at: str = ""
    after_s: float = 0.0
    by: str = ""
    topic: str = ""
    is_signed: bool | None = None
    message: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""

    @property
    def envelope(self) -> Envelope | None:
        """The message, understood; None if there is none that can be."""
        try:
            return read_members(self.message, "capture") if self.message else None
        except ProtocolViolation:
            return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """Whose capture it is.

    Attributes:
        uuid: The device's, by the name that it has in the capture.
        model: Its type, lower case; `"unknown"` if nobody knew.
        sub_type: Its variant.
        hardware: Version of the hardware.
        firmware: Version of the firmware.
        abilities: What it can do, with attributes; empty if it did not tell.
        began_at: When the capture began, in ISO 8601.
        ended_at: When it ended.
        counts: How many records there are of each kind, and what is missing:
            `"dropped"` for want of room, `"malformed"` and `"foreign"` messages.
        is_complete: Whether nothing was dropped.
        structiot: The version that made it.
    """

    uuid: str
    model: str
    sub_type: str | None = None
    hardware: str | None = None
    firmware: str | None = None
    abilities: Abilities = field(default_factory=dict)
    began_at: str = ""
    ended_at: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)
    is_complete: bool = True
    structiot: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """A request with what came of it.

    Attributes:
        request: The request.
        answer: The answer; None if none was overheard.
        annotation: What was said last before the request.
    """

    request: Record
    answer: Record | None = None
    annotation: str = ""


# ---------------------------------------------------------------- the log


def encode_record(record: Record) -> bytes:
    """Write a line of the log, with its end."""
    members: dict[str, object] = {
        "at": record.at,
        "after_s": round(record.after_s, 3),
        "kind": record.kind.value,
        "by": record.by,
    }
    for name in ("topic", "is_signed", "message", "text"):
        value = getattr(record, name)
        if value not in ("", None, {}):
            members[name] = value
    return f"{compact(members, is_ascii=True)}\n".encode()


def decode_record(line: bytes) -> Record:
    """Read a line of the log.

    Raises:
        ProtocolViolation: Too long, no JSON object, of no kind that is known, or a
            message that is no object.
    """
    if len(line) > MAX_LINE_BYTES:
        raise violation(f"capture: a line of {len(line)} bytes", line)
    members = parse_object(line, "capture")
    kind, message = members.get("kind"), members.get("message", {})
    is_known = isinstance(kind, str) and kind in set(Kind)
    if not is_known or not isinstance(message, dict):
        raise violation("capture: a line of no known kind", line)
    is_signed = members.get("is_signed")
    return Record(
        kind=Kind(str(kind)),
        at=_short(members.get("at")),
        after_s=number_of(members.get("after_s")) or 0.0,
        by=_short(members.get("by")),
        topic=_short(members.get("topic")),
        is_signed=is_signed if isinstance(is_signed, bool) else None,
        message=message,
        text=_short(members.get("text")),
    )


def unfold(envelope: Envelope) -> Iterator[Envelope]:
    """Give a message, or what is inside if it is a batch."""
    if envelope.namespace != MULTIPLE:
        yield envelope
        return
    yield from (one for one in messages_of(envelope) if one.namespace != MULTIPLE)


def exchanges(records: Iterable[Record]) -> Iterator[Exchange]:
    """Give each request with its answer, in the order of the answers.

    Requests without any come when so many wait that nobody can answer all of them, and
    at the end.
    """
    waiting: OrderedDict[str, Exchange] = OrderedDict()
    annotation = ""
    for record in records:
        envelope = record.envelope
        if record.kind is Kind.ANNOTATION:
            annotation = record.text
        elif envelope is None:
            continue
        elif record.kind is Kind.REQUEST:
            found = Exchange(request=record, annotation=annotation)
            before = waiting.pop(envelope.message_id, None)
            waiting[envelope.message_id] = found
            if before is None and len(waiting) > _MAX_UNANSWERED:
                before = waiting.popitem(last=False)[1]
            if before is not None:
                yield before
        elif record.kind is Kind.ANSWER:
            asked = waiting.pop(envelope.message_id, None)
            if asked is not None:
                yield Exchange(
                    request=asked.request, answer=record, annotation=asked.annotation
                )
    yield from waiting.values()


def members_of_exchange(exchange: Exchange) -> dict[str, object]:
    """Give an exchange as `commands.json` has it."""
    asked, answer = exchange.request, exchange.answer
    told = None
    if answer is not None:
        told = {**_content(answer), "after_s": round(answer.after_s - asked.after_s, 3)}
    return {
        "at": asked.at,
        "by": asked.by,
        "annotation": exchange.annotation,
        **_content(asked),
        "answer": told,
    }


def _content(record: Record) -> dict[str, object]:
    header, payload = record.message.get("header"), record.message.get("payload")
    header = header if isinstance(header, dict) else {}
    return {
        "method": header.get("method"),
        "namespace": header.get("namespace"),
        "payload": payload,
    }


# ---------------------------------------------------------------- the manifest


def encode_manifest(manifest: Manifest) -> bytes:
    """Write the manifest."""
    device = {
        name: getattr(manifest, name)
        for name in ("uuid", "model", "sub_type", "hardware", "firmware")
    }
    members: dict[str, object] = {
        "format": FORMAT,
        "version": VERSION,
        "structiot": manifest.structiot,
        "began_at": manifest.began_at,
        "ended_at": manifest.ended_at,
        "device": device,
        "abilities": manifest.abilities,
        "counts": dict(manifest.counts),
        "is_complete": manifest.is_complete,
    }
    return compact(members, is_ascii=True).encode()


def decode_manifest(data: bytes) -> Manifest:
    """Read a manifest; what is missing in it is unknown.

    Raises:
        ProtocolViolation: No JSON object, of another format or of a later version, or
            without a uuid.
    """
    members = parse_object(data, "capture")
    if members.get("format") != FORMAT:
        raise violation("capture: a manifest of something else", data)
    version = integer_of(members.get("version"))
    if version != VERSION:
        raise violation(f"capture: version {version}, {VERSION} is known", data)
    device = object_of(members, "device")
    uuid = _short(device.get("uuid"))
    if not uuid or len(uuid) > 64 or "/" in uuid:
        raise violation("capture: a manifest without the device's uuid", data)
    counts = object_of(members, "counts")
    return Manifest(
        uuid=uuid,
        model=(_word(device, "model") or "unknown").lower(),
        sub_type=_word(device, "sub_type"),
        hardware=_word(device, "hardware"),
        firmware=_word(device, "firmware"),
        abilities=read_abilities({"ability": members.get("abilities")}),
        began_at=_short(members.get("began_at")),
        ended_at=_short(members.get("ended_at")),
        counts={name: integer_of(counts[name]) or 0 for name in list(counts)[:32]},
        is_complete=members.get("is_complete") is True,
        structiot=_short(members.get("structiot")),
    )


def _word(members: Item, name: str) -> str | None:
    text = text_of(members.get(name))
    return text[:64] if text else None


def _short(value: object) -> str:
    return clean_text(value[:_MAX_TEXT]) if isinstance(value, str) else ""
