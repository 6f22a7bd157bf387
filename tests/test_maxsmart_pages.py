"""The pages about MaxSmart say what is true: devices, firmware, names, examples."""

from __future__ import annotations

import inspect
import re
import tomllib

import pytest

from structiot.errors import DeviceReplaced, UnsupportedDevice
from structiot.maxsmart import (
    CAPABILITIES,
    DiscoveredMaxSmart,
    MaxSmartRefused,
    MaxSmartStrip,
    StripInfo,
    SwitchStuck,
    discover_maxsmart,
    maxsmart_device,
)
from structiot.maxsmart.wire.capabilities import Capabilities
from structiot.sim import FAMILIES
from tests._support.sources import REFERENCE, ROOT

HOW_TO = ROOT / "docs" / "how_to" / "from_maxsmart.md"
SCRIPTS = {
    "discovery": "20_maxsmart_discovery",
    "identification": "21_maxsmart_identification",
    "port names": "22_maxsmart_port_names",
    "states": "23_maxsmart_states",
    "consumption": "24_maxsmart_consumption",
    "polling": "25_maxsmart_polling",
    "rename": "26_maxsmart_rename",
    "timestamps": "27_maxsmart_clock",
    "error tests": "28_maxsmart_errors",
    "full test": "29_maxsmart_tour",
    "plots": "30_maxsmart_statistics",
}
WORDS = {"yes": True, "no": False, "?": None}


def rows_after(text: str, heading: str) -> list[list[str]]:
    """Give the cells of the first table after a heading, without its head."""
    _, found, rest = text.partition(heading)
    assert found, f"no {heading!r}"
    table = re.search(r"(?:^\|.*\n)+", rest, re.MULTILINE)
    assert table is not None
    lines = table[0].splitlines()
    cells = [[c.strip() for c in line.strip("|").split("|")] for line in lines]
    return [cells[0], *cells[2:]]


# ---------------------------------------------------------------- what was promised


def test_every_original_script_has_its_example():
    for example in SCRIPTS.values():
        assert (ROOT / "examples" / f"{example}.py").is_file()


def test_the_extra_for_pictures_is_there_and_optional():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    extras = project["optional-dependencies"]
    assert any(wanted.startswith("matplotlib") for wanted in extras["plots"])
    assert "plots" in extras["all"][0]
    assert not any("matplotlib" in wanted for wanted in project["dependencies"])


@pytest.mark.parametrize(
    ("error", "data"),
    [
        (
            MaxSmartRefused("no", host="h", command="SetPort", code=400),
            {"host": "h", "command": "SetPort", "code": 400},
        ),
        (
            SwitchStuck("stuck", host="h", ports=(1, 2), is_on=True),
            {"host": "h", "ports": (1, 2), "is_on": True},
        ),
        (
            DeviceReplaced("other", host="h", expected="a", found="b"),
            {"host": "h", "expected": "a", "found": "b"},
        ),
        (
            UnsupportedDevice("no", model="m", firmware="2.11", supported=("1.30",)),
            {"model": "m", "firmware": "2.11", "supported": ("1.30",)},
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_errors_tell_as_data_what_their_messages_say(error: Exception, data: object):
    assert isinstance(data, dict)
    assert {name: getattr(error, name) for name in data} == data


# ---------------------------------------------------------------- devices, firmware


def test_every_simulated_family_is_in_the_table_of_devices():
    text = (REFERENCE / "maxsmart.md").read_text("utf-8")
    (_, *rows) = rows_after(text, "### Devices")
    assert {tuple(row) for row in rows} == {
        (family.model, str(family.ports), family.firmware, f"`{name}`")
        for name, family in FAMILIES.items()
    }


def test_the_table_of_capabilities_is_what_the_code_says():
    text = (REFERENCE / "maxsmart.md").read_text("utf-8")
    (head, *rows) = rows_after(text, "### Which firmware can what")
    by_name = {row[0].split('"')[1]: row[1:] for row in rows if row[0].startswith('`"')}
    assert set(by_name) == set(CAPABILITIES)
    transports = next(row[1:] for row in rows if row[0] == "spoken to by")
    for column, versions in enumerate(head[1:]):
        is_v3 = "V3" in transports[column]
        for firmware in re.findall(r"\d\.\d\d", versions):
            can = Capabilities(
                transport="udp_v3" if is_v3 else "http", has_port_names=None
            )
            for name in CAPABILITIES:
                word = by_name[name][column].partition(",")[0]
                assert can.of(name, firmware) is WORDS[word], (firmware, name)


# ---------------------------------------------------------------- names side by side


def named_on_page(head: str) -> set[str]:
    return set(re.findall(rf"`(?:\(await )?{head}(\w+)", HOW_TO.read_text("utf-8")))


def test_every_name_that_the_guide_gives_exists():
    here = HOW_TO.read_text("utf-8")
    strips = named_on_page(r"strip\.")
    old = {"ip", "sn", "name", "version", "port_names", "port_count"}
    old |= {"strip_name", "_watt_format", "session"}
    assert {name for name in strips - old if not hasattr(MaxSmartStrip, name)} == set()
    fields = set(re.findall(r"`strip\.info\.(\w+)`", here))
    assert fields
    assert fields <= set(StripInfo.__dataclass_fields__)
    found = named_on_page(r"device\.")
    assert found <= set(DiscoveredMaxSmart.__dataclass_fields__)
    options = set(re.findall(r"`(\w+_s|burst_polls|watt_unit|rounds|identify)=", here))
    known = {
        *inspect.signature(discover_maxsmart).parameters,
        *inspect.signature(maxsmart_device).parameters,
    }
    assert options <= known
