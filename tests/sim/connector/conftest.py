"""The platform that the tests of the simulator speak to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from structiot import Environment
from structiot.sim import SeplPlatformSim, sim_sepl_platform


@pytest.fixture
async def platform(environment: Environment) -> AsyncIterator[SeplPlatformSim]:
    async with sim_sepl_platform(environment=environment) as one:
        yield one
