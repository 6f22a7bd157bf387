"""A configuration is read whole, or everything wrong with it is said at once."""

from __future__ import annotations

import copy
import pickle
from pathlib import Path

import pytest

from structiot.errors import ConfigError
from structiot.gateway import ConfigProblem, InvalidConfig, load_config
from structiot.mqtt.broker import hash_password
from tests.gateway.configs import problems_of, secret_file, written

FULL = """\
[mqtt]
uri = "mqtt://broker.example:1884/"
username = "gateway"
password_file = "password"
client_id = "house"
base_topic = "home/iot"
discovery = false
discovery_prefix = "ha"
keep_alive_s = 30

[gateway]
id = "house-1"
command_s = 5
goodbye_s = 1.5
forget_on_exit = true
retry_max_s = 120

[maxsmart]
discover = false
discover_every_s = 300
broadcast = ["192.168.1.255", "10.0.0.255"]
poll_s = 2
reply_s = 0.5
http_port = 8080
udp_port = 8889

[[maxsmart.devices]]
host = "192.168.1.100"
name = "Kitchen"

[[maxsmart.devices]]
host = "desk.local"
http_port = 8081
udp_port = 8890
poll_s = 0.5
"""


def test_every_setting_is_read(tmp_path: Path):
    secret_file(tmp_path / "password", "hunter2\nsecond line\n")
    config = load_config(written(tmp_path, FULL))
    mqtt, gateway, maxsmart = config.mqtt, config.gateway, config.maxsmart
    assert (mqtt.uri, mqtt.username) == ("mqtt://broker.example:1884/", "gateway")
    assert mqtt.password is not None
    assert mqtt.password.reveal() == "hunter2"
    assert (mqtt.client_id, mqtt.base_topic) == ("house", "home/iot")
    assert (mqtt.discovery, mqtt.discovery_prefix) == (False, "ha")
    assert mqtt.keep_alive_s == 30
    assert (gateway.id, gateway.command_s) == ("house-1", 5.0)
    assert (gateway.goodbye_s, gateway.retry_max_s) == (1.5, 120.0)
    assert gateway.forget_on_exit
    assert maxsmart is not None
    assert (maxsmart.discover, maxsmart.discover_every_s) == (False, 300.0)
    assert maxsmart.broadcast == ("192.168.1.255", "10.0.0.255")
    assert (maxsmart.poll_s, maxsmart.http_port, maxsmart.udp_port) == (2, 8080, 8889)
    assert maxsmart.reply_s == 0.5
    first, second = maxsmart.devices
    assert (first.host, first.name, first.http_port) == (
        "192.168.1.100",
        "Kitchen",
        None,
    )
    assert (second.name, second.http_port, second.udp_port) == (None, 8081, 8890)
    assert second.poll_s == 0.5


@pytest.mark.parametrize(
    "uri", ["mqtts://b/", "ws://b:8080/mqtt", "wss://b/", "unix:///run/mqtt.sock"]
)
def test_every_way_to_a_broker_is_accepted(uri: str):
    assert load_config({"mqtt": {"uri": uri}}).mqtt.uri == uri


def test_files_are_found_beside_the_configuration(tmp_path: Path):
    for name in ("ca.pem", "me.pem", "me.key"):
        (tmp_path / name).write_text("")
    text = """\
[mqtt]
uri = "mqtts://broker/"
ca_file = "ca.pem"
cert_file = "me.pem"
key_file = "me.key"
"""
    mqtt = load_config(written(tmp_path, text)).mqtt
    assert mqtt.ca_file == str(tmp_path / "ca.pem")
    assert mqtt.cert_file == str(tmp_path / "me.pem")
    assert mqtt.key_file == str(tmp_path / "me.key")


