"""Readings as InfluxDB's line protocol. Pure.

    structiot,device=SN1,entity=power,name=Kitchen,system=maxsmart,unit=W value=12.3 1767225600000

A reading is a point of its own: figures and switches have the field `value`, texts `text`,
what happened `event`. Times are milliseconds. Where nothing is known any more there is no
point. Names are escaped as that protocol has it; what it cannot carry (line breaks, a
backslash at the end, or before what is escaped) is left out.

Reference: https://docs.influxdata.com/influxdb/v2/reference/syntax/line-protocol/
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from structiot._kit.text import printable
from structiot.gateway.history.answers import RecordedSeries
from structiot.gateway.history.backlog import Part
from structiot.gateway.history.recorded import Value

__all__ = ["lines_of"]

_MOST_NAME = 200
# Before what is escaped, one could be taken for the one that escapes the other.
_BACKSLASHES = re.compile(r"\\+(?=[\s\\,=]|$)")


def lines_of(parts: Sequence[Part], measurement: str) -> bytes:
    """Write all readings of some parts, a line each."""
    lines: list[str] = []
    for part in parts:
        for series, at_ms, value in part.rows:
            field = _field(value)
            if field:
                head = _head(measurement, series, series.slug, series.name)
                lines.append(f"{head} {field} {at_ms}\n")
        for one in part.occurred:
            head = _head(measurement, one.series, one.series.slug, one.series.name)
            lines.append(f"{head} event={_quoted(one.event_type)} {one.at_ms}\n")
    return "".join(lines).encode("utf-8", "replace")


def _field(value: Value) -> str:
    if value is None:
        return ""
    return f"text={_quoted(value)}" if isinstance(value, str) else f"value={value!r}"


# A name is no part of a series' identity.
@lru_cache(maxsize=8192)
def _head(measurement: str, series: RecordedSeries, slug: str, name: str) -> str:
    tags = {
        "device": series.device,
        "entity": series.entity,
        "name": name,
        "slug": slug,
        "system": series.system,
        "unit": series.unit,
    }
    told = [f"{key}={text}" for key, tag in tags.items() if (text := _escaped(tag))]
    return ",".join([_escaped(measurement, "") or "structiot", *told])


def _escaped(text: str, more: str = "=") -> str:
    text = _BACKSLASHES.sub("", printable(text, most=_MOST_NAME)).strip()
    return "".join(f"\\{c}" if c in f", {more}" else c for c in text)


def _quoted(text: str) -> str:
    # A line of its own would be somebody else's point.
    text = text.replace("\n", " ").replace("\r", " ")
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
