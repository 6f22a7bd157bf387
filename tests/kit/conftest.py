"""The networks that the tests of the building blocks run over."""

from __future__ import annotations

import functools

import pytest

from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.net.network import REAL_NETWORK, Network
from tests.kit.ends import Ends, connected


@pytest.fixture
def network() -> MemoryNetwork:
    return MemoryNetwork()


@pytest.fixture(params=["real", "memory"])
def any_network(request: pytest.FixtureRequest) -> Network:
    return REAL_NETWORK if request.param == "real" else MemoryNetwork()


@pytest.fixture(params=["sockets", "sockets, the accepted one first", "memory"])
def ends(request: pytest.FixtureRequest) -> Ends:
    """Makes a connection; what the first end is asked to do differs by its kind."""
    if request.param == "memory":
        return functools.partial(connected, MemoryNetwork())
    is_swapped = request.param != "sockets"
    return functools.partial(connected, REAL_NETWORK, is_swapped=is_swapped)
