"""Where devices may dial in, and what they may have."""

from __future__ import annotations

import math
import ssl
from dataclasses import dataclass, fields

from structiot._kit.arguments import check_argument
from structiot.errors import ConfigError, StructiotError
from structiot.manager.wire.dialects import Dialect

__all__ = ["Listener", "ManagerLimits", "check_limits", "check_seconds"]


def check_seconds(
    name: str, value: float, error: type[StructiotError] = ConfigError
) -> None:
    """Look whether an argument is a time.

    Args:
        name: The argument's.
        value: Its value.
        error: What to raise for a number that cannot be.

    Raises:
        UsageError: It is no number.
    """
    check_argument(name, value, float)
    if not 0 < value < math.inf:
        raise error(f"{name} is a number of seconds, more than 0, not {value!r}")


@dataclass(frozen=True, slots=True)
class Listener:
    """A place where devices dial in.

    Attributes:
        host: The address to listen at.
        port: The TCP port; 0 takes a free one.
        dialect: What is spoken there: a `Dialect`, or its name.
        ssl_context: Certificate and key; None is no TLS.
    """

    host: str = "127.0.0.1"
    port: int = 8595
    dialect: Dialect | str = Dialect.D0
    ssl_context: ssl.SSLContext | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ManagerLimits:
    """What devices may have.

    Attributes:
        connections: At once, in all.
        unidentified: Of these, so many that have not said who they are; the oldest
            yields to a newcomer.
        per_address: Connections of one address; None is no limit, for fleets stand behind
            one address.
        waiting_bytes: What may wait to be written to one device; with more it is ended.
        stall_s: How long a device may take nothing before it is ended.
        replacements: How often one UUID may be taken over by a newer connection in a
            minute; beyond, newcomers with it are refused for a minute.
    """

    connections: int = 20_000
    unidentified: int = 2_000
    per_address: int | None = None
    waiting_bytes: int = 4_194_304
    stall_s: float = 10.0
    replacements: int = 5


def check_limits(limits: ManagerLimits) -> None:
    """Look whether limits can be.

    Raises:
        UsageError: They, or one of them, are of another class.
        ConfigError: One is too small.
    """
    check_argument("limits", limits, ManagerLimits)
    for field in fields(limits):
        name, value = field.name, getattr(limits, field.name)
        if name == "stall_s":
            check_seconds(name, value)
            continue
        kinds = (int, None) if name == "per_address" else (int,)
        check_argument(name, value, *kinds)
        least = 0 if name == "replacements" else 1
        if value is not None and value < least:
            raise ConfigError(f"{name} is {least} or more, not {value}")
