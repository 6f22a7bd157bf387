"""What holds for every class of the error tree."""

from __future__ import annotations

import copy
import inspect
import math
import pickle
from typing import Any

import pytest

import structiot.errors
from structiot._kit.redact import Secret
from structiot.errors import StructiotError

CLASSES = [getattr(structiot.errors, name) for name in structiot.errors.__all__]
MESSAGE = "strip at 10.0.0.7:80 refused cmd 200: outlet 7 of 6"
PASSWORD = "hunter2-and-more"
SAMPLES: dict[str, Any] = {
    "account": "someone@example.org",
    "after_s": 2.5,
    "attempts": 3,
    "code": 404,
    "data": b"\x00" * 300,
    "dropped": 7,
    "expected": "SWP6000000000001",
    "firmware": "1.30",
    "found": "SWP6000000000002",
    "host": "10.0.0.7",
    "model": "SOW323",
    "offset": 12,
    "peer_text": "no",
    "port": 80,
    "reason": "it hung up",
    "request": "cmd 511",
    "retry_after_s": 30.0,
    "since_s": 1.0,
    "supported": ("2.11", "3.36"),
}


def keywords_of(cls: type[StructiotError]) -> dict[str, Any]:
    return {
        name: SAMPLES[name]
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def made(cls: type[StructiotError]) -> StructiotError:
    return cls(MESSAGE, **keywords_of(cls))


def test_the_tree_and_the_public_list_are_the_same():
    found = {
        cls
        for _, cls in inspect.getmembers(structiot.errors, inspect.isclass)
        if issubclass(cls, BaseException)
    }
    assert found == set(CLASSES)


@pytest.mark.parametrize("cls", CLASSES)
def test_every_error_has_the_one_root(cls: type[StructiotError]):
    assert issubclass(cls, StructiotError)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "duplicate",
    [
        copy.copy,
        copy.deepcopy,
        *(
            lambda error, protocol=protocol: pickle.loads(pickle.dumps(error, protocol))
            for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
        ),
    ],
)
def test_an_error_survives_copying_and_pickling(cls: type[StructiotError], duplicate):
    error = made(cls)
    error.add_note("seen twice")
    twin = duplicate(error)
    assert type(twin) is cls
    assert (str(twin), twin.args, vars(twin)) == (str(error), error.args, vars(error))


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_reads_as_its_message_on_one_line(cls: type[StructiotError]):
    assert str(made(cls)) == MESSAGE
    assert str(cls(MESSAGE)) == MESSAGE


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_keeps_what_it_was_told(cls: type[StructiotError]):
    error = made(cls)
    for name, value in keywords_of(cls).items():
        kept = getattr(error, name)
        assert kept == (value[:255] if name == "data" else value)


@pytest.mark.parametrize("cls", CLASSES)
def test_an_error_leaks_no_secret(cls: type[StructiotError]):
    secret = Secret(PASSWORD)
    error = cls(f"login with {secret} refused: {secret!r}")
    vars(error).update(tried=secret)
    for shown in (str(error), repr(error), repr(vars(error)), f"{error}"):
        assert PASSWORD not in shown


def test_errors_are_caught_where_users_look_for_the_builtin():
    assert issubclass(structiot.errors.ConfigError, ValueError)
    assert issubclass(structiot.errors.ConnectFailed, OSError)
    assert issubclass(structiot.errors.ReplyTimeout, TimeoutError)


@pytest.mark.parametrize(
    ("said", "kept"),
    [
        (None, None),
        (0, 0.0),
        (2.5, 2.5),
        (86_401, 86_400.0),
        (10**400, 86_400.0),
        (math.inf, 86_400.0),
        (-1, None),
        (-math.inf, None),
        (math.nan, None),
        (True, None),
        ("soon", None),
    ],
)
def test_a_peer_that_has_had_enough_says_for_how_long_or_nothing(said: Any, kept: Any):
    error = structiot.errors.RateLimited("too many", retry_after_s=said)
    assert error.retry_after_s == kept
