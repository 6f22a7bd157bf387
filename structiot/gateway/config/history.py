"""`[history]` in the configuration: where readings are kept, for how long, and where else."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

from structiot._kit.zones import zone_of
from structiot.gateway.config.fields import (
    Hidden,
    NamedFile,
    Section,
    beside_config,
    seconds,
    secret_in,
)

__all__ = ["HistorySection", "InfluxSection"]

_DAYS = Field(ge=1, le=36_500)


def _zone(name: str) -> str:
    if zone_of(name) is None:
        raise ValueError(
            f"{name!r} is no time zone; one is written like 'Europe/Berlin'"
        )
    return name


def _http(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("a URL begins with http:// or https:// and names a host")
    if parts.query or parts.fragment:
        raise ValueError("a URL of a server has no ? and no #")
    return url.rstrip("/")


Pattern = Annotated[str, Field(min_length=1, max_length=200)]


class InfluxSection(Section):
    """`[history.influxdb]`: the same readings, to an InfluxDB as well.

    What it does not take, or cannot now, waits in the history's file.

    Attributes:
        url: Address of the server, such as `"http://127.0.0.1:8086"`.
        token: What it asks for; of version 1 `"user:password"`.
        token_file: File whose first line is the token, instead of `token`; relative to
            the configuration file.
        org: Organisation, of version 2 or 3.
        bucket: Bucket, of version 2 or 3.
        database: Database, of version 1, instead of org and bucket.
        measurement: What the readings are called there.
        most_mb: Most that waits on disk; the oldest is dropped then, and counted.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        "uri": "url", "host": "url", "organization": "org", "db": "database",
    }  # fmt: skip

    url: Annotated[
        str, AfterValidator(_http), Field(examples=["http://influxdb.home:8086"])
    ]
    token: Hidden | None = None
    token_file: Annotated[str | None, NamedFile(secret_in, into="token")] = None
    org: str | None = None
    bucket: Annotated[str, Field(min_length=1)] | None = None
    database: Annotated[str, Field(min_length=1)] | None = None
    measurement: Annotated[str, Field(min_length=1, max_length=100)] = "structiot"
    most_mb: Annotated[float, Field(ge=0.01, le=10_000, allow_inf_nan=False)] = 50.0


class HistorySection(Section):
    """`[history]`: what devices told, kept in a file.

    Attributes:
        enabled: Whether there is a history.
        path: Its file, an SQLite database. By default `structiot run` has one beside its
            state file, and a program none. Relative to the configuration file.
        commit_s: How often it is written: what a power cut takes is no more than that.
        heartbeat_s: How often is looked whether each device is heard still.
        raw_days: How long readings are kept as they were told.
        five_minutes_days: How long their course is kept by five minutes.
        hours_days: How long it is kept by hours, with energy; 0 for ever.
        include: Which keys are kept, such as `"kitchen/*"`; `*` is any text.
        exclude: Which of them are not.
        timezone: Where the house's hours and days begin, such as `"Europe/Berlin"`; the
            system's by default.
        influxdb: Where the readings go as well.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        "file": "path", "database": "path", "tz": "timezone", "interval_s": "commit_s",
    }  # fmt: skip

    enabled: bool = True
    path: Annotated[str | None, NamedFile(beside_config)] = None
    commit_s: Annotated[float, seconds(1, 3600)] = 10.0
    heartbeat_s: Annotated[float, seconds(1, 3600)] = 60.0
    raw_days: Annotated[int, _DAYS] = 14
    five_minutes_days: Annotated[int, _DAYS] = 365
    hours_days: Annotated[int, Field(ge=0, le=36_500)] = 0
    include: Annotated[tuple[Pattern, ...], Field(strict=False)] = ("*",)
    exclude: Annotated[tuple[Pattern, ...], Field(strict=False)] = ()
    timezone: Annotated[str, AfterValidator(_zone)] | None = Field(
        default=None, examples=["Europe/Berlin"]
    )
    influxdb: InfluxSection | None = None
