"""The simulated devices of every system that has some, and the sections that lead to them."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from typing import Any, TypeAlias

import asyncclick as click

from structiot._kit.environment import SYSTEM_ENVIRONMENT
from structiot.errors import ConfigError
from structiot.gateway.drivers import installed_drivers, load_driver

__all__ = ["simulated_systems", "simulations"]

Section: TypeAlias = Mapping[str, Any]

_log = logging.getLogger(__name__)


@asynccontextmanager
async def simulated_systems(
    count: int | None = None,
) -> AsyncGenerator[dict[str, Section]]:
    """Simulate devices of every installed system for the length of the block.

    A system whose devices do not start is left out, which is said.

    Args:
        count: How many of each system; its own choice if None.

    Yields:
        The section of each system, by the system's name.

    Raises:
        click.ClickException: No system has any.
    """
    sections: dict[str, Section] = {}
    async with AsyncExitStack() as stack:
        for system, devices in simulations(count):
            try:
                sections[system] = await stack.enter_async_context(devices)
            # A stranger's package may fail in any way; it costs its own system.
            except Exception as exc:  # noqa: BLE001
                _log.warning("no simulated devices of %s: %s", system, exc)
        if not sections:
            raise click.ClickException("no system has devices to be simulated")
        yield sections


def simulations(
    count: int | None,
) -> Iterator[tuple[str, AbstractAsyncContextManager[Section]]]:
    """Give what starts the simulated devices of each installed system that has some."""
    for system in installed_drivers():
        try:
            simulated = getattr(load_driver(system), "simulated", None)
        except ConfigError as exc:
            _log.warning("no simulated devices of %s: %s", system, exc)
            continue
        if simulated is not None:
            yield system, simulated(SYSTEM_ENVIRONMENT, count=count)
