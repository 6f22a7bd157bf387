"""Which systems a gateway can serve: whatever is installed, found by entry point.

A package, ours like a stranger's, names the class of its driver in its pyproject.toml:

    [project.entry-points."structiot.drivers"]
    maxsmart = "structiot.gateway.drivers.maxsmart:MaxSmartDriver"

The name on the left is that of the section in the configuration. Nothing is imported
before the system is asked for.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import partial
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeAlias

from pydantic import BaseModel

from structiot._kit.text import printable
from structiot.errors import ConfigError, InternalError
from structiot.gateway.isolation import called

if TYPE_CHECKING:
    from structiot._kit.environment import Environment
    from structiot.gateway.config import GatewayConfig
    from structiot.gateway.drivers.driver import Driver

__all__ = [
    "ENTRY_POINTS",
    "drivers_of",
    "installed_drivers",
    "load_driver",
    "with_driver",
]

ENTRY_POINTS = "structiot.drivers"
# A name is a table in TOML and a part of identifiers: no underscore, which ends it there.
_NAME = re.compile(r"[a-z][a-z0-9]*")
# The sections of the gateway itself, and what a configuration has besides sections.
_RESERVED = {
    *("mqtt", "broker", "gateway", "history", "dashboard", "devices", "links"),
    "systems",
    *dir(BaseModel),
    *dir(type(BaseModel)),
}

_log = logging.getLogger(__name__)


def _topic_driver() -> object:
    # Who links no topics needs none.
    from structiot.gateway.drivers.topics import TopicDriver  # noqa: PLC0415

    return TopicDriver


LoadDriver: TypeAlias = Callable[[], object]


# What no section of its own leads to, and nobody can install.
_OWN: Mapping[str, LoadDriver] = {"mqtt": _topic_driver}


def _is_usable(name: str) -> bool:
    return _NAME.fullmatch(name) is not None and name not in _RESERVED


def _found() -> tuple[dict[str, LoadDriver], list[str]]:
    """Give what is installed, and what is wrong with some of it."""
    found: dict[str, EntryPoint] = {}
    wrong = []
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda one: one.name):
        first = found.setdefault(point.name, point)
        if not _is_usable(point.name):
            wrong.append(f"{point.name!r} ({point.value}) is no name for a system")
            del found[point.name]
        elif first.value != point.value:
            wrong.append(
                f"two systems are called {point.name!r}: "
                f"{first.value} is taken, {point.value} left out"
            )
    return {name: point.load for name, point in found.items()}, wrong


# Read once, at import: it looks into files, which no event loop should wait for.
_by_entry_point, _unsaid = _found()
_by_hand: dict[str, LoadDriver] = {}


def installed_drivers() -> Mapping[str, LoadDriver]:
    """Give what loads the driver class of each system, by the system's name."""
    while _unsaid:
        _log.warning("%s", printable(_unsaid.pop(0)))
    return {**_by_entry_point, **_by_hand}


def load_driver(name: str) -> type[Driver]:
    """Import the driver class of a system.

    Raises:
        ConfigError: There is no such system, or its package cannot be imported, or what
            it has is no driver.
    """
    load = installed_drivers().get(name, _OWN.get(name))
    if load is None:
        known = ", ".join(installed_drivers()) or "none"
        raise ConfigError(f"no driver for {name!r} is installed; there are: {known}")
    # A stranger's package may fail in any way; it costs its own system.
    try:
        driver = called(load)
        fault = called(lambda: _fault_of(driver, name))
    except InternalError as exc:
        message = f"the driver for {name!r} cannot be loaded: {exc}"
        raise ConfigError(message) from exc
    if not isinstance(driver, type) or fault:
        raise ConfigError(fault)
    return driver


def _fault_of(driver: object, name: str) -> str:
    if not (isinstance(driver, type) and hasattr(driver, "section")):
        return f"{printable(repr(driver))} is no driver class for {name!r}"
    if getattr(driver, "system", None) != name:
        shown = printable(repr(driver))
        return f"{shown} is no driver for {name!r}: its `system` is another"
    return ""


def drivers_of(
    config: GatewayConfig, environment: Environment
) -> dict[str, Callable[[], Driver]]:
    """Give what makes the driver of each configured system, by the system's name.

    Raises:
        ConfigError: One of them cannot be loaded.
    """
    return {
        system: partial(load_driver(system), section, environment)
        for system, section in config.systems.items()
    }


@contextmanager
def with_driver(name: str, driver: type[Driver]) -> Generator[None]:
    """Have a driver found by this name for the length of the block, as if installed."""
    if not _is_usable(name):
        message = f"{name!r} is no name for a system: lower-case letters and digits"
        raise ConfigError(message)
    before = _by_hand.get(name)
    _by_hand[name] = lambda: driver
    try:
        yield
    finally:
        if before is None:
            del _by_hand[name]
        else:
            _by_hand[name] = before
