"""What an error says where it is shown: no secrets, and all of our own words."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

import structiot
from structiot._kit.text import (
    counted,
    did_you_mean,
    error_text,
    told_apart,
    with_names,
    without_named_secrets,
)
from structiot.errors import AuthRefused, ConfigError, ConnectFailed

OURS = (
    "no account has this e-mail and password: mend them",
    "there is no password to sign in with: give email= and password=, or a token",
    "--lan needs the key: put it into $KEY",
    "password = 'x' is none",
)


@pytest.mark.parametrize("text", OURS)
@pytest.mark.parametrize("kind", [ConfigError, AuthRefused])
def test_our_own_words_are_shown_whole(kind, text):
    assert error_text(kind(text)) == text


def test_values_are_hidden_in_our_words_too():
    said = error_text(ConfigError("GET /x?token=abc&a=1 with password:hunter2, key=k"))
    assert said == "GET /x?token=***&a=1 with password:***, key=***"


def test_what_others_say_shows_no_secret_even_if_it_is_repeated():
    theirs = ValueError("refused, password: hunter2")
    assert error_text(theirs) == "refused, password: ***"
    assert error_text(ValueError("a token : abc")) == "a token : ***"
    for text, shown in (
        ("POST /auth/token: the peer hung up", "POST /auth/token: the peer hung up"),
        (
            "GET /auth/token:abc and /x/token= abc",
            "GET /auth/token:*** and /x/token= ***",
        ),
    ):
        assert error_text(ValueError(text)) == shown
    ours = ConnectFailed(f"cannot open: {theirs}")
    ours.__cause__ = theirs
    assert "hunter2" not in error_text(ours)


def test_arguments_are_called_as_the_user_calls_them():
    text = "give email= and password=: x=1, url=..., NAME=VALUE (mfa= is asked)"
    options = {"email": "--email", "password": "--password-file", "x": "--x"}
    said = with_names(text, options)
    assert said == "give --email and --password-file: x=1, url=..., NAME=VALUE"
    assert with_names(text, {"mfa": "--mfa"}).endswith(" (--mfa is asked)")


def test_one_is_no_plural():
    counts = [counted(number, "message") for number in (0, 1, 2)]
    assert counts == ["0 messages", "1 message", "2 messages"]
    assert [counted(number, "box", "boxes") for number in (1, 2)] == [
        "1 box",
        "2 boxes",
    ]


def test_equal_names_are_told_apart_by_numbers():
    names = ["a", "b", "a", "a (2)", "a"]
    assert told_apart(names) == ["a", "b", "a (3)", "a (2)", "a (4)"]
    assert told_apart([]) == []


# ---------------------------------------------------------------- our own words

# A header, a file and a line of TOML, which are no messages.
NO_MESSAGES = ("Proxy-Authorization: ", "[CONNECTOR]\n", "key = {}")


def texts_in(path: Path) -> Iterator[str]:
    """Give the texts of a module that are not its documentation, with `{}` for values."""
    tree = ast.parse(path.read_text("utf-8"))
    parts = {
        id(value)
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr)
        for value in node.values
    }
    parts |= {
        id(node.value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            yield "".join(
                str(one.value) if isinstance(one, ast.Constant) else "{}"
                for one in node.values
            )
        elif isinstance(node, ast.Constant) and id(node) not in parts:
            yield node.value if isinstance(node.value, str) else ""


def test_no_message_of_ours_has_a_word_that_is_taken_for_a_secret():
    folder = Path(structiot.__file__).parent
    taken = {
        text
        for path in folder.rglob("*.py")
        for text in texts_in(path)
        if " " in text and without_named_secrets(text) != text
    }
    assert {one for one in taken if not one.startswith(NO_MESSAGES)} == set()


@pytest.mark.parametrize("length", [10, 90, 5000])
def test_of_very_many_or_long_names_only_the_first_are_compared(length):
    name = "kitchne".ljust(length, "x")
    known = iter([f"kitchen{number}".ljust(length, "x") for number in range(20_000)])
    did_you_mean(name, known)
    assert len(list(known)) > 19_500
    assert did_you_mean("kitchne", ["hall", "kitchen"]) == "; did you mean 'kitchen'?"
