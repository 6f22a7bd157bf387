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

from structiot.sim import sim_maxsmart

__all__ = ["simulated_systems", "simulations"]

Section: TypeAlias = Mapping[str, Any]

_NAMES = ("Kitchen", "Workshop", "Office", "Garage", "Cellar", "Attic")
_FAMILIES = ("mh_strip_130", "mh_strip_211")

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
    """Give what starts the simulated devices of each system that has some."""
    yield "maxsmart", _strips(count or 2)


@asynccontextmanager
async def _strips(count: int) -> AsyncGenerator[Section]:
    async with AsyncExitStack() as stack:
        sims = [
            await stack.enter_async_context(
                sim_maxsmart(
                    "127.0.0.1",
                    family=_FAMILIES[index % len(_FAMILIES)],
                    name=name,
                    http_port=0,
                    udp_port=0,
                    seed=index,
                )
            )
            for index, name in enumerate(_NAMES[:count])
        ]
        yield {
            "discover": False,
            "poll_s": 1.0,
            "devices": [
                {
                    "host": sim.host,
                    "name": sim.name,
                    "http_port": sim.http_port,
                    "udp_port": sim.udp_port,
                }
                for sim in sims
            ],
        }
