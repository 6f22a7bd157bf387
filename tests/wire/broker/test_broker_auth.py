"""Password files and permissions: row B26 of the conformance table."""

from __future__ import annotations

import base64
import hashlib
from pathlib import Path

import pytest

from structiot.errors import ConfigError
from structiot.mqtt.broker import (
    BrokerLimits,
    Passwords,
    Permission,
    Permissions,
    hash_password,
)


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("auth") / "passwords"
    path.write_text(
        "# the house\n\n"
        f"alice:{hash_password('wonderland')}\n"
        f"bob:{hash_password(b'builder', salt=bytes(16))}\n"
    )
    return path


@pytest.mark.parametrize(
    ("name", "password", "is_right"),
    [
        ("alice", b"wonderland", True),
        ("bob", b"builder", True),
        ("alice", b"Wonderland", False),
        ("alice", b"", False),
        ("alice", b"builder", False),
        ("carol", b"wonderland", False),
        ("", b"", False),
    ],
)
def test_b26_a_password_file_lets_in_who_knows_the_password(
    file: Path,
    name: str,
    password: bytes,
    is_right: bool,
):
    assert Passwords.read(file).check(name, password) == is_right


def test_b26_two_hashes_of_one_password_differ():
    first, second = hash_password("same"), hash_password("same")
    assert first != second
    assert Passwords({"a": first}).check("a", b"same")
    assert "same" not in first


def test_b26_a_hash_with_other_parameters_is_read():
    key = hashlib.scrypt(b"x", salt=b"salt", n=1024, r=4, p=2, dklen=32)
    text = f"$scrypt$1024$4$2$c2FsdA==${base64.b64encode(key).decode()}"
    assert Passwords({"a": text}).check("a", b"x")
    assert not Passwords({"a": text}).check("a", b"y")


KEY = "A" * 43 + "="


@pytest.mark.parametrize(
    "text",
    [
        "",
        "$scrypt$nonsense",
        f"$argon2$1024$8$1$c2FsdA==${KEY}",
        f"$scrypt$-2$8$1$c2FsdA==${KEY}",
        f"$scrypt$0$8$1$c2FsdA==${KEY}",
        f"$scrypt$1$8$1$c2FsdA==${KEY}",
        f"$scrypt$3$8$1$c2FsdA==${KEY}",
        f"$scrypt$100000000000000000000$8$1$c2FsdA==${KEY}",
        f"$scrypt$536870912$8$1$c2FsdA==${KEY}",
        f"$scrypt$1024$0$1$c2FsdA==${KEY}",
        f"$scrypt$1024$999999999$1$c2FsdA==${KEY}",
        f"$scrypt$1024$8$0$c2FsdA==${KEY}",
        f"$scrypt$1024$8$17$c2FsdA==${KEY}",
        f"$scrypt$\u0661024$8$1$c2FsdA==${KEY}",
        f"$scrypt$1024$8$1$c2F$dA==${KEY}",
        f"$scrypt$1024$8$1$\xe9${KEY}",
        "$scrypt$1024$8$1$c2FsdA==$",
        "$scrypt$1024$8$1$c2FsdA==$AAAA",
    ],
)
def test_b26_a_hash_that_cannot_be_is_refused_with_its_place(tmp_path: Path, text: str):
    with pytest.raises(ConfigError, match="'alice'"):
        Passwords({"alice": text})
    path = tmp_path / "passwords"
    path.write_text(f"# first\nalice:{text}\n", "utf-8")
    with pytest.raises(ConfigError, match="passwords, line 2: "):
        Passwords.read(path)


# Made by mosquitto_passwd 2.0.11, the second with `-H sha512`.
MOSQUITTO_LINES = """\
ann:$7$101$jHXXfvaiZu963DxB$o+xQ4cDdZyl5qcuwmQ6PjCd2uGI4jIs2foSfr1mwfh/11BNUsppOahjyikzA9mDtC4YYjq8O1J+GDhMKYm/1LQ==
bob:$6$VHwDA8CH4xRd5Mal$Up8n5TRqL5ysZFi3cuEINMrYFgPCyphjFmeANA8GLkltOuK89sdl17PxewS6WlIVPkITV8fRG906zv9RE2XBhw==
"""
SALT, LONG_KEY = "c2FsdA==", "A" * 86 + "=="


def test_l2_a_password_file_of_mosquitto_is_read(tmp_path: Path):
    path = tmp_path / "passwd"
    path.write_text(MOSQUITTO_LINES)
    passwords = Passwords.read(path)
    for name, word in (("ann", "her word"), ("bob", "his w\u00f6rd")):
        assert not passwords.check(name, b"guess")
        assert not passwords.is_known(name, word.encode())
        assert passwords.check(name, word.encode())
        assert passwords.is_known(name, word.encode())
    assert not passwords.check("nobody", b"her word")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$7$", r"nor \$7\$... or \$6\$..."),
        (f"$7${SALT}${LONG_KEY}", r"nor \$7\$... or \$6\$..."),
        (f"$7$1$1${SALT}${LONG_KEY}", r"nor \$7\$... or \$6\$..."),
        (f"$6$1${SALT}${LONG_KEY}", r"nor \$7\$... or \$6\$..."),
        (f"$5${SALT}${LONG_KEY}", r"nor \$7\$... or \$6\$..."),
        (f"$7$x${SALT}${LONG_KEY}", "iterations, are numbers"),
        (f"$7$0${SALT}${LONG_KEY}", "1 to 1000000 iterations, not 0"),
        (f"$7$1000001${SALT}${LONG_KEY}", "1 to 1000000 iterations, not 1000001"),
        (f"$7$101$c${LONG_KEY}", "base64"),
        (f"$7$101${SALT}${KEY}", "the key has 32 bytes, not 64"),
        (f"$6${SALT}$", "the key has 0 bytes, not 64"),
        ("unhashed", "not name"),
    ],
)
def test_l2_a_wrong_line_of_mosquitto_is_named(tmp_path: Path, text: str, said: str):
    path = tmp_path / "passwd"
    path.write_text(f"{MOSQUITTO_LINES}eve:{text}\n")
    with pytest.raises(ConfigError, match=f"passwd, line 3: .*{said}"):
        Passwords.read(path)


