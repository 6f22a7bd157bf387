"""What a gateway is given: looked at first, and refused by saying what to write."""

from __future__ import annotations

import pytest

from structiot import Environment
from structiot.errors import UsageError
from structiot.gateway import InvalidConfig, load_config, open_gateway
from structiot.testing import MemoryNetwork
from tests.gateway.configs import written

pytestmark = pytest.mark.virtual_time

SETTINGS = {"gateway": {"id": "attic"}}


def memory() -> Environment:
    return Environment(network=MemoryNetwork())


async def test_settings_are_taken_in_each_form_in_which_they_come(tmp_path):
    file = written(tmp_path, "[gateway]\nid = 'attic'")
    for config in (SETTINGS, file, str(file), load_config(SETTINGS)):
        async with open_gateway(config, environment=memory()) as gateway:
            assert gateway.config.gateway.id == "attic"
            await gateway.reload({"gateway": {"id": "attic", "command_s": 3.0}})
            assert gateway.config.gateway.command_s == 3.0


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"config": 5}, "config is .*, not int; write the path of a TOML file"),
        ({"config": None}, "config is .*, not None; write the path of a TOML file"),
        ({"environment": "x"}, "environment is Environment, not str"),
        ({"state_file": 5}, "state_file is .*, not int"),
    ],
)
async def test_what_is_something_else_is_refused_by_name(given, said):
    with pytest.raises(UsageError, match=said):
        async with open_gateway(**{"config": SETTINGS, **given}):
            pass


async def test_a_reload_refuses_the_same_and_changes_nothing():
    async with open_gateway(SETTINGS, environment=memory()) as gateway:
        before = gateway.config
        with pytest.raises(UsageError, match="config is"):
            await gateway.reload(5)  # type: ignore[arg-type]
        with pytest.raises(InvalidConfig, match="unknown key"):
            await gateway.reload({"gateway": {"ID": "attic"}})
        assert gateway.config is before


@pytest.mark.parametrize("source", [5, None, b"structiot.toml", ["structiot.toml"]])
def test_load_config_says_what_it_takes(source):
    with pytest.raises(UsageError, match=r"source is .*; write the path of a TOML"):
        load_config(source)


@pytest.mark.parametrize("password", ["s3cret", "s3@cret", "s3:cret"])
def test_settings_that_are_printed_show_no_password(password):
    config = load_config({"mqtt": {"uri": f"mqtt://ann:{password}@h"}})
    for shown in (str(config), repr(config), str(config.mqtt), f"{config.mqtt!r}"):
        assert "cret" not in shown
        assert "ann" not in shown
        assert "mqtt://***@h" in shown


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"mqtt": {"username": 5}}, "username must be a str, not a number"),
        ({"mqtt": {"discovery": "yes"}}, "discovery must be True or False, not a str"),
        ({"mqtt": {"discovery": None}}, "discovery must be True or False, not None"),
        ({"mqtt": "h"}, "mqtt must be a mapping, not a str"),
        ({"maxsmart": {"broadcast": "h"}}, "broadcast must be a list, not a str"),
        ({"maxsmart": {"devices": {}}}, "devices must be a list, not a mapping"),
        ({"maxsmart": {"poll_s": True}}, "poll_s must be a number, not True"),
    ],
)
def test_what_a_program_gives_is_told_in_its_own_words(settings, said):
    with pytest.raises(InvalidConfig) as caught:
        load_config(settings)
    assert [one.message for one in caught.value.problems] == [said]
