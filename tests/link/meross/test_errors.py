"""What holds for every error of Meross: its root, its copies, what it tells."""

from __future__ import annotations

import copy
import inspect
import pickle
from typing import Any

import pytest

from structiot.errors import AuthRefused, CommandRefused, RateLimited, StructiotError
from structiot.meross import errors
from structiot.meross.errors import CallDropped, MerossRefused, WrongKey
from tests._support.sources import REFERENCE

CLASSES = [getattr(errors, name) for name in errors.__all__]
MESSAGE = "plug at 10.0.0.7: Appliance.Control.ToggleX refused, 5000"
SAMPLES: dict[str, Any] = {
    "account": "someone@example.org",
    "code": 5001,
    "domain": "https://iotx-eu.meross.com",
    "namespace": "Appliance.Control.ToggleX",
    "peer_text": "no",
    "retry_after_s": 30.0,
}


def made(cls: type[StructiotError]) -> StructiotError:
    return cls(MESSAGE, **keywords_of(cls))


def keywords_of(cls: type[StructiotError]) -> dict[str, Any]:
    return {
        name: SAMPLES[name]
        for name, parameter in inspect.signature(cls).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def test_the_public_list_is_complete():
    own = [
        cls
        for _, cls in inspect.getmembers(errors, inspect.isclass)
        if cls.__module__ == errors.__name__
    ]
    assert own == sorted(CLASSES, key=lambda cls: cls.__name__)


@pytest.mark.parametrize("cls", CLASSES)
@pytest.mark.parametrize(
    "twin_of", [copy.copy, copy.deepcopy, lambda one: pickle.loads(pickle.dumps(one))]
)
def test_an_error_survives_copying_and_pickling(cls: type[StructiotError], twin_of):
    error = made(cls)
    twin = twin_of(error)
    assert type(twin) is cls
    assert (str(twin), vars(twin)) == (MESSAGE, vars(error))
    for name, value in keywords_of(cls).items():
        assert getattr(twin, name) == value


@pytest.mark.parametrize(
    ("cls", "parent"),
    [
        (CallDropped, RateLimited),
        (MerossRefused, CommandRefused),
        (WrongKey, AuthRefused),
    ],
)
def test_what_devices_and_the_budget_refuse(cls, parent):
    assert issubclass(cls, parent)


def test_every_class_is_in_the_table_or_of_no_answer_of_the_cloud():
    of_others = {"CallDropped", "MerossRefused", "NotSignedIn", "WrongKey"}
    table = (REFERENCE / "meross.md").read_text("utf-8")
    missing = {name for name in errors.__all__ if f"| `{name}` |" not in table}
    assert missing == of_others