def test_b26_a_password_file_that_no_file_can_be_is_named():
    with pytest.raises(ConfigError, match="cannot read the password file"):
        Passwords.read(Path("pass\0words"))


@pytest.mark.parametrize(
    ("text", "place"),
    [("alice", "line 1"), ("\nalice:plain\n", "line 2"), (":$scrypt$", "line 1")],
)
def test_b26_a_line_that_is_none_is_named(tmp_path: Path, text: str, place: str):
    path = tmp_path / "passwords"
    path.write_text(text)
    with pytest.raises(ConfigError, match=place):
        Passwords.read(path)


def test_b26_a_password_file_that_is_not_there_is_named(tmp_path: Path):
    with pytest.raises(ConfigError, match="nowhere"):
        Passwords.read(tmp_path / "nowhere")


def test_b26_a_password_file_that_is_no_text_is_named(tmp_path: Path):
    path = tmp_path / "passwords"
    path.write_bytes(b"alice:\xff\n")
    with pytest.raises(ConfigError, match="passwords is not text"):
        Passwords.read(path)


def test_b26_without_entries_everything_is_allowed():
    permissions = Permissions()
    assert permissions.may_publish(None, "c", "a")
    assert permissions.may_subscribe(None, "c", "#")


@pytest.mark.parametrize(
    ("allowed", "wanted", "is_covered"),
    [
        ("#", "#", True),
        ("#", "a/+/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/#", True),
        ("a/#", "a", True),
        ("a/#", "a/#", True),
        ("a/#", "a/+", True),
        ("a/#", "#", False),
        ("a/#", "+/b", False),
        ("a/+", "a/+", True),
        ("a/+", "a/b", True),
        ("a/+", "a/#", False),
        ("a/+", "a/b/c", False),
        ("a/b", "a/+", False),
        ("a/b", "a/b", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_b26_a_filter_is_allowed_if_all_that_it_matches_is(
    allowed: str,
    wanted: str,
    is_covered: bool,
):
    permissions = Permissions([Permission(subscribe=[allowed])])
    assert permissions.may_subscribe(None, "c", wanted) == is_covered


@pytest.mark.parametrize("name", ["+", "#", "a/b", ""])
def test_b26_a_name_with_wildcards_does_not_widen_a_pattern(name: str):
    permissions = Permissions([Permission(publish=["to/%c/%u"])])
    assert permissions.may_publish("u", "me", "to/me/u")
    assert not permissions.may_publish("u", name, f"to/{name}/u")
    assert not permissions.may_publish(name, "me", f"to/me/{name}")
    assert not permissions.may_publish(None, "me", "to/me/None")


@pytest.mark.parametrize(
    ("user", "client_id", "topic", "may"),
    [
        ("%c", "alice", "of/alice/x", False),
        ("%c", "alice", "of/%c/x", True),
        ("%u", "alice", "of/%u/x", True),
        ("a%cb", "alice", "of/aaliceb/x", False),
        ("%", "c", "of/c/x", False),
        ("%", "c", "of/%/x", True),
    ],
)
def test_b26_what_a_name_puts_in_is_no_mark(
    user: str, client_id: str, topic: str, may: bool
):
    permissions = Permissions([Permission(publish=["of/%u/x"], subscribe=["of/%u/x"])])
    assert permissions.may_publish(user, client_id, topic) == may
    assert permissions.may_subscribe(user, client_id, topic) == may


def test_b26_a_client_id_with_a_mark_in_it_is_only_text():
    permissions = Permissions([Permission(publish=["%c/of/%u"])])
    assert permissions.may_publish("bob", "%u", "%u/of/bob")
    assert not permissions.may_publish("bob", "%u", "bob/of/bob")


@pytest.mark.parametrize("name", ["$SYS", "$share", "$"])
def test_b26_a_name_does_not_open_the_brokers_own_topics(name: str):
    permissions = Permissions([Permission(subscribe=["%c/#"], publish=["%u/#"])])
    assert permissions.may_subscribe("me", "mine", "mine/#")
    assert not permissions.may_subscribe("me", name, f"{name}/#")
    assert not permissions.may_publish(name, "mine", f"{name}/broker/version")


def test_b26_a_permission_that_is_no_filter_is_named():
    with pytest.raises(ConfigError, match="a#"):
        Permissions([Permission(publish=["a#"])])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("connections", 0),
        ("queued", -1),
        ("topic_alias_maximum", -1),
        ("receive_maximum", 65_536),
        ("packet_bytes", 268_435_461),
        ("connect_bytes", 16_385),
        ("queue_policy", "forget"),
    ],
)
def test_b28_a_limit_that_cannot_be_is_named(name: str, value: object):
    with pytest.raises(ConfigError, match=name):
        BrokerLimits(**{name: value})  # type: ignore[arg-type]
