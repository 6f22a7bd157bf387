"""`structiot run`: what is wrong, before anything runs."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from structiot.cli.main import run_program


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_good_configuration_is_fine(capsys):
    Path("structiot.toml").write_text("[maxsmart]\ndiscover = false\n")
    assert run_program(["run", "--check"]) == 0
    assert capsys.readouterr() == ("structiot.toml is fine\n", "")


@pytest.mark.parametrize("text", ["", "\n# to be written\n"])
def test_a_file_without_a_setting_is_not_fine(capsys, text: str):
    Path("structiot.toml").write_text(text)
    assert run_program(["run", "--check"]) == 2
    said = "structiot: structiot.toml is empty: there is no setting in it\n"
    assert capsys.readouterr() == ("", said)


@pytest.mark.parametrize("more", [[], ["--check"], ["--debug"]])
def test_everything_wrong_is_said_line_by_line_with_status_2(capsys, more):
    Path("mine.toml").write_text(
        "[mqtt]\nuri = 'http://x'\n\n[maxsmart]\npol_s = 1\npoll_s = 0\n"
    )
    assert run_program(["run", "--config", "mine.toml", *more]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    lines = [line for line in captured.err.splitlines() if line.startswith("mine")]
    assert lines == [
        "mine.toml:2:7: uri: an address of a broker begins with mqtt://, mqtts://, ws://, wss://, unix://",
        "mine.toml:5:1: unknown key 'pol_s' in [maxsmart]; did you mean 'poll_s'?",
        "mine.toml:6:10: poll_s must be at least 0.5, not 0",
    ]
    assert ("Traceback" in captured.err) == ("--debug" in more)


def test_a_file_that_is_not_there_is_said(capsys):
    assert run_program(["run"]) == 2
    said = capsys.readouterr().err
    assert said == "structiot.toml: cannot be read: no such file or directory\n"


def test_a_file_that_is_no_toml_is_said(capsys):
    Path("structiot.toml").write_text("[mqtt\n")
    assert run_program(["run"]) == 2
    assert capsys.readouterr().err.startswith("structiot.toml:1:6: not valid TOML: ")


@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_a_port_that_is_taken_is_said_on_one_line_with_status_1(capsys, backend):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        Path("structiot.toml").write_text(
            f"[broker]\nlisten = ['mqtt://127.0.0.1:{port}']\n"
        )
        assert run_program(["run", "--backend", backend]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "structiot: the embedded broker does not start: "
        f"cannot bind TCP 127.0.0.1:{port}: address "
    )
    assert "name it by uri in [mqtt]" in line
