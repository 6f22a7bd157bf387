"""The file `connector.conf`: as the README has it, made if it is missing, changed with care."""

from __future__ import annotations

import logging
import stat
import subprocess
from pathlib import Path

import pytest

from structiot.connector import ConnectorConfig, LogConfig
from structiot.errors import ConfigError
from tests._support.interpreter import PYTHON

# README, "Configuration".
CONF = """\
; my platform
[CONNECTOR]
encryption = no
host = sepl.example
port = 8093
user = me
password = 50%%[hunter2
# set by the platform
gid = iot#old

[LOGGER]
level = debug
rotating_log = yes
rotating_log_backup_count = 3
"""
TOML = """\
# my gateway
[mqtt]
uri = "mqtt://127.0.0.1/"

[connector]
host = "sepl.example"
port = 8093
user = "me"
password = "hunter2"

[logger]
level = "error"
"""
KILL = """
import os, posix, signal, sys
from structiot.connector import ConnectorConfig

path, old = sys.argv[1], open(sys.argv[1]).read()
number, is_going_on = 0, True
while is_going_on:
    number += 1
    with open(path, "w") as file:
        file.write(old)
    child = os.fork()
    if not child:
        config, left = ConnectorConfig.of(path), number
        def count(frame, event, arg):
            global left
            left -= event == "c_call" and getattr(arg, '__self__', None) is posix
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
        sys.setprofile(count)
        config.with_gid("iot#new")
        os._exit(0)
    is_going_on = os.WIFSIGNALED(os.waitpid(child, 0)[1])
    now = open(path).read()
    assert now in {old, old.replace("iot#old", "iot#new")}, now
    print(ConnectorConfig.of(path).gid)
"""


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def conf(tmp_path: Path) -> Path:
    path = tmp_path / "connector.conf"
    path.write_text(CONF)
    path.chmod(0o600)
    return path


def test_a_file_is_read_as_the_readme_has_it(conf: Path):
    config = ConnectorConfig.of(conf)
    assert config == ConnectorConfig.of(str(conf))
    assert (config.host, config.port, config.user) == ("sepl.example", 8093, "me")
    assert config.password.reveal() == "50%%[hunter2"
    assert (config.encryption, config.gid) == (False, "iot#old")
    assert config.logger == LogConfig(
        level="debug", rotating_log=True, rotating_log_backup_count=3
    )
    assert config.path == conf


def test_a_file_that_is_missing_is_made_to_be_filled_in(tmp_path: Path):
    path = tmp_path / "connector.conf"
    with pytest.raises(ConfigError, match="fill in host, port, user and password"):
        ConnectorConfig.of(path)
    assert mode_of(path) == 0o600
    made = path.read_text()
    for name in ("encryption", "cafile", "host", "port", "user", "password", "gid"):
        assert f"\n{name} =" in made
    # Not made again, and still to be filled in.
    with pytest.raises(
        ConfigError, match="host, port, user, password: to be filled in"
    ):
        ConnectorConfig.of(path)
    assert path.read_text() == made
    filled = made.replace("host =", "host = a").replace("port =", "port = 1")
    path.write_text(filled.replace("user =", "user = b").replace("word =", "word = c"))
    config = ConnectorConfig.of(path).with_gid("gw")
    assert (config.host, config.gid) == ("a", "gw")
    assert (
        "# Written here when the platform has given it.\ngid = gw\n" in path.read_text()
    )


def test_a_file_that_can_neither_be_read_nor_made_is_told(tmp_path: Path):
    with pytest.raises(ConfigError, match="none can be made"):
        ConnectorConfig.of(tmp_path / "missing" / "connector.conf")
    with pytest.raises(
        ConfigError, match=f"^{tmp_path} cannot be read: it is no file$"
    ):
        ConnectorConfig.of(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read"):
        ConnectorConfig.of("a\0b")
    with pytest.raises(ConfigError, match="there is none"):
        ConnectorConfig.of(tmp_path / "missing.toml")
    assert [*tmp_path.iterdir()] == []


def test_a_file_that_others_can_read_is_closed_to_them(
    conf: Path, caplog: pytest.LogCaptureFixture
):
    conf.chmod(0o644)
    ConnectorConfig.of(conf)
    assert mode_of(conf) == 0o600
    assert "; its mode was changed from 0644 to 0600" in caplog.text
    caplog.clear()
    ConnectorConfig.of(conf)
    assert caplog.text == ""


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", r"it has no \[CONNECTOR\]"),
        ("hunter2\n", r"line 1 is above the first section, \[CONNECTOR\]"),
        ("[CONNECTOR]\nhunter2\n", "line 2 is no setting"),
        ("[CONNECTOR]\nhost=hunter2\nhost=b\n", "line 3 is there twice"),
        ("[CONNECTOR]\n[CONNECTOR]\n", "line 2 is there twice"),
        ("[CONNECTR]\n", "no section .CONNECTR.; did you mean 'CONNECTOR'"),
        ("[CONNECTOR]\n[other]\n", "no section .other."),
        (
            "[CONNECTOR]\nhots = a\nport = x\n[LOGGER]\nlevl = info\n",
            (
                r"'levl' in \[LOGGER\]; did you mean 'level'\?; .* in \[CONNECTOR\]; did you "
                r"mean 'host'\?; port is a number"
            ),
        ),
        ("[CONNECTOR]\npassword = hunter2\n", "host, port, user: to be filled in"),
        ("#" * 70_000, "longer than 65536 bytes"),
    ],
)
def test_what_cannot_be_read_is_told_without_the_password(
    conf: Path, text: str, told: str
):
    conf.write_text(text)
    with pytest.raises(ConfigError, match=told) as caught:
        ConnectorConfig.of(conf)
    assert str(conf) in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert conf.read_text() == text


