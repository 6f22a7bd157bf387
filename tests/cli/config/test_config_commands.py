"""`structiot config`: make, check and show a configuration."""

from __future__ import annotations

import json
import stat
import tomllib
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from structiot.cli.main import run_program

FILE = Path("structiot.toml")


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def config(*arguments: str) -> int:
    return run_program(["config", *arguments])


# ---------------------------------------------------------------- init


def test_what_init_writes_passes_check(capsys):
    assert config("init", "maxsmart", "connector") == 0
    said = "'structiot run -c structiot.toml' serves what it says"
    assert capsys.readouterr() == (f"structiot.toml is written; {said}\n", "")
    assert config("check") == 0
    assert run_program(["run", "--check"]) == 0
    assert capsys.readouterr() == ("structiot.toml is fine\n" * 2, "")
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600
    assert tomllib.loads(FILE.read_text("utf-8"))["connector"] == {
        "conf": "connector.conf"
    }


def test_a_file_that_is_there_is_left_alone(capsys):
    FILE.write_text("[mqtt]\n")
    assert config("init") == 2
    assert FILE.read_text() == "[mqtt]\n"
    assert capsys.readouterr().err == (
        "structiot: structiot.toml is there already, and is left as it is; --force "
        "replaces it\n"
    )
    assert config("init", "--force") == 0
    assert FILE.read_text("utf-8").startswith("# What the gateway serves")
    assert stat.S_IMODE(FILE.stat().st_mode) == 0o600


def test_a_link_goes_on_to_lead_to_the_file():
    Path("real.toml").write_text("")
    FILE.symlink_to("real.toml")
    assert config("init") == 2
    assert config("init", "--force") == 0
    assert FILE.is_symlink()
    assert Path("real.toml").read_text("utf-8").startswith("# What the gateway serves")


def test_a_system_that_there_is_not_writes_nothing(capsys):
    assert config("init", "maxsmrt") == 2
    assert not FILE.exists()
    said = capsys.readouterr().err
    assert said == "structiot: there is no system 'maxsmrt'; did you mean 'maxsmart'?\n"
    assert config("init", "zigbee") == 2
    assert "there are connector, manager, maxsmart, meross" in capsys.readouterr().err


def test_a_file_that_cannot_be_written_is_said(capsys):
    assert config("init", "-c", "nowhere/structiot.toml") == 2
    assert capsys.readouterr().err == (
        "structiot: nowhere/structiot.toml cannot be written: No such file or directory\n"
    )


# ---------------------------------------------------------------- check


def test_check_says_all_that_is_wrong(capsys):
    Path("mine.toml").write_text("[mqtt]\nuri = 'x'\n[maxsmart]\npol_s = 1\n")
    assert config("check", "mine.toml") == 2
    alone = capsys.readouterr()
    assert run_program(["run", "--check", "-c", "mine.toml"]) == 2
    assert capsys.readouterr() == alone
    assert alone.out == ""
    assert [line.partition(": ")[0] for line in alone.err.splitlines()] == [
        "mine.toml:2:7",
        "mine.toml:4:1",
    ]


def test_check_of_nothing_is_not_fine(capsys):
    assert config("check") == 2
    FILE.write_text("# to be written\n")
    assert config("check") == 2
    assert capsys.readouterr().err == (
        "structiot.toml: cannot be read: no such file or directory\n"
        "structiot: structiot.toml is empty: there is no setting in it\n"
    )


def test_check_warns_of_a_secret_that_others_can_read(capsys):
    FILE.write_text("[dashboard]\ntoken = 'hunter2'\n")
    FILE.chmod(0o644)
    assert config("check") == 0
    said = capsys.readouterr().err
    assert "others than its owner may read it: chmod 600 structiot.toml" in said
    assert "hunter2" not in said


# ---------------------------------------------------------------- schema and show


def test_the_schema_is_one(capsys):
    assert config("schema") == 0
    schema = json.loads(capsys.readouterr().out)
    Draft202012Validator.check_schema(schema)
    good, bad = {"mqtt": {"uri": "mqtt://b"}}, {"mqtt": {"uri": 5}}
    assert Draft202012Validator(schema).is_valid(good)
    assert not Draft202012Validator(schema).is_valid(bad)


def test_show_prints_what_is_in_force(capsys):
    FILE.write_text("[mqtt]\nusername = 'me'\npassword = 'hunter2'\n")
    FILE.chmod(0o600)
    assert config("show") == 0
    shown = capsys.readouterr()
    assert shown.err == ""
    assert 'username = "me"\npassword = "***"\n' in shown.out
    assert 'base_topic = "structiot"  # default\n' in shown.out
    assert config("show", "--json") == 0
    told = json.loads(capsys.readouterr().out)
    assert told["file"] == "structiot.toml"
    assert told["settings"]["mqtt"]["password"] == "***"
    assert "mqtt.base_topic" in told["defaults"]
    assert "mqtt.username" not in told["defaults"]


def test_show_of_what_is_broken_says_why(capsys):
    FILE.write_text("[mqtt]\nuri = 5\n")
    assert config("show") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert (
        shown.err == "structiot.toml:2:7: uri must be a text in quotes, not a number\n"
    )
