"""For tests of what is built on structiot: a pytest plugin, and what its fixtures need.

The plugin is there as soon as structiot is installed, see `structiot.testing.plugin`;
the names below are for imports. pytest loads this package in every run, whoever's tests
they are, so it loads nothing before it is used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from structiot._kit.net.memory import MemoryNetwork
    from structiot.testing.drivers.bench import DriverBench, open_driver_bench
    from structiot.testing.drivers.conformance import DriverConformance
    from structiot.testing.drivers.registry import (
        FakeManagedDevice,
        FakeRegistry,
        running_driver,
    )
    from structiot.testing.sweep import SweepFailed, cancel_sweep

__all__ = [
    # For any test
    "MemoryNetwork",
    "SweepFailed",
    "cancel_sweep",
    # For drivers
    "DriverBench",
    "DriverConformance",
    "FakeManagedDevice",
    "FakeRegistry",
    "open_driver_bench",
    "running_driver",
]

_HOME_OF = {
    "DriverBench": "structiot.testing.drivers.bench",
    "DriverConformance": "structiot.testing.drivers.conformance",
    "FakeManagedDevice": "structiot.testing.drivers.registry",
    "FakeRegistry": "structiot.testing.drivers.registry",
    "open_driver_bench": "structiot.testing.drivers.bench",
    "running_driver": "structiot.testing.drivers.registry",
    "MemoryNetwork": "structiot._kit.net.memory",
    "SweepFailed": "structiot.testing.sweep",
    "cancel_sweep": "structiot.testing.sweep",
}


# Hidden from type checkers: to them, a module with `__getattr__` has every name.
if not TYPE_CHECKING:

    def __getattr__(name: str) -> object:
        home = _HOME_OF.get(name)
        if home is None:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        value = getattr(importlib.import_module(home), name)
        globals()[name] = value
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
