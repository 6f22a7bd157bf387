"""The pages about the device manager name all that iot-manager documents, and what is ours."""

from __future__ import annotations

import re

import pytest

import structiot.manager
from structiot.manager import Manager, ManagerClient
from tests._support.documents import PAGES
from tests._support.sources import ROOT

HOW_TO = ROOT / "docs" / "how_to"
MIGRATION = (HOW_TO / "from_iot_manager.md").read_text("utf-8")
# Of its documentation, and what its later releases have besides.
DOCUMENTED = {
    "Manager": "valid_types ssl_context host connection_port max_workers heartbeat_rate "
    "backlogged_connections logging_id logging_level port logger send_all send_type send "
    "send_all_string send_type_string send_string get_client_data event",
    "events": "on_connect on_message on_connect_<type> on_message_<type>",
    "Client": "address connection_lock data end raise_exception send recv send_string "
    "recv_string get_data heartbeat return_data ConnectionEnd InvalidInfo",
    "Data": "uuid type data get",
    "later": "heartbeat_timeout client_logging_level start DeviceType add_device Message "
    "Packet on_disconnect",
}
EXAMPLES = sorted((ROOT / "examples").glob("5*.py"))


def cells(text: str, column: int) -> str:
    """Give the cells of a column of all tables."""
    rows = re.findall(r"^\|(.*)\|$", text, re.MULTILINE)
    return "\n".join(re.split(r"(?<!\\)\|", row)[column] for row in rows)


@pytest.mark.parametrize("of", DOCUMENTED)
def test_every_documented_name_has_its_line(of: str):
    theirs = cells(MIGRATION, 0)
    missing = [
        name
        for name in DOCUMENTED[of].split()
        if not re.search(rf"(?<![\w]){re.escape(name)}(?!\w)", theirs)
    ]
    assert missing == []


def test_every_release_that_can_be_used_has_its_dialect():
    names = re.findall(r'`"(D\d)"`', MIGRATION)
    assert names == ["D0", "D1", "D2", "D3", "D4"]


@pytest.mark.parametrize("page", ["from_iot_manager.md", "serve_devices.md"])
def test_what_the_pages_call_ours_is_there(page: str):
    text = (HOW_TO / page).read_text("utf-8")
    ours = cells(text, 1) if page == "from_iot_manager.md" else text
    called = re.findall(
        r"(?<!structiot\.)\b(manager|client)\.(?!example\b)([a-z_]+)", ours
    )
    assert len(called) > 10
    owners = {"manager": Manager, "client": ManagerClient}
    # Attributes of each one, which a class does not have.
    own = {"data", "address", "dialect", "addresses", "types"}
    missing = [
        f"{whose}.{name}"
        for whose, name in called
        if not hasattr(owners[whose], name) and name not in own
    ]
    assert missing == []
    for name in re.findall(r"`((?:Client|Manager|Message|Connection|Fate)\w+)`", ours):
        assert hasattr(structiot.manager, name), name


def test_the_examples_are_those_that_the_page_speaks_of():
    page = (HOW_TO / "serve_devices.md").read_text("utf-8")
    numbers = [path.name[:2] for path in EXAMPLES]
    assert numbers == [str(number) for number in range(50, 56)]
    for path in (EXAMPLES[0], EXAMPLES[-1]):
        assert f"examples/{path.name}" in page


def test_the_pages_can_be_found():
    index = (HOW_TO / "index.md").read_text("utf-8")
    readme = (ROOT / "README.md").read_text("utf-8")
    for page in ("serve_devices.md", "from_iot_manager.md"):
        assert HOW_TO / page in PAGES
        assert page in index
        assert page in readme
