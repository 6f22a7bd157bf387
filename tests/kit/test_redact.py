"""Secrets do not print, and what is logged is fit for a log."""

from __future__ import annotations

import copy
import json
import logging
import pickle
import pprint
import traceback
from dataclasses import asdict, dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from structiot._kit.redact import (
    SECRET_NAMES,
    Secret,
    hex_head,
    is_secret_name,
    redact,
)

PASSWORD = "hunter2-and-more"


@dataclass(frozen=True, slots=True)
class Login:
    user: str
    password: Secret


SHOWN = [
    str,
    repr,
    "{}".format,
    "{!r:>30}".format,
    "{:>30}".format,
    lambda secret: f"{secret}",
    lambda secret: "%s and %r" % (secret, secret),  # noqa: UP031 - as logging does
    lambda secret: str([secret]),
    lambda secret: repr({"password": secret}),
    lambda secret: repr(Login("me", secret)),
    lambda secret: str(asdict(Login("me", secret))),
    pprint.pformat,
    lambda secret: str(ValueError(secret)),
    lambda secret: str(copy.deepcopy(secret)),
]


@pytest.mark.parametrize("show", SHOWN)
def test_a_secret_shows_as_stars_wherever_it_is_printed_or_formatted(show: Any):
    text = show(Secret(PASSWORD))
    assert "***" in text
    assert PASSWORD not in text


def test_a_secret_shows_as_stars_wherever_it_is_logged(
    caplog: pytest.LogCaptureFixture,
):
    secret = Secret(PASSWORD)
    logging.getLogger("test").warning("login with %s, %r", secret, [secret])
    assert caplog.messages == ["login with ***, [Secret('***')]"]


def test_a_secret_does_not_show_in_a_traceback_with_local_variables():
    def login(secret: Secret) -> None:
        assert secret == "wrong"

    with pytest.raises(AssertionError) as caught:
        login(Secret(PASSWORD))
    shown = traceback.TracebackException.from_exception(
        caught.value, capture_locals=True
    )
    text = "".join(shown.format())
    assert "secret = Secret('***')" in text
    assert PASSWORD not in text


def test_a_secret_cannot_slip_into_json():
    with pytest.raises(TypeError):
        json.dumps({"password": Secret(PASSWORD)})


def test_reveal_gives_the_text_itself():
    assert Secret(PASSWORD).reveal() == PASSWORD
    assert pickle.loads(pickle.dumps(Secret(PASSWORD))).reveal() == PASSWORD


def test_an_empty_secret_is_false():
    assert not Secret("")
    assert Secret("x")


def test_secrets_are_equal_by_their_text_and_only_to_secrets():
    assert Secret("a") == Secret("a")
    assert Secret("a") != Secret("b")
    assert Secret("a") != "a"
    assert len({Secret("a"), Secret("a"), Secret("b"), "a"}) == 3


# --------------------------------------------------------------------------- redact


def test_the_values_of_secret_names_are_hidden_at_any_depth():
    shown = redact(
        {
            "user": "me",
            "password": PASSWORD,
            "devices": [{"sak": PASSWORD, "name": "strip"}, ({"token": PASSWORD},)],
            "auth": {"authorization": {"scheme": "Basic", "value": PASSWORD}},
        }
    )
    assert shown == {
        "user": "me",
        "password": "***",
        "devices": [{"sak": "***", "name": "strip"}, [{"token": "***"}]],
        "auth": {"authorization": "***"},
    }


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("mqtt://ann:pw@h:1/x", "mqtt://***@h:1/x"),
        ("mqtt://ann:p@w/x#1@h", "mqtt://***@h"),
        ("mqtt+unix://ann:pw@/run/x", "mqtt+unix://***@/run/x"),
        ("mqtt://h:1/x", "mqtt://h:1/x"),
        ("see http://h and ask a@b", "see http://h and ask a@b"),
        ("a@b", "a@b"),
    ],
)
def test_credentials_in_an_address_are_hidden(address: str, shown: str):
    assert redact({"uri": address}) == {"uri": shown}


def test_redact_copies_and_leaves_the_original_alone():
    original = {"password": PASSWORD, "list": [1]}
    shown = redact(original)
    assert original == {"password": PASSWORD, "list": [1]}
    assert isinstance(shown, dict)
    assert shown["list"] is not original["list"]


@pytest.mark.parametrize("empty", ["", None, b"", [], 0])
def test_empty_values_stay(empty: object):
    assert redact({"password": empty}) == {"password": empty}


def test_secrets_under_any_name_are_hidden():
    assert redact([Secret(PASSWORD), {"x": Secret(PASSWORD)}]) == ["***", {"x": "***"}]


@pytest.mark.parametrize(
    "name", ["apiKey", "api_key", "API-Key", "Set-Cookie", "accessToken", "PASSWORD"]
)
def test_names_of_secrets_count_in_every_spelling(name: str):
    assert is_secret_name(name)
    assert redact({name: PASSWORD}) == {name: "***"}


@pytest.mark.parametrize("name", ["user", "keyboard", "tokens_left", "designer", 7])
def test_other_names_stay(name: object):
    assert not is_secret_name(name)
    assert redact({name: "shown"}) == {name: "shown"}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["a", "b", *sorted(SECRET_NAMES)[:3]]), inner, max_size=4
        )
    ),
    max_leaves=20,
)


@given(json_like)
def test_redacted_data_keeps_its_shape_and_hides_every_secret(data: object):
    def check(shown: object, original: object) -> None:
        if isinstance(original, dict):
            assert isinstance(shown, dict)
            assert list(shown) == list(original)
            for name, item in original.items():
                if is_secret_name(name) and item:
                    assert shown[name] == "***"
                else:
                    check(shown[name], item)
        elif isinstance(original, list):
            assert isinstance(shown, list)
            assert len(shown) == len(original)
            for one, other in zip(shown, original, strict=True):
                check(one, other)
        else:
            assert shown == original

    check(redact(data), data)


# ------------------------------------------------------------------------- hex_head


def test_hex_head_shows_the_first_bytes_in_hex():
    assert hex_head(b"\x00\x7f\xff") == "00 7f ff"
    assert hex_head(b"") == ""


def test_hex_head_tells_how_many_bytes_there_are_if_there_are_more():
    assert hex_head(b"abcdef", 2) == "61 62 ... (6 bytes)"
    assert hex_head(bytes(255)).endswith("00")
    assert hex_head(bytes(256)).endswith("00 ... (256 bytes)")


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_hex_head_takes_every_kind_of_bytes(kind: Any):
    assert hex_head(kind(b"abc"), 2) == "61 62 ... (3 bytes)"
