"""The pages about Meross name what there is: methods, entities, examples."""

from __future__ import annotations

import re
from pathlib import Path

import anyio
import pytest

from structiot import Environment, open_meross_lan
from structiot.meross import Meross, MerossDevice
from structiot.sim import MEROSS_MODELS, sim_meross_device
from structiot.testing import MemoryNetwork
from tests._support.sources import ROOT

HOW_TO = ROOT / "docs" / "how_to"
PAGES = [HOW_TO / "control_meross_devices.md", HOW_TO / "from_meross_iot.md"]
# They are set when an account is made.
FIELDS = {"stats", "budget"}
DEVICES = "device|plug|lamp|hub|door|valve|strip|thermostat"


def ours(page: Path) -> str:
    """Leave out what is said of the other package: programs, first columns of tables."""
    text = page.read_text("utf-8")
    if "| meross_iot |" not in text:
        return text
    text = re.sub(r"<!-- fragment.*?\n```\n", "", text, flags=re.DOTALL)
    return re.sub(r"^\|[^|]*\|", "|", text, flags=re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_name_that_a_page_gives_exists(page: Path):
    accounts = set(re.findall(r"\bmeross\.(\w+)", ours(page))) - {"json", "md", "com"}
    devices = set(re.findall(rf"\b(?:{DEVICES})\.(\w+)", ours(page)))
    assert accounts
    assert {name for name in accounts - FIELDS if not hasattr(Meross, name)} == set()
    assert devices
    assert {name for name in devices if not hasattr(MerossDevice, name)} == set()


@pytest.fixture
async def keys(virtual_time: object) -> set[str]:
    """Give the keys of all entities that any simulated device has."""
    found: set[str] = set()
    for model in MEROSS_MODELS:
        place = Environment(network=MemoryNetwork())
        host = "192.168.1.60"
        async with (
            sim_meross_device(host, model=model, environment=place) as sim,
            open_meross_lan(host, key=sim.key, environment=place) as device,
            device.events(),
        ):
            await anyio.sleep(10)
            for one in (device, *device.subdevices.values()):
                found |= {entity.key for entity in one.entities}
    return found


async def test_every_entity_that_a_page_names_exists(keys: set[str]):
    for page in PAGES:
        named = set(re.findall(r"(?:command\(|states\[|, \[)\"(\w+)\"", ours(page)))
        assert len(named) > 5
        assert named - keys == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_every_example_that_a_page_names_is_there(page: Path):
    paths = re.findall(r"examples/[\w/]+\.py", page.read_text("utf-8"))
    assert paths
    assert [path for path in paths if not (ROOT / path).is_file()] == []


def test_there_is_an_example_for_each_number_from_40_to_47():
    numbers = [path.name[:2] for path in (ROOT / "examples").glob("4?_meross_*.py")]
    assert sorted(numbers) == [str(number) for number in range(40, 48)]
