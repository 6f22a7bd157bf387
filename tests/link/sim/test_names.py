"""What `structiot.sim` offers, and what it loads for that."""

from __future__ import annotations

import importlib
import pkgutil
import subprocess
import sys

import pytest

import structiot.sim

HOMES = [
    importlib.import_module(f"structiot.sim.{one.name}")
    for one in pkgutil.iter_modules(structiot.sim.__path__)
]
OURS = "print(*sorted(m for m in sys.modules if m.startswith('structiot')))"


def loaded_by(program: str) -> set[str]:
    """Give the modules of ours that a program loads in a process of its own."""
    run = subprocess.run(
        [sys.executable, "-c", f"import sys\n{program}\n{OURS}"],
        check=True,
        capture_output=True,
        text=True,
    )
    return set(run.stdout.split())


def test_every_name_has_one_home():
    names = [name for home in HOMES for name in home.__all__]
    assert dir(structiot.sim) == sorted(names)
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("name", dir(structiot.sim))
def test_every_name_is_the_object_of_its_home(name):
    home = next(home for home in HOMES if name in home.__all__)
    assert getattr(structiot.sim, name) is getattr(home, name)


def test_importing_it_loads_no_simulator_and_no_system():
    assert loaded_by("import structiot.sim") == {
        "structiot",
        "structiot._kit",
        "structiot._kit.lazy",
        "structiot.errors",
        "structiot.sim",
    }


def test_what_simulators_share_loads_no_system():
    loaded = loaded_by("from structiot.sim import FaultProxy, SimHost, fault_proxy")
    assert not {name for name in loaded if name.startswith("structiot.maxsmart")}
    assert "structiot.sim.maxsmart.simulator" not in loaded


def test_a_system_of_which_something_is_asked_is_loaded():
    assert "structiot.maxsmart.wire.codec" in loaded_by(
        "from structiot.sim import sim_maxsmart"
    )
