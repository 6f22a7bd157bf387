"""Secrets that stand elsewhere: read where they are, and never repeated."""

from __future__ import annotations

import logging
import sys
from pathlib import Path
from typing import Any

import pytest

from structiot.gateway import InvalidConfig, load_config
from tests.gateway.configs import problems_of, secret_file, written

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
# Every kind of place that a secret has in a section, and how to get at it.
PLACES = {
    "mqtt": ("[mqtt]\nusername = 'u'\npassword = {}", "mqtt.password"),
    "key file": ("[mqtt]\nkey_file_password = {}", "mqtt.key_file_password"),
    "meross": ("[meross]\nemail = 'a@b'\npassword = {}", "meross.password"),
    "device": (
        "[[meross.devices]]\nhost = '10.0.0.8'\nkey = {}",
        "meross.devices.0.key",
    ),
    "manager": (
        f"[manager]\ndialect = 'structiot'\n[manager.secrets]\n{UUID} = {{}}",
        f"manager.secrets.{UUID}",
    ),
    "connector": (
        "[connector]\nhost = 'h'\nport = 1\nuser = 'u'\npassword = {}",
        "connector.password",
    ),
    "influx": (
        "[history.influxdb]\nurl = 'http://h'\nbucket = 'b'\ntoken = {}",
        "history.influxdb.token",
    ),
    "page": ("[dashboard]\ntoken = {}", "dashboard.token"),
}


def found(config: Any, path: str) -> str:
    for part in path.split("."):
        if part.isdigit():
            config = config[int(part)]
        else:
            is_table = hasattr(config, "keys")
            config = config[part] if is_table else getattr(config, part)
    return str(config.reveal())


class Keyring:
    """A keyring with one password; another is refused."""

    def get_password(self, service: str, user: str) -> str | None:
        if service == "locked":
            raise RuntimeError("it is locked")
        return "hunter2" if (service, user) == ("structiot/house", "me") else None


@pytest.fixture
def places(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    secret_file(tmp_path / "secret", "hunter2\n")
    (tmp_path / "credentials").mkdir()
    # An access list's mask shows as rights of the group.
    (tmp_path / "credentials" / "house").write_text("hunter2\n")
    (tmp_path / "credentials" / "house").chmod(0o440)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(tmp_path / "credentials"))
    monkeypatch.setenv("HOUSE_SECRET", "hunter2")
    monkeypatch.setitem(sys.modules, "keyring", Keyring())
    return tmp_path


@pytest.mark.parametrize(("text", "path"), PLACES.values(), ids=PLACES.keys())
@pytest.mark.parametrize(
    "source",
    [
        "'hunter2'",
        "{ env = 'HOUSE_SECRET' }",
        "{ file = 'secret' }",
        "{ file = 'credentials/house' }",
        "{ keyring = 'structiot/house/me' }",
        "{ credential = 'house' }",
    ],
)
def test_every_secret_can_stand_everywhere(places: Path, text, path, source):
    config = load_config(written(places, text.format(source)))
    assert found(config, path) == "hunter2"
    assert "hunter2" not in repr(config)


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{ env = 'EMPTY_SECRET' }", "the environment variable EMPTY_SECRET is empty"),
        ("{ env = 5 }", "env must be a text in quotes that is not empty"),
        ("{ credential = 'none' }", "the credential cannot be read: no such file"),
        ("{ credential = '../secret' }", "credential takes a name, not a path"),
        ("{ keyring = 'locked/me' }", "the keyring cannot be used: "),
        ("{ keyring = 'other/me' }", "the keyring has no such password"),
        ("{ keyring = '/' }", "keyring takes service/user"),
        ("{ file = 'a\\u0000b' }", "the file cannot be read: no file has such a name"),
    ],
)
def test_what_cannot_be_had_is_said(places: Path, monkeypatch, source, said):
    monkeypatch.setenv("EMPTY_SECRET", "")
    text = f"[mqtt]\nusername = 'u'\npassword = {source}".replace(
        "'a\\u0000b'", '"a\\u0000b"'
    )
    (problem,) = problems_of(places, text)
    assert problem.startswith(f"structiot.toml:3:12: password: {said}")


def test_without_the_extra_it_is_said_what_to_install(places: Path, monkeypatch):
    monkeypatch.setitem(sys.modules, "keyring", None)
    (problem,) = problems_of(places, "[dashboard]\ntoken = { keyring = 'a/b' }")
    assert "pip install 'structiot[keyring]'" in problem


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o602, 0o644])
def test_a_file_of_secrets_is_for_its_owner_alone(places: Path, mode: int):
    (places / "secret").chmod(mode)
    text = "[mqtt]\nusername = 'u'\npassword_file = 'secret'"
    (problem,) = problems_of(places, text)
    assert problem == (
        "structiot.toml:3:17: password_file is refused, as others than its owner may "
        "read it: chmod 600 secret"
    )
    (places / "secret").chmod(0o400)
    assert found(load_config(written(places, text)), "mqtt.password") == "hunter2"


def test_what_a_link_leads_to_counts(places: Path):
    text = "[mqtt]\nusername = 'u'\npassword_file = 'link'"
    (places / "link").symlink_to("secret")
    assert load_config(written(places, text)).mqtt.password
    (places / "link").unlink()
    (places / "link").symlink_to("credentials/house")
    assert load_config(written(places, text)).mqtt.password
    # From where credentials are it may lead out of there.
    (places / "secret").chmod(0o644)
    (places / "credentials" / "out").symlink_to("../secret")
    with pytest.raises(InvalidConfig, match="others than its owner"):
        load_config({"dashboard": {"token": {"credential": "out"}}})


def test_they_are_read_again_each_time(places: Path):
    file = written(places, "[dashboard]\ntoken = { file = 'secret' }")
    assert found(load_config(file), "dashboard.token") == "hunter2"
    (places / "secret").write_text("hunter3\n")
    assert found(load_config(file), "dashboard.token") == "hunter3"


@pytest.mark.parametrize(
    ("text", "mode", "is_said"),
    [
        ("[dashboard]\ntoken = 'hunter2'", 0o644, True),
        ("[dashboard]\ntoken = 'hunter2'", 0o600, False),
        ("[mqtt]\nuri = 'mqtt://me:hunter2@b'", 0o604, True),
        ("[mqtt]\nuri = 'mqtt://me@b'", 0o644, False),
        ("[dashboard]\ntoken = { file = 'secret' }", 0o644, False),
        (f"[manager]\ndialect='structiot'\nsecrets = {{ {UUID} = 'x' }}", 0o640, True),
    ],
)
def test_a_configuration_that_others_can_read_is_warned_of(
    places: Path, caplog, text, mode, is_said
):
    file = written(places, text)
    file.chmod(mode)
    load_config(file)
    warnings = [one for one in caplog.records if one.levelno == logging.WARNING]
    said = (
        f"has a secret in it, and others than its owner may read it: chmod 600 {file}"
    )
    expected = [f"{file} {said}"] if is_said else []
    assert [one.getMessage() for one in warnings] == expected