def test_the_embedded_brokers_files_are_found_beside_the_configuration(tmp_path: Path):
    (tmp_path / "who").write_text(f"me:{hash_password('p')}\n")
    text = """
[mqtt]
username = "me"
password = "p"

[broker]
listen = ["mqtt://0.0.0.0:1883", "ws://127.0.0.1:8083"]
password_file = "who"
store = "broker.sqlite"
"""
    broker = load_config(written(tmp_path, text)).broker
    assert broker.listen == ("mqtt://0.0.0.0:1883", "ws://127.0.0.1:8083")
    assert broker.password_file == str(tmp_path / "who")
    assert broker.store == str(tmp_path / "broker.sqlite")


def test_an_empty_file_is_all_defaults(tmp_path: Path):
    config = load_config(written(tmp_path, ""))
    assert config == load_config({})
    assert config.mqtt.uri is None
    assert config.broker.listen == ("mqtt://127.0.0.1:1883",)
    assert (config.broker.password_file, config.broker.store) == (None, None)
    assert (config.mqtt.base_topic, config.mqtt.discovery_prefix) == (
        "structiot",
        "homeassistant",
    )
    assert config.gateway.id == "structiot"
    assert config.maxsmart is None


def test_a_section_without_keys_switches_its_system_on():
    maxsmart = load_config({"maxsmart": {}}).maxsmart
    assert maxsmart is not None
    assert (maxsmart.discover, maxsmart.poll_s) == (True, 5.0)
    assert maxsmart.broadcast is None


def test_a_password_never_shows():
    config = load_config({"mqtt": {"username": "u", "password": "hunter2"}})
    assert config.mqtt.password is not None
    assert config.mqtt.password.reveal() == "hunter2"
    for shown in (str(config), repr(config), f"{config.mqtt}"):
        assert "hunter2" not in shown


def test_a_password_in_an_address_never_shows():
    config = load_config({"mqtt": {"uri": "mqtt://ann:hunter2@broker"}})
    assert config.mqtt.uri == "mqtt://ann:hunter2@broker"
    for shown in (str(config), repr(config), f"{config.mqtt}"):
        assert "hunter2" not in shown


def test_everything_is_reported_at_once_in_the_order_of_the_file(tmp_path: Path):
    text = """\
[mqtt]
uri = "nowhere"
passwort = "x"

[maxsmart]
poll_s = 0

[[maxsmart.devices]]
host = "a"
name = "Desk"

[[maxsmart.devices]]
name = "desk"
"""
    assert problems_of(tmp_path, text) == [
        "structiot.toml:2:7: uri: an address of a broker begins with mqtt://, mqtts://, ws://, wss://, unix://",
        "structiot.toml:3:1: unknown key 'passwort' in [mqtt]; did you mean 'password'?",
        "structiot.toml:6:10: poll_s must be at least 0.5, not 0",
        "structiot.toml:12:1: host is missing in [[maxsmart.devices]]",
        (
            "structiot.toml:13:8: the name 'desk' is taken: "
            "its topics would be those of 'Desk' above ('desk')"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("a = 1\nb = = 2", "2:5"),
        ("[mqtt]\nuri = 'x", "2:7"),
        ("a = 1\na = 2", "2:1"),
        ("a = [1,\n", "2:1"),
    ],
)
def test_a_file_that_is_no_toml_is_reported_in_the_same_form(tmp_path, text, place):
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(f"structiot.toml:{place}: not valid TOML: "), problem
    assert "(at" not in problem


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("[mqtt]\nuri = 'a'\n  uri = 'b'\nx = 1", "3:3: {}'uri' is there already"),
        ("a.b = 1\n'c' = 2\na.b = [\n1]", "3:1: {}'a.b' is there already"),
        ("[a.b]\nc = 1\n [a.b]\n", "3:1: {}the table 'a.b' is there already"),
        ("[[a]]\n[a]\n", "2:1: {}the table 'a' is there already"),
        ("a = {b = 1, b = 2}", "1:18: {}duplicate inline table key 'b'"),
        ("[mqtt]\nuri = 'x\n[broker]\n", "2:7: {}the text of 'uri'{} '"),
        ("[mqtt]\nuri = 'x\nusername = 'y'\n", "2:7: {}the text of 'uri'{} '"),
        ('[mqtt]\nuri = "x\nusername = "y"\n', "2:7: {}the text of 'uri'{} \""),
        ('[mqtt]\nuri = "x', "2:7: {}the text of 'uri'{} \""),
        ('a = [\n "x",\n "y\n]', "3:2: {}the text of 'a'{} \""),
        ('a = """x\n\n[b]\n', '1:5: {}the text of \'a\'{} """'),
        ("a = '''x\n\n[b]\n", "1:5: {}the text of 'a'{} '''"),
        ("\r\n[m]\r\nu = 'x\r\n", "3:5: {}the text of 'u'{} '"),
    ],
)
def test_what_is_there_twice_or_has_no_end_is_named_and_placed(tmp_path, text, fault):
    expected = fault.format("not valid TOML: ", " that begins here has no closing")
    file = tmp_path / "structiot.toml"
    file.write_bytes(text.encode())
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    (problem,) = caught.value.problems
    assert str(problem) == f"{file}:{expected}"


