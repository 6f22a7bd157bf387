"""The simulated devices of every system that has some, and the sections that lead to them."""

from __future__ import annotations

import inspect
import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, TypeAlias

import asyncclick as click

from structiot._kit.environment import Environment
from structiot.cli.demo.house import House
from structiot.errors import ConfigError
from structiot.gateway.drivers import installed_drivers, load_driver

__all__ = ["simulated_systems", "simulations"]

Section: TypeAlias = Mapping[str, Any]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def simulated_systems(
    house: House, environment: Environment
) -> AsyncGenerator[dict[str, Section]]:
    """Simulate devices of every installed system for the length of the block.

    A system whose devices do not start is left out, which is said.

    Args:
        house: How many of each system, and how long a day takes.
        environment: Where they are.

    Yields:
        The section of each system, by the system's name.

    Raises:
        click.ClickException: No system has any.
    """
    sections: dict[str, Section] = {}
    async with AsyncExitStack() as stack:
        for system, devices in simulations(house, environment):
            try:
                sections[system] = await stack.enter_async_context(devices)
            # A stranger's package may fail in any way; it costs its own system.
            except Exception as exc:  # noqa: BLE001
                _log.warning("no simulated devices of %s: %s", system, exc)
        if not sections:
            raise click.ClickException("no system has devices to be simulated")
        yield sections


def simulations(
    house: House, environment: Environment
) -> Iterator[tuple[str, AbstractAsyncContextManager[Section]]]:
    """Give what starts the simulated devices of each installed system that has some."""
    for system in installed_drivers():
        try:
            simulated = getattr(load_driver(system), "simulated", None)
        except ConfigError as exc:
            _log.warning("no simulated devices of %s: %s", system, exc)
            continue
        if simulated is not None:
            has_days = "day_s" in inspect.signature(simulated).parameters
            days = {"day_s": house.day_s} if has_days else {}
            count = house.shares.get(system)
            yield system, simulated(environment, count=count, **days)
