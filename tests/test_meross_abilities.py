"""The page of Meross's abilities has all that structiot and its simulators know."""

from __future__ import annotations

import re
from collections import Counter

from structiot.meross.features.feature import Feature
from structiot.meross.features.hub import Hub
from structiot.meross.features.registry import FEATURES, THERMOSTATS
from structiot.sim.meross import MEROSS_MODELS
from tests._support.sources import REFERENCE

PAGE = REFERENCE / "meross_abilities.md"
ROW = re.compile(r"^\| A\d+ \| `([\w.]+)` \|", re.MULTILINE)


def listed() -> list[str]:
    return [f"Appliance.{name}" for name in ROW.findall(PAGE.read_text("utf-8"))]


def test_each_ability_has_one_row():
    assert {name: n for name, n in Counter(listed()).items() if n > 1} == {}


def test_no_ability_of_the_registry_is_missing():
    features: tuple[type[Feature], ...] = (*FEATURES, *THERMOSTATS, Hub)
    known = {name for one in features for name in (*one.abilities, *one.namespaces)}
    assert len(known) > 60
    assert sorted(known - set(listed())) == []


def test_no_ability_of_a_simulated_device_is_missing():
    simulated = {name for one in MEROSS_MODELS.values() for name in one.abilities}
    assert sorted(simulated - set(listed())) == []
