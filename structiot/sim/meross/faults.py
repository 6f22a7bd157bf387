"""The faults of Meross devices: wrong contents, wrong signatures, odd firmware.

`LIES` change what a reply or a push says; a test runs over all of them, and a command
line can ask for one:

    sim.faults.lie_next("sign_wrong")
    sim.faults.lie_next("numbers_as_text", on="Electricity")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar, Literal

from structiot.sim.shared.faults import Change
from structiot.sim.shared.http_faults import HttpFaults
from structiot.sim.shared.json_lies import (
    JSON_LIES,
    Edit,
    edited,
    inside,
    with_members,
    without,
)

__all__ = ["LIES", "MerossFaults"]

_OTHER_UUID = "f" * 20 + "48e1e9ffffff"


def _header(**members: object) -> Edit:
    return inside("header", with_members(**members))


def _leaves(change: Callable[[Any], object]) -> Edit:
    """Make an edit of every number and text in the payload."""

    def walk(value: Any) -> Any:  # noqa: ANN401 - any JSON
        if isinstance(value, dict):
            return {name: walk(member) for name, member in value.items()}
        if isinstance(value, list):
            return [walk(member) for member in value]
        return change(value)

    return inside("payload", walk)


def _numbers(value: object) -> Callable[[Any], object]:
    return lambda own: value if isinstance(own, int) else own


def _members(change: Callable[[Any], object]) -> Edit:
    """Make an edit of what stands directly in the payload."""
    return inside(
        "payload",
        lambda payload: {name: change(value) for name, value in payload.items()},
    )


def _turned(value: object) -> object:
    if isinstance(value, list):
        return value[0] if value else {}
    return [value]


_EDITS: Mapping[str, Edit] = {
    "sign_wrong": _header(sign="0" * 32),
    "sign_missing": inside("header", without("sign")),
    "header_missing": without("header"),
    "id_other": _header(messageId="0" * 32),
    "id_missing": inside("header", without("messageId")),
    "method_unknown": _header(method="SHOUT"),
    "namespace_other": _header(namespace="Appliance.System.Nothing"),
    "time_text": inside(
        "header", lambda own: {**own, "timestamp": str(own.get("timestamp"))}
    ),
    "time_missing": inside("header", without("timestamp")),
    "uuid_other": _header(
        uuid=_OTHER_UUID, **{"from": f"/appliance/{_OTHER_UUID}/publish"}
    ),
    "from_odd": _header(**{"from": "somebody"}),
    "payload_missing": without("payload"),
    "payload_null": with_members(payload=None),
    "payload_array": with_members(payload=[1]),
    "payload_empty": with_members(payload={}),
    "lists_turned": _members(_turned),
    "members_null": _members(lambda _: None),
    "members_text": _members(lambda _: "full"),
    "members_empty": _members(lambda own: [] if isinstance(own, list) else {}),
    "members_endless": _members(
        lambda own: own * 2000 if isinstance(own, list) else own
    ),
    "numbers_as_text": _leaves(lambda own: str(own) if isinstance(own, int) else own),
    "numbers_null": _leaves(_numbers(None)),
    "numbers_words": _leaves(_numbers("n/a")),
    "numbers_huge": _leaves(_numbers(10**30)),
    "numbers_negative": _leaves(_numbers(-(2**31))),
    "numbers_objects": _leaves(_numbers({"x": 1})),
    "numbers_booleans": _leaves(_numbers(value=True)),
    "extra_members": inside("payload", with_members(new={"x": [1]}, channel=0)),
    "error_busy": lambda own: {
        **own,
        "header": {**own.get("header", {}), "method": "ERROR"},
        "payload": {"error": {"code": 5000, "detail": "busy"}},
    },
}

LIES: Mapping[str, Change] = MappingProxyType(
    {**{name: edited(edit) for name, edit in _EDITS.items()}, **JSON_LIES}
)
"""Contents that are wrong, by name."""


class MerossFaults(HttpFaults):
    """What a device gets wrong, now and next.

    Requests are described by the words `"http"` or `"mqtt"`, their method, their
    namespace and its last part, such as `"ToggleX"`; what a device says by itself by
    `"mqtt"`, `"PUSH"` and the namespace in the same way, and it meets those faults alone
    that have such a word.

    Attributes:
        shape: `"dict"` lets single items come as objects, `"list"` in lists; None leaves
            it to the model.
        stale_after_s: Requests whose time stamp differs by more are refused; None
            takes any.
        answer_bytes: Where answers to batches are cut off; None leaves it to the model.
        is_batch_empty: Batches are answered with an empty list.
        is_midnight_late: The first consumption told on a new day is that of the old one.
        is_stuck: Everything is confirmed and nothing moves or switches.
    """

    lies: ClassVar[Mapping[str, Change]] = LIES

    def __init__(self) -> None:
        super().__init__()
        self._behave()

    def clear(self) -> None:
        """Behave from now on."""
        super().clear()
        self._behave()

    def _behave(self) -> None:
        self.shape: Literal["dict", "list"] | None = None
        self.stale_after_s: float | None = None
        self.answer_bytes: int | None = None
        self.is_batch_empty: bool = False
        self.is_midnight_late: bool = False
        self.is_stuck: bool = False
