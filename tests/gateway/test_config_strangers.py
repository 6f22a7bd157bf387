"""Sections and drivers of strangers, and files that are none: all of it is said."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated, Any

import pytest
from pydantic import AfterValidator, BaseModel

from structiot._kit.redact import Secret
from structiot.errors import ConfigError
from structiot.gateway import GatewayConfig, InvalidConfig, load_config
from structiot.gateway.config.fields import (
    DeviceName,
    Finding,
    Hidden,
    NamedFile,
    Section,
    SystemSection,
    secret_in,
)
from structiot.gateway.drivers import with_driver
from structiot.gateway.drivers.driver import Driver
from tests.gateway.configs import secret_file


def driver_of(section: object, system: str = "toy") -> type[Driver]:
    return type("ToyDriver", (), {"section": section, "system": system})


def refused(section: object, table: Mapping[str, Any], **others: Any) -> list[str]:
    with with_driver("toy", driver_of(section)), pytest.raises(InvalidConfig) as caught:
        load_config({"toy": table, **others})
    return [problem.message for problem in caught.value.problems]


def fail(value: object) -> object:
    raise LookupError("oops")


class BadChecks(SystemSection):
    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterable[Finding]:
        raise LookupError("oops")


class BadValidator(SystemSection):
    one: Annotated[int, AfterValidator(fail)] = 1


@pytest.mark.parametrize("section", [BadChecks, BadValidator])
def test_checks_that_fail_cost_their_own_section(section):
    said = refused(section, {"one": 1}, maxsmart={"discover": "yes"})
    assert "the checks of [toy] failed: LookupError: oops" in said
    assert "discover must be True or False, not a str" in said


def test_a_section_without_keys_is_checked_too():
    assert refused(BadChecks, {}) == ["the checks of [toy] failed: LookupError: oops"]


@pytest.mark.parametrize("section", [5, object, BaseModel, None])
def test_a_section_of_the_wrong_kind_costs_its_own_system(section):
    said = refused(section, {"any": 1})
    assert said == ["the section of the driver for 'toy' is no SystemSection"]
    with with_driver("toy", driver_of(section)):
        assert load_config({"maxsmart": {}}).maxsmart


class Plug(Section):
    name: DeviceName | None = None
    key_file: Annotated[str | None, NamedFile(secret_in, into="key")] = None
    key: Hidden | None = None


class Plugs(SystemSection):
    listed: list[Plug] | None = None
    named: dict[str, Plug] | None = None
    one: Plug | None = None
    either: Plug | int | None = None


def test_marks_are_found_in_whatever_holds_a_table(tmp_path):
    secret_file(tmp_path / "key", "s3cret")
    table = {
        "listed": [{"name": "a", "key_file": str(tmp_path / "key")}],
        "named": {"x": {"name": "b", "key_file": str(tmp_path / "key")}},
        "one": {"name": "c", "key_file": str(tmp_path / "key")},
    }
    with with_driver("toy", driver_of(Plugs)):
        toy = load_config({"toy": table}).toy
    for plug in (toy.listed[0], toy.named["x"], toy.one):
        assert plug.key == Secret("s3cret")
    for key, value in {
        "listed": [{"name": "d"}],
        "named": {"x": {"name": "d"}},
        "one": {"name": "d"},
    }.items():
        (said,) = refused(Plugs, {key: value, "either": {"name": "d"}})
        assert "the name 'd' is taken" in said


def test_a_key_and_its_file_cannot_both_be_given(tmp_path):
    secret_file(tmp_path / "key", "s3cret")
    table = {"one": {"key": "k", "key_file": str(tmp_path / "key")}}
    assert refused(Plugs, table) == ["key_file and key cannot both be given"]


class Group(Section):
    groups: list[Group] | None = None


class Groups(SystemSection):
    groups: list[Group] | None = None


def test_a_section_may_hold_itself():
    deep = {"groups": [{"groups": [{"group": 1}]}]}
    (said,) = refused(Groups, deep)
    assert said == (
        "unknown key 'group' in [[toy.groups.groups]]; did you mean 'groups'?"
    )


def test_a_system_has_no_name_that_a_configuration_has_already():
    names = [n for n in dir(GatewayConfig) + dir(type(GatewayConfig)) if n.isalnum()]
    assert {"systems", "copy", "json", "schema", "dict"} <= set(names)
    for name in names:
        with pytest.raises(ConfigError, match="is no name for a system"):
            with with_driver(name, driver_of(Plugs)):
                pass


def test_what_is_installed_and_cannot_be_used_is_said(tmp_path: Path):
    info = tmp_path / "stranger-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text(
        "Metadata-Version: 2.1\nName: stranger\nVersion: 1\n"
    )
    (tmp_path / "quits.py").write_text("raise SystemExit('not today')")
    (info / "entry_points.txt").write_text(
        "[structiot.drivers]\nBad-Name = a:B\ncopy = a:C\nquits = quits:D\n"
    )
    again = tmp_path / "second-1.dist-info"
    again.mkdir()
    (again / "METADATA").write_text("Metadata-Version: 2.1\nName: second\nVersion: 1\n")
    (again / "entry_points.txt").write_text("[structiot.drivers]\nquits = other:D\n")
    code = (
        "from structiot.gateway import load_config; load_config({})\n"
        "try: load_config({'quits': {}})\n"
        "except Exception as exc: print(type(exc).__name__, exc)"
    )
    path = os.pathsep.join([str(tmp_path), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.startswith("InvalidConfig the driver for 'quits' cannot be")
    for said in ("'Bad-Name' (a:B) is no name", "'copy' (a:C) is no", "called 'quits'"):
        assert done.stderr.count(said) == 1


# ---------------------------------------------------------------- files


def test_what_is_no_regular_file_is_a_problem_at_once(tmp_path: Path):
    os.mkfifo(tmp_path / "fifo")
    for name, why in {
        str(tmp_path / "fifo"): "it is no regular file",
        "/dev/zero": "it is no regular file",
        str(tmp_path): "is a directory",
        "a\0b": "no file has such a name",
        "a\ud800b": "no file has such a name",
    }.items():
        with pytest.raises(InvalidConfig, match=f"cannot be read: {why}"):
            load_config(name)
        settings = {"mqtt": {"username": "u", "password_file": name}}
        with pytest.raises(InvalidConfig, match=f"password_file cannot be read: {why}"):
            load_config(settings)
    with pytest.raises(InvalidConfig, match="store cannot be used: no file has such"):
        load_config({"broker": {"store": "a\0b"}})


@pytest.mark.parametrize(
    "text",
    [
        "a = " + "[" * 5000 + "]" * 5000,
        ".".join("a" * 3000) + " = 1",
        "[" + ".".join("a" * 3000) + "]",
    ],
    ids=["arrays", "dotted key", "header"],
)
def test_toml_that_is_nested_very_deeply_is_a_problem(tmp_path: Path, text: str):
    (tmp_path / "deep.toml").write_text(text)
    with pytest.raises(InvalidConfig, match="nested more than 50 deep"):
        load_config(tmp_path / "deep.toml")


# ---------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["a\nb", "a\x7f", "a\ud800", "a\u202eb", "a" * 65])
def test_a_name_can_be_shown_and_is_not_endless(name: str):
    (said,) = refused(Plugs, {"one": {"name": name}})
    assert "cannot be shown" in said or "at most 64 characters" in said
    with with_driver("toy", driver_of(Plugs)):
        load_config({"toy": {"one": {"name": "Küche " + "a" * 58}}})
