"""The schema, the file to begin with and what is shown are those of the sections."""

from __future__ import annotations

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator

from structiot.gateway import ConfigProblem, InvalidConfig, load_config
from structiot.gateway.config.assembly import config_model
from structiot.gateway.config.described import keys_of, sections_of, summary_of
from structiot.gateway.config.schema import json_schema
from structiot.gateway.config.shown import as_data, as_toml, defaults_of
from structiot.gateway.config.template import template
from structiot.gateway.drivers import SystemSection, installed_drivers, with_driver

ROOT = Path(__file__).resolve().parents[2]
MODEL, _ = config_model({}, is_whole=True)
SECTIONS = {str(path): model for path, model in sections_of(MODEL) if path}
FULL = """\
[mqtt]
uri = "mqtt://ann:hunter2@broker"

[dashboard]
token = "hunter2"

[devices.kitchen]
room = "Küche"
entities.port_1.confirm = true

[[maxsmart.devices]]
host = "10.0.0.7"

[manager]
dialect = "structiot"
secrets = { 1862cfe1-5dab-4d8e-a946-50d6728f830f = "hunter2" }

[[manager.types.lamp.buttons]]
key = "blink"
send = { do = "blink", times = 3 }

[[links]]
from = "kitchen/port_1"
to = "platform"
type = "iot#plug"
tags = { house = "12" }

[[links]]
from = ["kitchen/port_?", "hall/*"]
to = "mqtt:legacy/{device}/{entity}"
values = { ON = "1", OFF = "0" }

[connector]
conf = "connector.conf"
"""


@pytest.fixture(scope="module")
def schema() -> Draft202012Validator:
    made = json_schema()
    Draft202012Validator.check_schema(made)
    return Draft202012Validator(made)


@pytest.mark.parametrize("model", SECTIONS.values(), ids=SECTIONS.keys())
def test_every_section_and_key_is_described(model):
    assert summary_of(model)
    assert [key for key, about in keys_of(model).items() if not about] == []


def test_the_schema_describes_what_the_sections_do(schema):
    mqtt = schema.schema["$defs"]["MqttSection"]
    assert mqtt["description"] == "The broker and the topics."
    assert mqtt["properties"]["uri"]["description"].startswith("Address of the broker")
    assert mqtt["properties"]["keep_alive_s"]["maximum"] == 65535
    assert "null" not in json.dumps(schema.schema)


@pytest.mark.parametrize(
    "text",
    [
        FULL,
        "",
        "[mqtt]\nusername = 'u'\npassword = { env = 'X' }",
        template().text,
        template(sorted(installed_drivers())).text,
        (ROOT / "examples" / "structiot.toml").read_text("utf-8"),
    ],
)
def test_the_schema_accepts_what_is_good(schema, text):
    schema.validate(tomllib.loads(text))


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("[mqt]", []),
        ("[mqtt]\nuri = 5", ["mqtt", "uri"]),
        ("[mqtt]\nurl = 'x'", ["mqtt"]),
        ("[mqtt]\npassword = { vault = 'x' }", ["mqtt", "password"]),
        ("[mqtt]\npassword = {}", ["mqtt", "password"]),
        ("[mqtt]\npassword = { env = 'a', file = 'b' }", ["mqtt", "password"]),
        ("[mqtt]\nkeep_alive_s = 0", ["mqtt", "keep_alive_s"]),
        ("[maxsmart]\nwatt_unit = 'kW'", ["maxsmart", "watt_unit"]),
        ("[[maxsmart.devices]]\nname = 'x'", ["maxsmart", "devices", 0]),
        ("[devices.kitchen]\nconfirm = 1", ["devices", "kitchen", "confirm"]),
        (
            "[[manager.types.lamp.sensors]]\nunit = 'V'",
            ["manager", "types", "lamp", "sensors", 0],
        ),
    ],
)
def test_the_schema_refuses_what_is_bad(schema, text, where):
    errors = list(schema.iter_errors(tomllib.loads(text)))
    assert [list(error.absolute_path) for error in errors] == [where]


class Odd(SystemSection):
    """What cannot be described: a type of a stranger."""

    one: complex | None = None
    needed: int


def test_a_section_of_a_stranger_costs_neither_schema_nor_file():
    driver = type("Toy", (), {"section": Odd, "system": "toy"})
    with with_driver("toy", driver):
        assert json_schema()["properties"]["toy"]
        made = template(["toy"])
    assert made.left_out.keys() == {"toy"}
    assert "needed is missing" in made.left_out["toy"]
    assert "#[toy]" in made.text


