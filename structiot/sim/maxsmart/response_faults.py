"""The faults of MaxSmart strips: wrong contents, late and stuck relays.

`LIES` change what a reply says; a test runs over all of them, and a command line can
ask for one:

    sim.faults.lie_next("watt_short")
    sim.faults.frame_next("chunked")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, ClassVar

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

__all__ = ["LIES", "MaxSmartFaults", "corrupted"]


def _in_data(edit: Edit) -> Edit:
    return inside("data", edit)


def _in_list(name: str, edit: Callable[[list[Any]], list[Any]]) -> Edit:
    return _in_data(inside(name, edit, list))


def _first(value: object) -> Callable[[list[Any]], list[Any]]:
    return lambda elements: [value, *elements[1:]]


_EDITS: Mapping[str, Edit] = {
    "code_text": lambda reply: {**reply, "code": str(reply.get("code", 200))},
    "code_null": with_members(code=None),
    "code_missing": without("code"),
    "code_400": with_members(code=400),
    "code_word": with_members(code="fine"),
    "response_other": with_members(response=7),
    "data_missing": without("data"),
    "data_null": with_members(data=None),
    "data_empty": with_members(data={}),
    "data_array": with_members(data=[1, 0]),
    "watt_missing": _in_data(without("watt")),
    "watt_empty": _in_list("watt", lambda _: []),
    "watt_short": _in_list("watt", lambda elements: elements[:-1]),
    "watt_long": _in_list("watt", lambda elements: [*elements, *elements]),
    "watt_empty_text": _in_list("watt", _first("")),
    "watt_words": _in_list("watt", _first("n/a")),
    "watt_null": _in_list("watt", _first(None)),
    "watt_object": _in_list("watt", _first({"w": 1})),
    "watt_huge": _in_list("watt", _first(10**30)),
    "amp_missing": _in_data(without("amp")),
    "switch_missing": _in_data(without("switch")),
    "switch_empty": _in_list("switch", lambda _: []),
    "switch_short": _in_list("switch", lambda elements: elements[:-1]),
    "switch_booleans": _in_list("switch", lambda elements: [bool(e) for e in elements]),
    "switch_words": _in_list("switch", _first("on")),
    "switch_endless": _in_list("switch", lambda elements: elements * 100),
    "extra_members": with_members(new={"x": [1]}, volt=230),
}

LIES: Mapping[str, Change] = MappingProxyType(
    {**{name: edited(edit) for name, edit in _EDITS.items()}, **JSON_LIES}
)
"""Contents that are wrong, by name."""


class MaxSmartFaults(HttpFaults):
    """What a strip gets wrong, now and next.

    Requests are described by the words `"discovery"`, `"v3"` or `"http"`, and all but
    the first also by `"command"` and their number, such as `"511"`.

    Attributes:
        relay_lag_s: How long after a command a relay switches; the reply comes at once.
        stuck_ports: Numbers of ports whose relay ignores commands that it confirms.
        reply_from: Address that datagrams are answered from, instead of its own.
        is_serial_corrupted: Discovery tells a serial that cannot be read.
    """

    lies: ClassVar[Mapping[str, Change]] = LIES

    def __init__(self) -> None:
        super().__init__()
        self.relay_lag_s: float = 0.0
        self.stuck_ports: set[int] = set()
        self.reply_from: str | None = None
        self.is_serial_corrupted: bool = False

    def clear(self) -> None:
        """Behave from now on."""
        super().clear()
        self.relay_lag_s = 0.0
        self.stuck_ports.clear()
        self.reply_from = None
        self.is_serial_corrupted = False


def corrupted(serial: str) -> str:
    """Give a serial as some units send it: control characters among its digits."""
    return f"{serial[:6]}\x03\x7f{serial[8:]}"
