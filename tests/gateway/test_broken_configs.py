"""Mistakes that people make in configurations: each is said where it is, in one way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from structiot.gateway import load_config
from tests.gateway.broken_configs import all_cases, furnished, refusal_of, said_of

CASES = all_cases()
LINE = re.compile(r"^structiot\.toml(?::[1-9]\d*:[1-9]\d*)?: [^\n]+$")


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return furnished(tmp_path)


def test_there_are_enough_of_them():
    assert len(CASES) >= 100
    assert len({case.data for case in CASES.values()}) == len(CASES)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
def test_it_is_said_as_it_was_agreed(config: Path, case):
    said = said_of(config, case.data)
    assert said == case.said
    assert all(LINE.match(line) for line in said.splitlines())
    assert "hunter2" not in said


def test_a_file_that_is_not_there(config: Path):
    said = "structiot.toml: cannot be read: no such file or directory"
    assert refusal_of(config) == said


def test_a_folder(config: Path):
    config.mkdir()
    assert refusal_of(config) == "structiot.toml: cannot be read: is a directory"


def test_a_pipe_is_not_waited_for(config: Path):
    config.symlink_to("pipe")
    assert refusal_of(config) == "structiot.toml: cannot be read: it is no regular file"


def test_a_link_to_itself(config: Path):
    config.symlink_to(config.name)
    said = "structiot.toml: cannot be read: too many levels of symbolic links"
    assert refusal_of(config) == said


def test_a_file_that_is_too_large(config: Path):
    with config.open("wb") as file:
        file.truncate(1 << 40)
    said = "structiot.toml: cannot be read: it is longer than 4194304 bytes"
    assert refusal_of(config) == said


@pytest.mark.parametrize(
    "text", ["a = " + "[" * 5000 + "]" * 5000, ".".join("a" * 3000) + " = 1"]
)
def test_tables_in_tables_without_end(config: Path, text: str):
    said = "structiot.toml: tables and arrays are nested more than 50 deep"
    assert said_of(config, text.encode()) == said


def test_ten_thousand_mistakes_are_counted(config: Path):
    text = "[mqtt]\n" + "".join(f"no_{number} = 1\n" for number in range(10_000))
    lines = said_of(config, text.encode()).splitlines()
    assert len(lines) == 201
    last = "structiot.toml:202:1: there are 9800 further problems like these"
    assert lines[-1] == last


def test_a_byte_order_mark_is_no_mistake(config: Path):
    config.write_bytes(b"\xef\xbb\xbf[mqtt]\nusername = 'me'\n")
    assert load_config(config).mqtt.username == "me"
