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
    from structiot.testing.sweep import SweepFailed, cancel_sweep

__all__ = ["MemoryNetwork", "SweepFailed", "cancel_sweep"]

_HOME_OF = {
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