def test_bytes_that_are_no_text_are_told(conf: Path):
    conf.write_bytes(b"[CONNECTOR]\nhost = \xff\n")
    with pytest.raises(ConfigError, match="no text in UTF-8"):
        ConnectorConfig.of(conf)


def test_the_gateway_is_written_and_all_else_stays(conf: Path):
    config = ConnectorConfig.of(conf).with_gid("iot#new")
    assert config.gid == "iot#new"
    assert conf.read_text() == CONF.replace("iot#old", "iot#new")
    assert mode_of(conf) == 0o600
    assert ConnectorConfig.of(conf) == config
    assert [*conf.parent.iterdir()] == [conf]


@pytest.mark.parametrize(
    ("text", "after"),
    [
        ("[CONNECTOR]", "[CONNECTOR]\ngid = gw\n"),
        ("\ufeff[CONNECTOR]\r\ngid=\r\n", "\ufeff[CONNECTOR]\r\ngid = gw\r\n"),
        ("[LOGGER]\n[connector]\nGID : x\n", "[LOGGER]\n[connector]\ngid = gw\n"),
        ("[CONNECTOR]\n[LOGGER]", "[CONNECTOR]\ngid = gw\n[LOGGER]"),
    ],
)
def test_the_gateway_finds_its_place(conf: Path, text: str, after: str):
    config = ConnectorConfig.of(conf)
    conf.write_bytes(text.encode())
    config.with_gid("gw")
    assert conf.read_bytes().decode() == after


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[CONNECTOR]\ngid = a\n b\n", "write gid = gw yourself"),
        ("[CONNECTOR\n", "line 1 is above the first section"),
        (None, "No such file"),
    ],
)
def test_a_gateway_that_cannot_be_written_is_told(
    conf: Path, text: str | None, told: str
):
    config = ConnectorConfig.of(conf)
    conf.unlink()
    if text is not None:
        conf.write_text(text)
    with pytest.raises(ConfigError, match=told):
        config.with_gid("gw")
    assert (conf.read_text() if conf.exists() else None) == text


def test_a_gateway_that_cannot_be_is_not_written(conf: Path):
    with pytest.raises(ConfigError, match="gid is a text of one line"):
        ConnectorConfig.of(conf).with_gid("a\nhost = evil")
    assert conf.read_text() == CONF


def test_a_link_stays_one(conf: Path):
    link = conf.with_name("link.conf")
    link.symlink_to(conf)
    ConnectorConfig.of(link).with_gid("iot#new")
    assert link.is_symlink()
    assert ConnectorConfig.of(conf).gid == "iot#new"


def test_who_is_killed_at_any_step_leaves_the_old_file_or_the_new_one(conf: Path):
    done = subprocess.run(
        [*PYTHON, "-c", KILL, str(conf)],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        timeout=15,
    )
    found = done.stdout.split()
    assert len(found) > 6
    assert [*dict.fromkeys(found)] == ["iot#old", "iot#new"]


def test_a_toml_file_has_tables(conf: Path, caplog: pytest.LogCaptureFixture):
    path = conf.with_suffix(".toml")
    path.write_text(TOML)
    config = ConnectorConfig.of(path)
    assert (config.host, config.logger) == ("sepl.example", LogConfig(level="error"))
    config.with_gid('a"b')
    assert path.read_text() == TOML.replace(
        "[connector]\n", '[connector]\ngid = "a\\"b"\n'
    )
    assert ConnectorConfig.of(path).gid == 'a"b'


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("[mqtt]\n", r"has no \[connector\]"),
        ("connector = 1\n", r"has no \[connector\]"),
        ("[connector]\nhots = 1\n", r"key 'hots' in \[connector\]; did you mean"),
        ('[connector]\npassword = "hunter2\n', "it is no TOML: line 2"),
    ],
)
def test_a_toml_file_that_cannot_be_read_is_told(conf: Path, text: str, told: str):
    path = conf.with_suffix(".toml")
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(ConfigError, match=told) as caught:
        ConnectorConfig.of(path)
    assert "hunter2" not in str(caught.value)


def test_nothing_is_logged_or_made_by_an_import(tmp_path: Path):
    code = (
        "import logging, structiot.connector as c; print(c.ConnectorConfig, c.Device,"
    )
    code += " logging.getLogger('structiot.connector').handlers, logging.root.handlers)"
    done = subprocess.run(
        [*PYTHON, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        cwd=tmp_path,
    )
    assert done.stdout.endswith("[] []\n")
    assert done.stderr == ""
    assert [*tmp_path.iterdir()] == []
    assert logging.getLogger("structiot.connector").handlers == []


def test_a_gateway_id_of_any_characters_is_kept_in_toml(tmp_path: Path):
    path = tmp_path / "connector.toml"
    path.write_text(
        '[connector]\nhost = "a"\nport = 1\nuser = "b"\npassword = "c"\n', "utf-8"
    )
    gid = 'iot#"\N{GRINNING FACE}\\'
    ConnectorConfig.of(path).with_gid(gid)
    assert ConnectorConfig.of(path).gid == gid
