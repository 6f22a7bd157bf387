"""The pages about the gateway say what the gateway does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from structiot.gateway import GatewayConfig, load_config
from structiot.gateway.config import BrokerSection, GatewaySection, MqttSection
from structiot.gateway.drivers import installed_drivers
from structiot.gateway.drivers.maxsmart import MaxSmartDeviceSection, MaxSmartSection
from structiot.gateway.drivers.meross import (
    MerossDeviceSection,
    MerossLimitsSection,
    MerossSection,
)
from structiot.gateway.entities.topics import Topics

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
SECTIONS: dict[str, type[BaseModel]] = {
    "[mqtt]": MqttSection,
    "[broker]": BrokerSection,
    "[gateway]": GatewaySection,
    "[maxsmart]": MaxSmartSection,
    "[[maxsmart.devices]]": MaxSmartDeviceSection,
    "[meross]": MerossSection,
    "[meross.rate_limiter]": MerossLimitsSection,
    "[[meross.devices]]": MerossDeviceSection,
}
_ROW = re.compile(r"^\| `(\w+)` \| (.*) \| ?(.*?) ?\|$", re.MULTILINE)


def rows_of(section: str) -> dict[str, tuple[str, str]]:
    """Give what the page says of each key of a section: its meaning and default."""
    text = (REFERENCE / "configuration.md").read_text("utf-8")
    _, _, rest = text.partition(f"## `{section}`\n")
    table, _, _ = rest.partition("\n## ")
    return {key: (meaning, default) for key, meaning, default in _ROW.findall(table)}


@pytest.mark.parametrize(("section", "model"), SECTIONS.items(), ids=str)
def test_every_key_is_described_with_its_default(section: str, model: type[BaseModel]):
    rows = rows_of(section)
    assert list(rows) == list(model.model_fields)
    for key, info in model.model_fields.items():
        _, default = rows[key]
        if info.default is PydanticUndefined or info.default in (None, ()):
            continue
        plain = json.dumps(info.default).strip('"')
        assert default == f"`{plain}`", key


@pytest.mark.parametrize(("section", "model"), SECTIONS.items(), ids=str)
def test_the_limits_of_figures_are_those_of_the_page(section, model):
    for key, (meaning, _) in rows_of(section).items():
        limits = re.search(r"([\d.]+) to ([\d.]+)$", meaning)
        if limits is None:
            continue
        for limit, beyond in ((limits[1], -0.01), (limits[2], 1)):
            good, bad = float(limit), float(limit) + beyond
            kind = model.model_fields[key].annotation
            required = {"host": "strip"} if "devices" in section else {}
            model(**required, **{key: int(good) if kind is int else good})
            with pytest.raises(ValueError, match=key):
                model(**required, **{key: int(bad) if kind is int else bad})


def test_every_section_is_described():
    names = [*GatewayConfig.model_fields, *installed_drivers()]
    assert {f"[{name}]" for name in names} <= set(SECTIONS)


def test_the_topics_of_the_page_are_those_of_the_gateway():
    text = (REFERENCE / "topics.md").read_text("utf-8")
    topics = Topics(base="structiot", discovery_prefix="homeassistant")
    announced = topics.discovery("device").replace("/device/config", "/<device>/config")
    for topic in (
        topics.gateway_availability,
        topics.availability("<device>"),
        topics.state("<device>", "<entity>"),
        topics.command("<device>", "<entity>"),
        topics.error("<device>"),
        announced.replace("<device>", "structiot_<system>_<id>"),
        topics.birth,
    ):
        assert f"| `{topic}` |" in text


def test_the_example_configuration_is_accepted():
    config = load_config(ROOT / "examples" / "structiot.toml")
    assert config.maxsmart is not None
