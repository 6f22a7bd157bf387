"""Each fault of a configuration is said in words that a user can act on."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from structiot.gateway import GatewayConfig
from structiot.gateway.installed import installed_drivers
from tests.gateway.configs import problems_of, secret_file

DEVICE = "[[maxsmart.devices]]\nhost = 'strip'\n"

NO_PORT = (
    "no broker has such an address: its port is no number from 1 to 65535; an IPv6 "
    "address stands in brackets, such as mqtt://[::1]:1883"
)

# What is written, and all that is said about it.
TABLE = [
    ("mqt = 1", ["1:1: unknown key 'mqt' in the file; did you mean 'mqtt'?"]),
    (
        "[zigbee]",
        [
            "1:2: unknown key 'zigbee' in the file; known are "
            + ", ".join([*GatewayConfig.model_fields, *sorted(installed_drivers())])
        ],
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
                "it belongs in [maxsmart] or [[maxsmart.devices]] or [meross] "
                "or [[meross.devices]]"
            )
        ],
    ),
    (
        "[broker]\nport = 1",
        ["2:1: unknown key 'port' in [broker]; did you mean 'listen'?"],
    ),
    (
        "[mqtt]\nhost = 'broker'",
        ["2:1: unknown key 'host' in [mqtt]; did you mean 'uri'?"],
    ),
    (
        "[meross]\nkey = 'k'\n[[meross.devices]]\nhost = '10.0.0.1:81'",
        [
            (
                "4:8: host: '10.0.0.1:81' is more than an address or host name: "
                "write '10.0.0.1', and give the port by port"
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
                "known are host, name, id, http_port, udp_port, poll_s, watt_unit"
            )
        ],
    ),
    ("mqtt = 3", ["1:8: mqtt must be a table: write [mqtt], not a number"]),
    (
        "maxsmart = []",
        ["1:12: maxsmart must be a table: write [maxsmart], not an array"],
    ),
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
            "2:8: host: 'http://strip' is more than an address or host name: write 'strip'"
        ],
    ),
    (
        "[maxsmart]\ndevices = [ {host = 'a'}, {host = ''} ]",
        ["2:35: host: '' is no address or host name, such as '192.168.1.100'"],
    ),
    (
        "[[maxsmart.devices]]\nhost = '10.0.0.7:18080'",
        [
            (
                "2:8: host: '10.0.0.7:18080' is more than an address or host name: "
                "write '10.0.0.7', and give the port by http_port"
            )
        ],
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
        ["3:8: name: '???' has no letter or digit"],
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
        DEVICE + "name = 'Кухня'\n[[maxsmart.devices]]\nhost = 'b'\nname = 'кухня '",
        ["6:8: the name 'кухня ' is taken: another device above has it"],
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
        [
            "2:7: uri: an address of a broker begins with mqtt://, mqtts://, ws://, wss://, unix://"
        ],
    ),
    (
        "[mqtt]\nuri = 'broker'",
        [
            "2:7: uri: an address of a broker begins with mqtt://, mqtts://, ws://, wss://, unix://"
        ],
    ),
    (
        "[mqtt]\nuri = 'mqtt://'",
        ["2:7: uri: the address names no host; write mqtt://host:1883/"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://broker:99999'",
        [f"2:7: uri: {NO_PORT}"],
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
        "[mqtt]\nuri = 'mqtt://u:p@b'\npassword = 'q'",
        ["3:1: password is given although uri has a password already"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://b'\npassword = 'q'",
        ["3:1: password needs a username beside it"],
    ),
    (
        "[mqtt]\nuri = 'unix://'",
        ["2:7: uri: the address names no socket; write unix:///path/to/it"],
    ),
    (
        "[mqtt]\nuri = 'mqtts://b'\nca_file = 'nowhere'",
        ["3:11: ca_file cannot be read: no such file or directory (in .)"],
    ),
    (
        "[mqtt]\ncert_file = 'good'",
        [
            (
                "2:1: cert_file is given although uri is not encrypted; "
                "one that is begins with mqtts:// or wss://"
            )
        ],
    ),
    (
        "[mqtt]\nuri = 'wss://b'\nkey_file = 'good'",
        ["3:1: key_file needs a cert_file beside it"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'nowhere'",
        ["3:17: password_file cannot be read: no such file or directory (in .)"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'empty'",
        ["3:17: password_file has an empty first line"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword_file = 'binary'",
        ["3:17: password_file cannot be read: it is not text (binary)"],
    ),
    (
        "[mqtt]\nusername = 'u'\npassword = 'p'\npassword_file = 'good'",
        ["4:1: password_file and password cannot both be given"],
    ),
    (
        "[mqtt]\nuri = 'mqtt://b'\n[broker]\nstore = 'x'",
        [
            (
                "3:2: [broker] is about the embedded broker, but uri in [mqtt] names "
                "another"
            )
        ],
    ),
    (
        "[broker]\nlisten = []",
        ["2:10: listen: give an address, such as mqtt://127.0.0.1:1883"],
    ),
    (
        "[broker]\nlisten = ['mqtt://127.0.0.1', 'mqtts://127.0.0.1']",
        [
            (
                "2:31: listen: the embedded broker listens at mqtt://HOST:PORT or "
                "ws://HOST:PORT; for others there is 'structiot mqtt broker'"
            )
        ],
    ),
    (
        "[broker]\nlisten = ['mqtt://127.0.0.1:port']",
        [f"2:11: listen: {NO_PORT}"],
    ),
    (
        "[broker]\nlisten = ['mqtt://0.0.0.0:1883']",
        [
            (
                "2:11: others can reach mqtt://0.0.0.0:1883: say in a password_file who "
                "may; 'structiot mqtt passwd' writes it"
            )
        ],
    ),
    (
        "[broker]\npassword_file = 'good'",
        [
            (
                "2:1: password_file asks the gateway itself for a name: give username "
                "and password in [mqtt]"
            ),
            (
                "2:17: password_file cannot be used: good, line 1: not "
                "name:$scrypt$..., nor $7$... or $6$... of mosquitto_passwd"
            ),
        ],
    ),
    (
        "[mqtt]\nusername = 'u'\n[broker]\npassword_file = 'binary'",
        ["4:17: password_file cannot be used: binary is not text"],
    ),
    (
        "[mqtt]\nusername = 'u'\n[broker]\npassword_file = 'nowhere'",
        ["4:17: password_file cannot be read: no such file or directory (in .)"],
    ),
]


@pytest.mark.parametrize(("text", "expected"), TABLE, ids=lambda value: str(value)[:60])
def test_each_fault_is_said_with_its_place(tmp_path: Path, text, expected):
    secret_file(tmp_path / "empty", "\n")
    secret_file(tmp_path / "good", "secret\n")
    secret_file(tmp_path / "binary", b"\xff\xfe\n")
    assert problems_of(tmp_path, text) == [
        f"structiot.toml:{line}" for line in expected
    ]


def test_no_message_speaks_of_pydantic(tmp_path: Path):
    for text, _ in TABLE:
        for problem in problems_of(tmp_path, text):
            assert not re.search(r"pydantic|Input should|Extra inputs", problem)
