"""For tests of what is built on structiot: a pytest plugin, and what its fixtures need.

The plugin is there as soon as structiot is installed, see `structiot.testing.plugin`;
the names below are for imports. pytest loads this package in every run, whoever's tests
they are, so it loads nothing before it is used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
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
