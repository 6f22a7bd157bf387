"""The networks that the tests of the building blocks run over."""

from __future__ import annotations

import pytest

from structiot._kit.memory_network import MemoryNetwork
from structiot._kit.network import REAL_NETWORK, Network


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture(params=["real", "memory"])
def any_network(request: pytest.FixtureRequest) -> Network:
    return REAL_NETWORK if request.param == "real" else MemoryNetwork()
