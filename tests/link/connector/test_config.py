"""What a connector can be told, and what it says of what cannot be."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from structiot._kit.redact import Secret
from structiot.connector import ConnectorConfig, LogConfig
from structiot.errors import ConfigError

SEPL = {"host": "sepl.example", "port": 8093, "user": "me", "password": "hunter2"}
SENERGY = {
    "platform": "senergy",
    "host": "senergy.example",
    "user": "me",
    "password": "hunter2",
    "api_url": "https://senergy.example/device-manager",
    "token_url": "https://senergy.example/auth/token",
    "client_id": "app",
}


def test_a_mapping_and_arguments_say_the_same():
    config = ConnectorConfig.of(SEPL)
    assert config == ConnectorConfig(
        host="sepl.example", port=8093, user="me", password=Secret("hunter2")
    )
    assert ConnectorConfig.of(config) is config
    assert (config.host, config.port, config.user) == ("sepl.example", 8093, "me")
    assert config.password.reveal() == "hunter2"
    assert config.encryption is False
    assert (config.gid, config.platform) == ("", "sepl")
    assert config.logger is None
    assert config.path is None


def test_the_password_is_not_shown():
    shown = repr(ConnectorConfig.of(SEPL))
    assert "sepl.example" in shown
    assert "hunter2" not in shown


def test_the_mapping_is_not_changed():
    given: dict[str, Any] = {**SEPL, "logger": {"level": "DEBUG"}}
    config = ConnectorConfig.of(given)
    assert given == {**SEPL, "logger": {"level": "DEBUG"}}
    assert config.logger == LogConfig(level="debug")


@pytest.mark.parametrize(
    ("said", "meant"), [("yes", True), ("NO", False), (True, True), ("", False)]
)
def test_encryption_is_yes_or_no(said: object, meant: bool):
    assert ConnectorConfig.of({**SEPL, "encryption": said}).encryption is meant


def test_a_port_may_be_a_text():
    assert ConnectorConfig.of({**SEPL, "port": " 8093 "}).port == 8093


def test_senergy_has_keys_and_defaults_of_its_own():
    config = ConnectorConfig.of(SENERGY)
    assert config.encryption is True
    assert config.port == 8883
    assert config.hub_name == "structiot"
    assert ConnectorConfig.of({**SENERGY, "encryption": "no"}).port == 1883
    assert ConnectorConfig.of({**SENERGY, "port": 1}).port == 1


def test_authorities_go_with_tls_also_by_http_alone():
    config = ConnectorConfig.of({**SEPL, "encryption": "yes", "cafile": "ca.pem"})
    assert config.cafile == Path("ca.pem")
    assert ConnectorConfig.of({**SEPL, "cafile": ""}).cafile is None
    plain = {**SENERGY, "cafile": "ca.pem", "encryption": "no"}
    assert ConnectorConfig.of(plain).has_tls


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"host": ""}, "host: to be filled in"),
        ({"password": "", "port": ""}, "port, password: to be filled in"),
        ({"host": "ws://sepl.example/"}, "host is a name or an address"),
        ({"host": None}, "host is a text of one line"),
        ({"user": "a\nb"}, "user is a text of one line"),
        ({"gid": 7}, "gid is a text of one line"),
        ({"password": 7}, "password is a text"),
        ({"port": 0}, "port: to be filled in"),
        ({"port": 65_536}, "port is a number from 1 to 65535"),
        ({"port": -1}, "port is a number"),
        ({"port": "80.93"}, "port is a number"),
        ({"port": True}, "port is a number"),
        ({"encryption": "maybe"}, "encryption is yes or no"),
        ({"encryption": []}, "encryption is yes or no"),
        ({"platform": "mqtt"}, "platform is sepl or senergy"),
        ({"platform": []}, "platform is sepl or senergy"),
        ({"passwrd": "x"}, "^unknown key 'passwrd'; did you mean 'password'"),
        ({7: "x"}, "unknown key '7'"),
        ({"path": 7}, "path is that of a file"),
        ({"cafile": 7}, "cafile is that of a file"),
        ({"cafile": "ca.pem"}, "cafile goes with encryption = yes"),
        ({"logger": 7}, "logger is a mapping"),
        (
            {"logger": {"lvel": "x"}},
            "unknown key 'lvel' in logger; did you mean 'level'",
        ),
        ({"logger": {"level": "loud"}}, "level is one of debug, info"),
        ({"logger": {"rotating_log": "often"}}, "rotating_log is yes or no"),
        ({"logger": {"rotating_log_backup_count": "x"}}, "a number of files"),
        ({"platform": "senergy"}, "api_url, token_url, client_id: to be filled in"),
        ({"api_url": "senergy.example"}, "api_url begins with https://"),
    ],
    ids=str,
)
def test_what_cannot_be_is_named(change: dict[str, Any], text: str):
    with pytest.raises(ConfigError, match=text) as caught:
        ConnectorConfig.of({**SEPL, **change})
    assert "hunter2" not in str(caught.value)


def test_all_that_is_wrong_is_named_at_once():
    with pytest.raises(ConfigError) as caught:
        ConnectorConfig(host="a/b", encryption="x")  # type: ignore[arg-type]
    for text in ("host is a name", "encryption is", "port, user, password: to be"):
        assert text in str(caught.value)


def test_an_unknown_key_hides_nothing_else_that_is_wrong():
    logger = {"lvel": "debug", "rotating_log": "often"}
    with pytest.raises(ConfigError) as caught:
        ConnectorConfig.of({"hots": "a", "usr": "b", "port": "x", "logger": logger})
    assert str(caught.value) == (
        "unknown key 'lvel' in logger; did you mean 'level'?; "
        "rotating_log is yes or no; "
        "unknown key 'hots'; did you mean 'host'?; "
        "unknown key 'usr'; did you mean 'user'?; "
        "port is a number from 1 to 65535; host, user, password: to be filled in"
    )


@pytest.mark.parametrize("config", [None, 7, ["host"], b"connector.conf"])
def test_what_is_no_configuration_is_refused(config: Any):
    with pytest.raises(ConfigError, match="config is a path, a mapping"):
        ConnectorConfig.of(config)


def test_a_gateway_is_kept_in_a_copy_where_there_is_no_file():
    config = ConnectorConfig.of(SEPL)
    assert config.with_gid("iot#gw-0001").gid == "iot#gw-0001"
    assert config.gid == ""


def test_a_log_is_as_the_original_client_s_by_default():
    assert LogConfig().rotating_log_backup_count == 14
    given = {"level": "", "rotating_log": "yes", "rotating_log_backup_count": "3"}
    logger = ConnectorConfig.of({**SEPL, "logger": given}).logger
    assert logger == LogConfig(
        level="info", rotating_log=True, rotating_log_backup_count=3
    )


def test_a_file_may_be_named_that_keeps_the_gateway(tmp_path: Path):
    path = tmp_path / "gateway.toml"
    path.write_text('[connector]\nhost = "x"\n')
    path.chmod(0o600)
    config = ConnectorConfig.of({**SEPL, "path": str(path)}).with_gid("gw")
    assert config.path == path
    assert path.read_text() == '[connector]\ngid = "gw"\nhost = "x"\n'
