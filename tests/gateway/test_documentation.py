"""The pages about the gateway say what the gateway does."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from structiot.gateway import GatewayConfig, load_config
from structiot.gateway.config import (
    BrokerSection,
    DashboardSection,
    GatewaySection,
    HistorySection,
    InfluxSection,
    MqttSection,
)
from structiot.gateway.config.links import LinkSection
from structiot.gateway.config.places import DeviceSection, EntitySection
from structiot.gateway.drivers import installed_drivers
from structiot.gateway.drivers.connector import ConnectorSection
from structiot.gateway.drivers.manager import (
    ManagerBinarySensorSection,
    ManagerButtonSection,
    ManagerEventSection,
    ManagerListenerSection,
    ManagerLockSection,
    ManagerSection,
    ManagerSensorSection,
    ManagerSirenSection,
    ManagerSwitchSection,
    ManagerTextSection,
    ManagerTypeSection,
    ManagerUpdateSection,
)
from structiot.gateway.drivers.manager.entities import ManagerEntitySection
from structiot.gateway.drivers.maxsmart import MaxSmartDeviceSection, MaxSmartSection
from structiot.gateway.drivers.meross import (
    MerossDeviceSection,
    MerossLimitsSection,
    MerossSection,
)
from structiot.gateway.entities.orders import entity_order
from structiot.gateway.entities.topics import REPORTS, Topics
from tests.gateway.asked_house import asked
from tests.gateway.configs import secret_file

ROOT = Path(__file__).resolve().parents[2]
REFERENCE = ROOT / "docs" / "reference"
SECTIONS: dict[str, type[BaseModel]] = {
    "[mqtt]": MqttSection,
    "[broker]": BrokerSection,
    "[gateway]": GatewaySection,
    "[dashboard]": DashboardSection,
    "[devices]": DeviceSection,
    "[devices.NAME.entities.KEY]": EntitySection,
    "[history]": HistorySection,
    "[history.influxdb]": InfluxSection,
    "[maxsmart]": MaxSmartSection,
    "[[maxsmart.devices]]": MaxSmartDeviceSection,
    "[meross]": MerossSection,
    "[meross.rate_limiter]": MerossLimitsSection,
    "[[meross.devices]]": MerossDeviceSection,
    "[manager]": ManagerSection,
    "[[manager.listeners]]": ManagerListenerSection,
    "[manager.types.NAME]": ManagerTypeSection,
    "[[manager.types.NAME.KIND]]": ManagerEntitySection,
    "[[manager.types.NAME.sensors]]": ManagerSensorSection,
    "[[manager.types.NAME.binary_sensors]]": ManagerBinarySensorSection,
    "[[manager.types.NAME.switches]]": ManagerSwitchSection,
    "[[manager.types.NAME.locks]]": ManagerLockSection,
    "[[manager.types.NAME.sirens]]": ManagerSirenSection,
    "[[manager.types.NAME.buttons]]": ManagerButtonSection,
    "[[manager.types.NAME.texts]]": ManagerTextSection,
    "[[manager.types.NAME.updates]]": ManagerUpdateSection,
    "[[manager.types.NAME.events]]": ManagerEventSection,
    "[connector]": ConnectorSection,
    "[[links]]": LinkSection,
}
_OF_ALL_ENTITIES = set(ManagerEntitySection.model_fields)
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
    fields = dict(model.model_fields)
    if model is not ManagerEntitySection and issubclass(model, ManagerEntitySection):
        # What all of them have is described once.
        fields = {k: v for k, v in fields.items() if k not in _OF_ALL_ENTITIES}
    fields = {info.alias or key: info for key, info in fields.items()}
    assert list(rows) == list(fields)
    for key, info in fields.items():
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
            if "influxdb" in section:
                required = {"url": "http://influx"}
            model(**required, **{key: int(good) if kind is int else good})
            with pytest.raises(ValueError, match=key):
                model(**required, **{key: int(bad) if kind is int else bad})


def test_every_section_is_described():
    names = [*GatewayConfig.model_fields, *installed_drivers()]
    assert {f"[{name}]" for name in names} <= {
        f"[{one.strip('[]')}]" for one in SECTIONS
    }


def test_the_topics_of_the_page_are_those_of_the_gateway():
    text = (REFERENCE / "topics.md").read_text("utf-8")
    topics = Topics(base="structiot", discovery_prefix="homeassistant")
    announced = topics.discovery("device").replace("/device/config", "/<device>/config")
    known = [
        topics.gateway_availability,
        *map(topics.report, REPORTS),
        f"{topics.report('request')}/<what>",
        topics.response("<what>"),
        topics.driver("<system>"),
        topics.availability("<device>"),
        topics.device_state("<device>"),
        topics.device_command("<device>"),
        topics.result("<device>", ""),
        topics.state("<device>", "<entity>"),
        topics.command("<device>", "<entity>"),
        topics.result("<device>", "<entity>"),
        topics.event("<device>", "<entity>"),
        topics.error("<device>"),
        announced.replace("<device>", "structiot_<system>_<id>"),
        topics.birth,
    ]
    table, _, _ = text.partition("## States and commands")
    assert re.findall(r"^\| `(.*?)` \|", table, re.MULTILINE) == known


def member_rows(heading: str) -> list[str]:
    """Give what the tables of a part of the page of topics name first in each row."""
    text = (REFERENCE / "topics.md").read_text("utf-8")
    _, _, rest = text.partition(f"## {heading}\n")
    part, _, _ = rest.partition("\n## ")
    first = re.findall(r"^\| (`.*?`) \|", part, re.MULTILINE)
    return [name for cell in first for name in re.findall(r"`(\w[\w/]*)`", cell)]


@pytest.mark.virtual_time
async def test_the_gateway_is_what_the_page_says_of_it():
    async with asked() as (_, asker):
        await asker.say("gateway/request/health", "")
        await asker.say("gateway/request/pong", "")
        (health,) = asker.told("gateway/response/health")
        (refused,) = asker.told("gateway/response/pong")
        members = list(health["data"])
        requests = refused["error"].rpartition("there are ")[2].split(", ")
        rows = member_rows("The gateway itself")
        assert rows == [*members, *requests]


def test_a_command_has_the_members_of_the_page():
    rows = member_rows("Commands that are answered")
    order = entity_order(b'{"value": 1, "no": 1}')
    assert order is not None
    said = order.fault.partition(" has ")[2].partition(", and no")[0].split(", ")
    assert rows == [*said, "status", "done", "refused", "expired"]


def test_the_example_configuration_is_accepted():
    config = load_config(ROOT / "examples" / "structiot.toml")
    assert config.maxsmart is not None


def test_what_the_example_leaves_to_be_wanted_is_accepted_too(tmp_path):
    text = (ROOT / "examples" / "structiot.toml").read_text("utf-8")
    _, heading, rest = text.partition("# [manager]\n")
    uncommented = re.sub("^# ?", "", heading + rest, flags=re.MULTILINE)
    (tmp_path / "structiot.toml").write_text(uncommented, "utf-8")
    assert load_config(tmp_path / "structiot.toml").manager.types.keys() == {"lamp"}


def test_the_links_of_the_pages_are_accepted(tmp_path):
    for page in ("reference/links.md", "how_to/offer_devices_to_a_platform.md"):
        text = (ROOT / "docs" / page).read_text("utf-8")
        (tmp_path / "sepl_password").write_text("word\n", "utf-8")
        (tmp_path / "sepl_password").chmod(0o600)
        blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
        assert blocks
        for block in blocks:
            head = "" if "[connector]" in block else '[connector]\nconf = "x"\n'
            (tmp_path / "structiot.toml").write_text(head + block, "utf-8")
            assert load_config(tmp_path / "structiot.toml").links


def test_the_configurations_of_the_guide_are_accepted(tmp_path):
    text = (ROOT / "docs" / "how_to" / "run_the_gateway.md").read_text("utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", text, re.DOTALL)
    assert len(blocks) >= 3
    for block in blocks:
        for name in re.findall(r'_file = "([\w.]+)"', block):
            line = '1862cfe1-5dab-4d8e-a946-50d6728f830f = "a secret"\n'
            secret_file(tmp_path / name, line)
        (tmp_path / "structiot.toml").write_text(block, "utf-8")
        assert load_config(tmp_path / "structiot.toml").systems
