"""A configuration is read whole, or everything wrong with it is said at once."""

from __future__ import annotations

import copy
import pickle
import re
from pathlib import Path

import pytest

from structiot.errors import ConfigError
from structiot.gateway.config import load_config
from structiot.gateway.errors import ConfigProblem, InvalidConfig

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


def written(folder: Path, text: str) -> Path:
    file = folder / "structiot.toml"
    file.write_text(text, encoding="utf-8")
    return file


def problems_of(folder: Path, text: str) -> list[str]:
    """Give the problems of a text without the folder of the test."""
    file = written(folder, text)
    with pytest.raises(InvalidConfig) as caught:
        load_config(file)
    return [
        str(problem).replace(str(file), "structiot.toml")
        for problem in caught.value.problems
    ]


def test_every_setting_is_read(tmp_path: Path):
    (tmp_path / "password").write_text("hunter2\nsecond line\n")
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


def test_an_empty_file_is_all_defaults(tmp_path: Path):
    config = load_config(written(tmp_path, ""))
    assert config == load_config({})
    assert config.mqtt.uri == "mqtt://127.0.0.1:1883/"
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


DEVICE = "[[maxsmart.devices]]\nhost = 'strip'\n"

# What is written, and all that is said about it.
TABLE = [
    ("mqt = 1", ["1:1: unknown key 'mqt' in the file; did you mean 'mqtt'?"]),
    (
        "[zigbee]",
        ["1:2: unknown key 'zigbee' in the file; known are mqtt, gateway, maxsmart"],
    ),
    (
        "[mqtt]\nbase_topics = 'a'",
        ["2:1: unknown key 'base_topics' in [mqtt]; did you mean 'base_topic'?"],
    ),
    (
        "[maxsmart]\nPoll-S = 5",
        ["2:1: unknown key 'Poll-S' in [maxsmart]; did you mean 'poll_s'?"],
    ),
    (
        "[mqtt]\npoll_s = 5",
        [
            (
                "2:1: unknown key 'poll_s' in [mqtt]; "
                "it belongs in [maxsmart] or [[maxsmart.devices]]"
            )
        ],
    ),
    (
        DEVICE + "port = 80",
        [
            (
                "3:1: unknown key 'port' in [[maxsmart.devices]]; "
                "did you mean 'http_port' or 'udp_port'?"
            )
        ],
    ),
    (
        DEVICE + "colour = 'red'",
        [
            (
                "3:1: unknown key 'colour' in [[maxsmart.devices]]; "
                "known are host, name, http_port, udp_port, poll_s"
            )
        ],
    ),
    ("mqtt = 3", ["1:8: mqtt must be a table, not a number"]),
    ("maxsmart = []", ["1:12: maxsmart must be a table, not an array"]),
    (
        "[maxsmart.devices]\nhost = 'a'",
        [
            (
                "1:1: devices must be an array of tables: "
                "write [[maxsmart.devices]], not a table"
            )
        ],
    ),
    ("[mqtt]\nuri = 1883", ["2:7: uri must be a text in quotes, not a number"]),
    (
        "[mqtt]\nkeep_alive_s = '15'",
        ["2:16: keep_alive_s must be a whole number, not a text"],
    ),
    (
        "[mqtt]\nkeep_alive_s = 1.5",
        ["2:16: keep_alive_s must be a whole number, not a number with a fraction"],
    ),
    ("[mqtt]\ndiscovery = 1", ["2:13: discovery must be true or false, not a number"]),
    ("[maxsmart]\npoll_s = true", ["2:10: poll_s must be a number, not true"]),
    (
        "[maxsmart]\npoll_s = 2024-05-01",
        ["2:10: poll_s must be a number, not a date or time"],
    ),
    ("[maxsmart]\npoll_s = nan", ["2:10: poll_s must be a finite number"]),
    ("[maxsmart]\npoll_s = 0", ["2:10: poll_s must be at least 0.5, not 0"]),
    (
        "[maxsmart]\npoll_s = 1e9",
        ["2:10: poll_s must be at most 3600, not 1000000000.0"],
    ),
    ("[maxsmart]\nhttp_port = 0", ["2:13: http_port must be at least 1, not 0"]),
    (
        "[maxsmart]\nudp_port = 65536",
        ["2:12: udp_port must be at most 65535, not 65536"],
    ),
    ("[gateway]\ngoodbye_s = -1", ["2:13: goodbye_s must be at least 0.1, not -1"]),
    (
        "[mqtt]\nclient_id = ''",
        ['2:13: client_id must be a text that is not empty, not ""'],
    ),
    (
        "[maxsmart]\nbroadcast = '10.0.0.255'",
        ["2:13: broadcast must be an array, not a text"],
    ),
    (
        "[maxsmart]\nbroadcast = [\n  '10.0.0.255',\n  7,\n]",
        ["4:3: broadcast must be a text in quotes, not a number"],
    ),
    (
        "[maxsmart]\nbroadcast = []",
        [
            (
                "2:13: broadcast is empty although discover is true: "
                "give an address, or set discover = false"
            )
        ],
    ),
    ("[[maxsmart.devices]]", ["1:1: host is missing in [[maxsmart.devices]]"]),
    (
        "[[maxsmart.devices]]\nhost = 'http://strip'",
        [
            "2:8: host: 'http://strip' is no address or host name, such as '192.168.1.100'"
        ],
    ),
    (
        "[maxsmart]\ndevices = [ {host = 'a'}, {host = ''} ]",
        ["2:35: host: '' is no address or host name, such as '192.168.1.100'"],
    ),
    (
        DEVICE + "name = 'a/b'",
        ["3:8: name: 'a/b' has '/', which means something in a topic"],
    ),
    (
        DEVICE + "name = 'C#'",
        ["3:8: name: 'C#' has '#', which means something in a topic"],
    ),
    (
        DEVICE + "name = '+1'",
        ["3:8: name: '+1' has '+', which means something in a topic"],
    ),
    (
        DEVICE + "name = '???'",
        ["3:8: name: '???' has no letter or digit to make a topic of"],
    ),
    (
        DEVICE + "name = 'Gateway'",
        ["3:8: name: 'Gateway' is the gateway's own place in the topics"],
    ),
    (
        DEVICE + "name = 'Desk'\n[[maxsmart.devices]]\nhost = 'b'\nname = 'Desk'",
        ["6:8: the name 'Desk' is taken: its topics would be those above ('desk')"],
    ),
    (
        DEVICE + "name = 'Küche'\n[[maxsmart.devices]]\nhost = 'b'\nname = 'KÜCHE!'",
        [
            (
                "6:8: the name 'KÜCHE!' is taken: "
                "its topics would be those of 'Küche' above ('kuche')"
            )
        ],
    ),
    (
        DEVICE + "[[maxsmart.devices]]\nhost = 'STRIP'\nhttp_port = 80",
        ["4:8: host 'STRIP' is listed twice with the same http_port"],
    ),
    (
        "[mqtt]\nuri = 'http://broker'",
        ["2:7: uri: an address of a broker begins with mqtt://"],
    ),
    (
        "[mqtt]\nuri = 'broker'",
        ["2:7: uri: an address of a broker begins with mqtt://"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://'",
        ["2:7: uri: the address names no host; write mqtt://host:1883/"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://broker:99999'",
        ["2:7: uri: no broker has such an address: port out of range 0-65535"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://broker:0'",
        ["2:7: uri: 0 is no port of a broker; the usual one is 1883"],
    ),
    (
        "[mqtt]\nbase_topic = 'home/+'",
        ["2:14: base_topic: 'home/+' has the wildcard '+', which only filters may"],
    ),
    (
        "[mqtt]\nbase_topic = '#'",
        ["2:14: base_topic: '#' has the wildcard '#', which only filters may"],
    ),
    (
        "[mqtt]\nbase_topic = '/home'",
        [
            "2:14: base_topic: '/home' has an empty level; write it like 'home/structiot'"
        ],
    ),
    (
        "[mqtt]\ndiscovery_prefix = '$SYS'",
        ["2:20: discovery_prefix: '$SYS' begins with '$', which belongs to the broker"],
    ),
    (
        '[mqtt]\nbase_topic = "a\\u0000"',
        ["2:14: base_topic: 'a\\x00' has a control character"],
    ),
    (
        f"[mqtt]\nbase_topic = '{'x' * 257}'",
        ["2:14: base_topic: the topic is longer than 256 bytes"],
    ),
    (
        "[gateway]\nid = 'my house'",
        [
            (
                "2:6: id: 'my house' is no id: 1 to 64 letters, digits, '_' and '-', "
                "as Home Assistant asks for"
            )
        ],
    ),
    ("[mqtt]\npassword = 'p'", ["2:1: password needs a username beside it"]),
    (
        "[mqtt]\nusername = 'u'\npassword = 5",
        ["3:12: password must be a text in quotes, not a number"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://u:p@b'\nusername = 'u'",
        ["3:1: username is given although uri names a user already"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'nowhere'",
        ["3:17: password_file cannot be read: no such file or directory"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'empty'",
        ["3:17: password_file has an empty first line"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'binary'",
        ["3:17: password_file cannot be read: it is not text"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword = 'p'\npassword_file = 'good'",
        ["4:1: password_file and password cannot both be given"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=lambda value: str(value)[:60])
def test_each_fault_is_said_with_its_place(tmp_path: Path, text, expected):
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "good").write_text("secret\n")
    (tmp_path / "binary").write_bytes(b"\xff\xfe\n")
    assert problems_of(tmp_path, text) == [
        f"structiot.toml:{line}" for line in expected
    ]


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
        "structiot.toml:2:7: uri: an address of a broker begins with mqtt://",
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
        ("[mqtt]\nuri = 'x", "2:9"),
        ("a = 1\na = 2", "2:6"),
        ("a = [1,\n", "2:1"),
    ],
)
def test_a_file_that_is_no_toml_is_reported_in_the_same_form(tmp_path, text, place):
    (problem,) = problems_of(tmp_path, text)
    assert problem.startswith(f"structiot.toml:{place}: not valid TOML: "), problem
    assert "(at" not in problem


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


def test_no_message_speaks_of_pydantic(tmp_path: Path):
    for text, _ in TABLE:
        for problem in problems_of(tmp_path, text):
            assert not re.search(r"pydantic|Input should|Extra inputs", problem)
