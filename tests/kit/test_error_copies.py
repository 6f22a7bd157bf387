"""An error for several waiters is copied: each raises one of its own."""

from __future__ import annotations

import copy

import pytest

from structiot.errors import LinkLost, ReplyTimeout


def raised() -> LinkLost:
    error = LinkLost("strip went", reason="reset", since_s=7.0)
    error.add_note("while reading")
    with pytest.raises(LinkLost):
        try:
            raise ConnectionResetError(104, "reset")
        except ConnectionResetError as exc:
            raise error from exc
    return error


def test_a_copy_has_the_notes_and_the_cause_and_no_traceback():
    error = raised()
    twin = copy.copy(error)
    assert type(twin) is LinkLost
    assert (str(twin), twin.reason, twin.since_s) == ("strip went", "reset", 7.0)
    assert twin.__notes__ == ["while reading"]
    assert twin.__cause__ is error.__cause__ is not None
    assert twin.__context__ is error.__context__ is not None
    assert twin.__suppress_context__ is True
    assert error.__traceback__ is not None
    assert twin.__traceback__ is None


def test_a_note_on_a_copy_is_not_on_the_original():
    error = raised()
    twin = copy.copy(error)
    twin.add_note("seen by one waiter")
    twin.reason = "changed"
    assert error.__notes__ == ["while reading"]
    assert error.reason == "reset"


def test_a_copy_without_notes_or_cause_has_none():
    twin = copy.copy(ReplyTimeout("no reply", after_s=2.0))
    assert not hasattr(twin, "__notes__")
    assert (twin.__cause__, twin.__context__) == (None, None)
    assert twin.__suppress_context__ is False
    assert isinstance(twin, TimeoutError)