# ---------------------------------------------------------------- to begin with


@pytest.mark.parametrize("systems", [(), *((one,) for one in installed_drivers())])
def test_the_file_to_begin_with_is_accepted(tmp_path: Path, systems):
    file = tmp_path / "structiot.toml"
    made = template(systems)
    file.write_text(made.text, "utf-8")
    config = load_config(file)
    assert set(config.systems) == set(systems)
    assert not made.left_out
    assert config.model_fields_set


def test_all_that_it_explains_can_be_set():
    """Without its marks it is TOML, and no key in it is unknown or of a wrong kind."""
    text = re.sub("^#(?! )", "", template().text, flags=re.MULTILINE)
    data: Any = tomllib.loads(text.replace("NAME", "x"))
    assert data.keys() == MODEL.model_fields.keys()
    # What stands for a text is of one kind with it, if not of its value.
    for section, model in MODEL.model_fields.items():
        assert section in data, model
    schema = Draft202012Validator(json_schema())
    kinds = {"type", "additionalProperties", "required"}
    wrong = [one for one in schema.iter_errors(data) if one.validator in kinds]
    assert [one.message for one in wrong] == []


# What it wants besides: other keys, and files that are there.
BESIDES = re.compile(
    "cannot be read|needs a |is given although|belongs into|is of no account|goes with|"
    "is for no listener|is listened at already|asks the gateway itself|key is missing"
)


def problems_of(file: Path) -> list[ConfigProblem]:
    try:
        load_config(file)
    except InvalidConfig as exc:
        return list(exc.problems)
    return []


def test_each_line_that_is_taken_up_alone_has_a_value_that_is_right(tmp_path: Path):
    file, header, wrong, tried = tmp_path / "structiot.toml", "", [], 0
    for line in template().text.replace("NAME", "x").splitlines():
        if line.lstrip("#").startswith("["):
            header = line.lstrip("#")
        elif re.match(r"#[\w\"]", line):
            tried += 1
            file.write_text(f"{header}\n{line[1:]}\n")
            wrong += [
                f"{header} {line}: {problem.message}"
                for problem in problems_of(file)
                if problem.line == 2 and not BESIDES.search(problem.message)
            ]
    assert tried > 100
    assert wrong == []


def test_it_has_its_defaults_where_it_has_marks():
    text = template().text
    assert '#base_topic = "structiot"\n' in text
    assert "\n[mqtt]\n" in text
    assert "\n#[maxsmart]\n" in text
    assert "\n#[[maxsmart.devices]]\n" in text
    assert all(len(line) <= 88 for line in text.splitlines() if line[:2] == "# ")


def test_only_systems_that_are_asked_for_are_in_it():
    text = template(["meross"]).text
    assert "\n[meross]\n" in text
    assert "maxsmart]" not in text
    assert "[devices.NAME]" in text


# ---------------------------------------------------------------- what is in force


def test_what_is_shown_is_what_was_read(tmp_path: Path):
    file = tmp_path / "structiot.toml"
    file.write_text(FULL, "utf-8")
    config = load_config(file)
    text = as_toml(config)
    assert "hunter2" not in text
    assert "hunter2" not in json.dumps(as_data(config))
    data = tomllib.loads(text)
    assert data["mqtt"]["uri"] == "mqtt://***@broker"
    assert data["dashboard"]["token"] == "***"
    assert data["devices"]["kitchen"]["room"] == "Küche"
    assert data["manager"]["types"]["lamp"]["buttons"][0]["send"]["times"] == 3
    assert 'base_topic = "structiot"  # default' in text
    assert 'host = "10.0.0.7"\n' in text
    assert "# [meross] is not given: it is not served" in text
    defaults = set(defaults_of(config))
    assert "mqtt.base_topic" in defaults
    assert "maxsmart.devices[0].name" in defaults
    assert not defaults & {"mqtt.uri", "dashboard.token", "maxsmart.devices[0].host"}


def test_what_is_shown_would_be_the_same_again():
    device = {"host": "10.0.0.7", "name": "a \"b\" \\ 'c'"}
    config = load_config({"maxsmart": {"devices": [device]}})
    again = load_config(tomllib.loads(as_toml(config)))
    assert as_data(again) == as_data(config)