@pytest.mark.parametrize("key", ["password", "password_file"])
def test_a_password_may_stand_apart_from_a_user_in_the_address(
    tmp_path: Path, key: str
):
    secret = secret_file(tmp_path / "secret", "word\n")
    value = "word" if key == "password" else str(secret)
    file = tmp_path / "structiot.toml"
    file.write_text(f"[mqtt]\nuri = 'mqtt://ann@broker'\n{key} = '{value}'\n")
    assert load_config(file).mqtt.uri == "mqtt://ann@broker"


def test_a_file_that_is_no_utf8_is_reported_with_the_place(tmp_path: Path):
    file = tmp_path / "structiot.toml"
    file.write_bytes("[mqtt]\nusername = 'Jürgen'".encode("latin-1"))
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    assert caught.value.problems == (
        ConfigProblem(
            path=str(file),
            line=2,
            column=14,
            message="byte 0xfc is no UTF-8, which TOML is written in",
        ),
    )


def test_a_file_that_is_not_there_is_a_problem_without_a_place(tmp_path: Path):
    file = str(tmp_path / "nowhere.toml")
    with pytest.raises(InvalidConfig, match=r"no such file or directory$") as caught:
        load_config(file)
    (problem,) = caught.value.problems
    assert (problem.path, problem.line, problem.column) == (file, None, None)
    assert str(problem) == f"{file}: cannot be read: no such file or directory"


def test_settings_in_memory_are_checked_like_a_file():
    with pytest.raises(ConfigError) as caught:
        load_config({"maxsmart": {"poll_s": 0, "devices": [{"name": "a#"}]}})
    assert str(caught.value) == (
        "host is missing in [[maxsmart.devices]]; "
        "name: 'a#' has '#', which means something in a topic; "
        "poll_s must be at least 0.5, not 0"
    )


@pytest.mark.parametrize(
    "uri", ["mqtt://u:hunter2@h:x", "mqtt://u:hunter2@[", "http://u:hunter2@h"]
)
def test_a_broken_address_does_not_give_its_password_away(uri: str):
    with pytest.raises(InvalidConfig) as caught:
        load_config({"mqtt": {"uri": uri}})
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(caught.value.problems)
    assert "\n" not in str(caught.value)


def test_a_secret_of_the_wrong_type_does_not_show(tmp_path: Path):
    (problem,) = problems_of(tmp_path, "[mqtt]\nusername='u'\npassword = [ 'hunter2' ]")
    assert "hunter2" not in problem


def test_the_error_survives_copying_and_pickling():
    with pytest.raises(InvalidConfig) as caught:
        load_config({"mqtt": 1})
    error = caught.value
    for twin in (copy.copy(error), pickle.loads(pickle.dumps(error))):
        assert (str(twin), twin.problems) == (str(error), error.problems)


def test_every_default_is_a_setting_that_would_be_accepted(tmp_path: Path):
    config = load_config({"maxsmart": {}})
    data = config.model_dump(exclude_none=True)
    assert load_config(data) == config
