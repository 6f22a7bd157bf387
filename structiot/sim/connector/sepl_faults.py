"""What the simulated SEPL platform gets wrong, in the vocabulary of all simulators.

platform.faults.refuse_next(on="put3")        # the third put of a connection
platform.faults.lie_next("wrong_token", on="commit")
platform.faults.frame_next("huge_frame", on="event")
await show_fault(platform, "hang_up@put*1")
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, ClassVar, Final

from structiot.errors import UsageError
from structiot.sim.connector.sepl_frames import SEPL_FRAMES
from structiot.sim.shared.fault_names import (
    HOST_FAULTS,
    REQUEST_FAULTS,
    FaultNames,
    HostFault,
    RequestFault,
    read_nothing,
    read_seconds,
    request_faults,
)
from structiot.sim.shared.faults import Change, Fault, FaultKind, Faults
from structiot.sim.shared.json_lies import (
    JSON_LIES,
    Edit,
    edited,
    inside,
    with_members,
    without,
)

if TYPE_CHECKING:
    from structiot.sim.connector.sepl import SeplPlatformSim

__all__ = ["NAMED_SEPL_FAULTS", "SEPL_LIES", "SeplFaults"]

_ODD_TEXT: Final = "iot#\x1b[2J\u202e\n" + "x" * 500


def _payload(**members: object) -> Edit:
    return inside("payload", with_members(**members))


def _parts(change: Callable[[list[Any]], object]) -> Edit:
    return inside("payload", inside("protocol_parts", change, list))


def _each_part(**members: object) -> Edit:
    return _parts(lambda parts: [{**part, **members} for part in parts])


_EDITS: Mapping[str, Edit] = {
    # Of any message.
    "wrong_token": with_members(token="never asked for"),  # noqa: S106 - no secret
    "token_empty": with_members(token=""),
    "token_null": with_members(token=None),
    "token_number": with_members(token=1),
    "token_missing": without("token"),
    "status_zero": with_members(status=0),
    "status_created": with_members(status=201),
    "status_400": with_members(status=400, payload="so it is"),
    "status_404": with_members(status=404),
    "status_500": with_members(status=500, payload="so it is"),
    "status_text": with_members(status="200"),
    "status_words": with_members(status="fine"),
    "status_null": with_members(status=None),
    "status_true": with_members(status=True),
    "status_huge": with_members(status=10**30),
    "status_missing": without("status"),
    "handler_unknown": with_members(handler="shout"),
    "handler_number": with_members(handler=7),
    "handler_missing": without("handler"),
    "content_type_number": with_members(content_type=3),
    "content_type_other": with_members(content_type="slice"),
    "content_type_missing": without("content_type"),
    "payload_missing": without("payload"),
    "payload_null": with_members(payload=None),
    "payload_number": with_members(payload=1),
    "payload_list": with_members(payload=[["ok"]]),
    "payload_text": with_members(payload="text"),
    "payload_odd": with_members(payload=_ODD_TEXT),
    "payload_long": with_members(payload="x" * 200_000),
    # Of the answer to a handshake.
    "gid_missing": inside("payload", without("gid")),
    "gid_null": _payload(gid=None),
    "gid_empty": _payload(gid=""),
    "gid_number": _payload(gid=7),
    "gid_other": _payload(gid="iot#another"),
    "gid_odd": _payload(gid=_ODD_TEXT),
    "hash_missing": inside("payload", without("hash")),
    "hash_null": _payload(hash=None),
    "hash_number": _payload(hash=7),
    "hash_other": _payload(hash="0" * 40),
    # Of a command.
    "device_missing": inside("payload", without("device_url")),
    "device_number": _payload(device_url=7),
    "device_unknown": _payload(device_url="nobody's"),
    "service_missing": inside("payload", without("service_url")),
    "service_number": _payload(service_url=7),
    "parts_missing": inside("payload", without("protocol_parts")),
    "parts_null": _payload(protocol_parts=None),
    "parts_text": _payload(protocol_parts="none"),
    "parts_object": _payload(protocol_parts={"data": "1"}),
    "parts_of_text": _payload(protocol_parts=["data"]),
    "parts_number": _each_part(value=1),
    "parts_nameless": _each_part(name=None),
    "parts_empty": _each_part(value=None),
    "parts_unknown": _each_part(name="nothing known"),
    "parts_twice": _parts(lambda parts: parts * 2),
    "parts_turned": _parts(lambda parts: parts[::-1]),
    "parts_many": _parts(lambda parts: parts * 5000),
    "task_missing": inside("payload", without("task_id")),
    "newer_model": inside(
        "payload",
        lambda own: {
            **without("service_name")(own),  # type: ignore[dict-item]  # an object
            "service_id": "iot#service",
            "service": {"id": "iot#service", "input": [1.5, None, {"x": 10**20}]},
        },
    ),
}

SEPL_LIES: Mapping[str, Change] = MappingProxyType(
    {
        **{name: edited(edit) for name, edit in _EDITS.items()},
        # So the platform says that it cannot write its answer.
        "no_json": lambda _: b"ERROR: unable to create response",
        **JSON_LIES,
    }
)
"""Contents that are wrong, by name."""


class SeplFaults(Faults):
    """What the platform gets wrong, now and next.

    A message of a client is described by its handler (`put`), by that with its number on
    this connection (`put3` is the third) and by the URI of its device; the first one by
    `handshake`; the HTTP request before it by `upgrade`, which meets those faults alone
    that name it. What the platform says by itself is a `command`, and has the URIs of its
    device and its service: it, too, meets only what names it.

    REFUSE closes a connection without a word at the `handshake`, as the platform does
    for wrong credentials, and answers HTTP 503 at the `upgrade`. DELAY has an answer
    overtaken by others, which is not how the platform is slow: that is its `busy_s`.

    Attributes:
        refusal_status: What a message that is refused is answered with.
        refusal_text: And the words.
        is_update_lost: A `put` of a device that is known is answered with `ok`, and
            changes neither its name nor its tags.
    """

    def __init__(self) -> None:
        super().__init__()
        self._behave()

    def clear(self) -> None:
        """Behave from now on."""
        super().clear()
        self._behave()

    def _behave(self) -> None:
        self.refusal_status: int = 500
        self.refusal_text: str = "refused"
        self.is_update_lost: bool = False

    def lie_next(self, lie: str, times: int = 1, *, on: str | None = None) -> None:
        """Tell one of the `lies` in the next messages.

        Raises:
            UsageError: No such lie.
        """
        change = _named(lie, self.lies)
        self.add(Fault(kind=FaultKind.CHANGE, on=on, change=change), times)

    def frame_next(self, frame: str, times: int = 1, *, on: str | None = None) -> None:
        """Send the next messages in one of the odd `frames`.

        Raises:
            UsageError: No such frame.
        """
        change = _named(frame, self.frames)
        self.add(Fault(kind=FaultKind.FRAME, on=on, change=change), times)

    lies: ClassVar[Mapping[str, Change]] = SEPL_LIES
    frames: ClassVar[Mapping[str, Change]] = SEPL_FRAMES


def _named(name: str, table: Mapping[str, Change]) -> Change:
    if name not in table:
        raise UsageError(f"no fault {name!r}; there are {', '.join(table)}")
    return table[name]


def _set_busy(sim: SeplPlatformSim, seconds: float) -> None:
    sim.busy_s = seconds


NAMED_SEPL_FAULTS: FaultNames = FaultNames(
    {
        **REQUEST_FAULTS,
        "refuse": RequestFault(
            "messages are refused with status 500, logins without a word",
            REQUEST_FAULTS["refuse"].fault,
        ),
        "silent": HOST_FAULTS["silent"],
        "reboot": HostFault(
            "off the network for so long (10); what it keeps is kept",
            read_seconds(10),
            lambda sim, down_s: sim.reboot(down_s),
        ),
        "freeze": HostFault(
            "reads and writes nothing for so long (60), and closes nothing",
            read_seconds(60),
            lambda sim, still_s: sim.freeze(still_s),
        ),
        "busy": HostFault(
            "takes so long for each clear and commit (20); beyond 30 they fail",
            read_seconds(20),
            _set_busy,
        ),
        "drop": HostFault(
            "all connections break off", read_nothing, lambda sim, _: sim.drop()
        ),
        "forget_hash": HostFault(
            "what gateways have committed is forgotten",
            read_nothing,
            lambda sim, _: sim.forget_hashes(),
        ),
        "forget_gateways": HostFault(
            "gateways are forgotten", read_nothing, lambda sim, _: sim.forget_gateways()
        ),
        "lost_updates": HostFault(
            "devices that are known are not changed, and that is answered with ok",
            read_nothing,
            lambda sim, _: setattr(sim.faults, "is_update_lost", True),
        ),
        **request_faults("a message with a wrong content", SEPL_LIES),
        **request_faults("a message in odd frames", SEPL_FRAMES, kind=FaultKind.FRAME),
    }
)
"""What each fault of the SEPL platform is, by name."""
