"""Password files and permissions: row B26 of the conformance table."""

from __future__ import annotations

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
    text = "$scrypt$1024$8$1$c2FsdA==$"
    assert not Passwords({"a": text}).check("a", b"x")
    assert not Passwords({"a": "$scrypt$nonsense"}).check("a", b"x")
    assert not Passwords({"a": "$scrypt$3$8$1$c2FsdA==$AAAA"}).check("a", b"x")


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
