"""The pages about the connector name all that connector-client documents, and what is ours."""

from __future__ import annotations

import re

import pytest

import structiot.connector
from structiot.connector import Command, Connector, http
from structiot.gateway import load_config
from tests._support.documents import PAGES, blocks
from tests._support.sources import ROOT

HOW_TO = ROOT / "docs" / "how_to"
MIGRATION = (HOW_TO / "from_connector_client.md").read_text("utf-8")
GUIDE = (HOW_TO / "offer_devices_to_a_platform.md").read_text("utf-8")
DOCUMENTED = {
    "Client": "Client con_callbck discon_callbck register receive response event add update "
    "disconnect delete timeout callback block",
    "Message": "device_url service_url protocol_parts status content_type payload",
    "Device": "Device id type name tags hash addTag changeTag removeTag",
    "managers": "DeviceManagerInterface DevicePool DeviceStore",
    "conf": "connector.conf encryption host port user password gid LOGGER level rotating_log "
    "rotating_log_backup_count CONNECTOR_CLIENT_LOG_LEVEL",
    "http": "http_lib get post put delete header status body",
    "absent": "Singleton SimpleSingleton connector_client_log_handler callbacks block=False "
    "blocking",
}
EXAMPLES = sorted((ROOT / "examples").glob("6*.py"))


def cells(text: str, column: int) -> str:
    """Give the cells of a column of all tables."""
    rows = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    return "\n".join(row.split("|")[column] for row in rows)


@pytest.mark.parametrize("of", DOCUMENTED)
def test_every_documented_name_has_its_line(of: str):
    theirs = cells(MIGRATION, 0)
    missing = [
        name
        for name in DOCUMENTED[of].split()
        if not re.search(rf"(?<!\w){re.escape(name)}(?!\w)", theirs)
    ]
    assert missing == []


@pytest.mark.parametrize("text", [MIGRATION, GUIDE], ids=["migration", "guide"])
def test_what_the_pages_call_ours_is_there(text: str):
    ours = cells(text, 1) if text is MIGRATION else text
    owners = {"connector": Connector, "command": Command, "http": http}
    called = re.findall(r"\b(connector|command|http)\.(?!conf\b|md\b)([a-z_]+)", ours)
    assert len(called) > 8
    # Attributes of each command, which the class does not have.
    own = {"data", "device", "device_id", "metadata", "protocol_parts", "service"}
    missing = [
        f"{whose}.{name}"
        for whose, name in called
        if not hasattr(owners[whose], name) and name not in own
    ]
    assert missing == []
    for name in re.findall(r"`((?:Device|Connector|Platform)[A-Z]\w+)`", ours):
        assert hasattr(structiot.connector, name), name


def test_the_section_of_the_guide_is_accepted(tmp_path):
    (block,) = (one for one in blocks("toml") if one.path.name.startswith("offer_"))
    (tmp_path / "sepl_password").write_text("a word")
    (tmp_path / "sepl_password").chmod(0o600)
    (tmp_path / "structiot.toml").write_text(block.text)
    config = load_config(tmp_path / "structiot.toml")
    assert [one.type for one in config.links] == ["iot#6b7a2f9e"]


def test_the_examples_are_those_that_the_page_speaks_of():
    numbers = [path.name[:2] for path in EXAMPLES]
    assert numbers == [str(number) for number in range(60, 65)]
    for path in (EXAMPLES[0], EXAMPLES[-1]):
        assert f"examples/{path.name}" in GUIDE


def test_the_pages_can_be_found():
    index = (HOW_TO / "index.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in ("offer_devices_to_a_platform.md", "from_connector_client.md"):
        assert HOW_TO / page in PAGES
        assert page in index
        assert page in readme
