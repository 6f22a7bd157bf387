"""What programs and the page's own script ask for: commands and the past, as JSON."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.text import error_text, table_cell
from structiot.dashboard.bars import bars_of, counter_of
from structiot.dashboard.replies import Refusal
from structiot.dashboard.shown import is_secret
from structiot.dashboard.spans import known_until, silent_spans
from structiot.errors import (
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.gateway import CommandExpired, Gateway, UnknownEntity
from structiot.gateway.entities.orders import value_payload
from structiot.gateway.history import History, Series
from structiot.model import Entity, Sensor

__all__ = [
    "MAX_POINTS",
    "entity_at",
    "history_csv",
    "history_json",
    "set_value",
    "span_of",
]

MAX_POINTS = 1000
_USUAL_SPAN = timedelta(days=1)
# Hours, days and months of a house may begin before these and end after them.
_FIRST = datetime(1970, 1, 1, tzinfo=UTC)
_LAST = datetime(9999, 1, 1, tzinfo=UTC)
# What may be one value of an entity.
_PART = re.compile(r"(?:\.[A-Za-z0-9_]{1,100})?")
# A device is called as people like it; a header field is not.
_NO_FILE = re.compile(r"[^A-Za-z0-9._-]+")


def entity_at(gateway: Gateway, device: str, key: str) -> Entity:
    """Give an entity.

    Raises:
        Refusal: There is none.
    """
    found = gateway.devices.get(device)
    if found is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"there is no device {device!r}")
    if (entity := found.entities.get(key)) is None:
        raise Refusal(HTTPStatus.NOT_FOUND, f"{device} has no {key!r}")
    return entity


# ---------------------------------------------------------------- commands


async def set_value(
    gateway: Gateway, request: HttpRequest, device: str, entity: str
) -> HttpReply:
    """Carry out `{"value": ...}`, and answer when the device has it.

    Cancelled, it may have its effect all the same.

    Raises:
        Refusal: The device does not have it; its status says whose fault that is.
    """
    entity_at(gateway, device, entity)
    found = gateway.devices[device]
    payload = _payload_in(request)
    try:
        await found.carry_out(
            entity, payload, within_s=gateway.config.gateway.command_s
        )
    except UnknownEntity as exc:
        raise Refusal(HTTPStatus.NOT_FOUND, error_text(exc)) from None
    except UsageError as exc:
        raise Refusal(HTTPStatus.BAD_REQUEST, error_text(exc)) from None
    except LinkLost as exc:
        raise Refusal(HTTPStatus.CONFLICT, error_text(exc)) from None
    except CommandExpired as exc:
        raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, error_text(exc)) from None
    except StructiotError as exc:
        raise Refusal(HTTPStatus.BAD_GATEWAY, error_text(exc)) from None
    return HttpReply.of_json({})


def _payload_in(request: HttpRequest) -> bytes:
    """Give what would be published on the set topic.

    Raises:
        Refusal: Nothing would.
    """
    try:
        given = request.json()
    except ProtocolViolation as exc:
        raise Refusal(HTTPStatus.BAD_REQUEST, error_text(exc)) from None
    if not isinstance(given, dict) or "value" not in given:
        why = 'send a JSON object with a value, such as {"value": "ON"}'
        raise Refusal(HTTPStatus.BAD_REQUEST, why)
    try:
        return value_payload(given["value"])
    except UsageError as exc:
        raise Refusal(HTTPStatus.BAD_REQUEST, error_text(exc)) from None


# ---------------------------------------------------------------- the past


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    past: History
    key: str
    counter: Sensor | None
    from_utc: datetime
    to_utc: datetime
    points: int


async def history_json(
    gateway: Gateway, request: HttpRequest, now_utc: datetime, key: tuple[str, str]
) -> HttpReply:
    """Give the course of an entity as columns; of a counter the energy as bars, too.

    Raises:
        Refusal: There is none, or nobody can ask so.
    """
    asked = _question(gateway, request, now_utc, key)
    with _told():
        series = await _series(asked)
        told: dict[str, object] = {
            "unit": series.unit,
            "resolution_s": series.resolution_s,
            "is_step": series.is_step,
            "t": series.t,
            "mean": series.mean,
            "min": series.min,
            "max": series.max,
        }
        if series.texts is not None:
            told["texts"] = series.texts
        energy = None
        if asked.counter is not None:
            span = asked.from_utc, asked.to_utc
            energy = await bars_of(asked.past, asked.key, asked.counter, *span)
            told |= {"bars": energy.bars, "gaps": energy.gaps, "resets": energy.resets}
    until_s = known_until(asked.past, asked.to_utc, now_utc)
    told["silent"] = silent_spans(series, energy, asked.from_utc.timestamp(), until_s)
    return HttpReply.of_json(told)


async def history_csv(
    gateway: Gateway, request: HttpRequest, now_utc: datetime, key: tuple[str, str]
) -> HttpReply:
    """Give the course of an entity as a file.

    Raises:
        Refusal: There is none, or nobody can ask so.
    """
    asked = _question(gateway, request, now_utc, key)
    with _told():
        series = await _series(asked)
    name = _NO_FILE.sub("_", "-".join(key))
    headers = {
        "Content-Type": "text/csv; charset=utf-8",
        "Content-Disposition": f'attachment; filename="{name}.csv"',
    }
    return HttpReply(headers=headers, body=_table(series).encode())


def _table(series: Series) -> str:
    file = io.StringIO()
    table = csv.writer(file, lineterminator="\r\n")
    if series.texts is not None:
        table.writerow(("time", "text"))
        rows: Iterable[tuple[object, ...]] = zip(series.t, series.texts, strict=True)
    else:
        table.writerow(("time", "mean", "min", "max"))
        rows = zip(series.t, series.mean, series.min, series.max, strict=True)
    for at, *values in rows:
        time = datetime.fromtimestamp(float(str(at)), UTC)
        shown = ("" if value is None else table_cell(value) for value in values)
        table.writerow((time.isoformat(timespec="milliseconds"), *shown))
    return file.getvalue()


def _question(
    gateway: Gateway, request: HttpRequest, now_utc: datetime, key: tuple[str, str]
) -> _Question:
    device, name = key
    # `lamp.brightness_percent` is one value of the lamp.
    main = name.partition(".")[0]
    entity = entity_at(gateway, device, main)
    if not _PART.fullmatch(name.removeprefix(main)):
        raise Refusal(HTTPStatus.NOT_FOUND, f"{device} has no {name!r}")
    past = gateway.history
    if past is None:
        raise Refusal(HTTPStatus.NOT_FOUND, "there is no history")
    if is_secret(entity):
        raise Refusal(HTTPStatus.NOT_FOUND, f"{name} has no history: it is a secret")
    from_utc, to_utc = span_of(request.query, now_utc)
    return _Question(
        past=past,
        key=f"{device}/{name}",
        counter=counter_of(entity),
        from_utc=from_utc,
        to_utc=to_utc,
        points=_points_in(request.query),
    )


async def _series(asked: _Question) -> Series:
    span = asked.from_utc, asked.to_utc
    return await asked.past.series(asked.key, *span, asked.points)


@contextmanager
def _told() -> Iterator[None]:
    """Say why the history does not answer.

    Raises:
        Refusal: It does not.
    """
    try:
        yield
    except UsageError as exc:
        raise Refusal(HTTPStatus.BAD_REQUEST, error_text(exc)) from None
    except ReplyTimeout as exc:
        raise Refusal(HTTPStatus.GATEWAY_TIMEOUT, error_text(exc)) from None
    except StructiotError as exc:
        raise Refusal(HTTPStatus.BAD_GATEWAY, error_text(exc)) from None


def span_of(query: Mapping[str, str], now_utc: datetime) -> tuple[datetime, datetime]:
    """Read `from` and `to`: seconds of the epoch, or times in ISO 8601; the last day.

    Raises:
        Refusal: They are none, or the wrong way round.
    """
    to_utc = _time_in(query, "to") or now_utc
    from_utc = _time_in(query, "from") or max(_FIRST, to_utc - _USUAL_SPAN)
    if from_utc >= to_utc:
        raise Refusal(HTTPStatus.BAD_REQUEST, "from has to be before to")
    return from_utc, to_utc


def _time_in(query: Mapping[str, str], name: str) -> datetime | None:
    text = query.get(name, "").strip()
    if not text:
        return None
    try:
        found = _moment(text)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not _FIRST <= found <= _LAST:
        why = f"{name} is a time: seconds since 1970, or 2026-05-01T12:00:00Z"
        raise Refusal(HTTPStatus.BAD_REQUEST, why)
    return found


def _moment(text: str) -> datetime:
    try:
        return datetime.fromtimestamp(float(text), UTC)
    except ValueError:
        # A + that nobody has encoded came as a blank.
        found = datetime.fromisoformat(text.replace(" ", "+"))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def _points_in(query: Mapping[str, str]) -> int:
    text = query.get("points", "").strip() or str(MAX_POINTS)
    if not (text.isascii() and text.isdigit() and 0 < len(text) < 10 and int(text)):
        raise Refusal(HTTPStatus.BAD_REQUEST, "points is a number from 1")
    return min(int(text), MAX_POINTS)
