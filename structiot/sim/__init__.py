"""Simulators: devices and services that behave, and misbehave when told to.

One for each system, for tests, demonstrations and development without hardware. All
of them take `environment=`, so that they run on real sockets or in memory under virtual
time; and all have `faults`, with the vocabulary of `Faults`. What they are made of is in
`shared`, and serves for simulators of one's own.

A system is imported when one of its names is first asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.sim.connector import *  # noqa: F403
    from structiot.sim.fault_texts import *  # noqa: F403
    from structiot.sim.manager import *  # noqa: F403
    from structiot.sim.maxsmart import *  # noqa: F403
    from structiot.sim.meross import *  # noqa: F403
    from structiot.sim.shared import *  # noqa: F403
