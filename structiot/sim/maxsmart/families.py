"""The firmware families that exist, one row each, as far as anybody knows them.

Where reality is unknown the row holds a choice and the attribute's text says so;
`dataclasses.replace(FAMILIES["mh_plug_130"], port_names="null")` makes another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Literal, TypeAlias

from structiot.errors import UsageError
from structiot.maxsmart.wire.messages import WattStyle

__all__ = ["FAMILIES", "Family", "Support", "family_named"]

Support: TypeAlias = Literal["yes", "refuse", "hang_up"]
"""What a device does with a command: obey, answer code 400, close without a byte."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Family:
    """What the devices of one firmware have in common.

    Attributes:
        name: Name of this row.
        model: What it says on the box.
        firmware: Version as the device writes it.
        ports: Number of outlets.
        serial_head: First four characters of the serial.
        device_name: Name it has when it leaves the factory.
        has_http: Answers on TCP 80; otherwise connections there are refused.
        v3: UDP V3: not at all, in full, or without power figures.
        watts: How it writes power and current.
        port_names: Discovery tells names of ports, no such member, or null. Which
            of the last two a plug does is unknown.
        identifiers: Command 124.
        rename: Command 201; on a plug the port number does not matter.
        clock: Command 502.
        statistics: Command 510.
        has_statistics_date: 510 names the newest bucket.
        v3_rename: V3 command 24.
        name_limit: Longest name in characters.
        is_name_cut: A longer name is cut instead of refused. Unknown in reality.
        checks_serial: A command with another device's serial gets no answer.
        needs_json: An HTTP request without `json=` gets a body without a header, as
            one source says of firmware 3.42.
        is_length_padded: HTTP replies say `Content-Length:0027`.
        is_clock_reset_by_nonsense: A discovery whose date cannot be read sets the
            clock to 2000 instead of leaving it alone. Unknown in reality.
        has_zone: The clock's reply tells the zone.
        v3_serial: V3 replies to set commands name the serial.
        noise_floor_w: Power below this is reported as 0.
        extra: Further members of the discovery reply.
    """

    name: str
    model: str
    firmware: str
    ports: int = 6
    serial_head: str
    device_name: str
    has_http: bool = True
    v3: Literal["no", "full", "without_power"] = "no"
    watts: WattStyle
    port_names: Literal["names", "absent", "null"] = "absent"
    identifiers: Support = "hang_up"
    rename: Support = "hang_up"
    clock: Support = "yes"
    statistics: Support = "hang_up"
    has_statistics_date: bool = True
    v3_rename: bool = False
    name_limit: int = 21
    is_name_cut: bool = False
    checks_serial: bool = False
    needs_json: bool = False
    is_length_padded: bool = False
    is_clock_reset_by_nonsense: bool = False
    has_zone: bool = False
    v3_serial: bool = False
    noise_floor_w: float = 0.0
    extra: Mapping[str, object] = field(default_factory=dict)


def _max_hauri(firmware: str) -> dict[str, object]:
    return {"register": 0, "nver": firmware, "protect": 0}


_CLOUD: dict[str, object] = {
    "regid": "",
    "isGetRegid": 0,
    "isMainSvrOK": 0,
    "MainSveIP": "0.0.0.0",  # noqa: S104 - what such a device says without a cloud
    "MainSvrPort": 0,
}

_REVOGI_3 = Family(
    name="revogi_336",
    model="Revogi Smart Power Strip SOW323",
    firmware="3.36",
    serial_head="SWW6",
    device_name="RevogiStrip",
    v3="full",
    watts=WattStyle.INT_MW,
    v3_rename=True,
    name_limit=15,
    is_length_padded=True,
    has_zone=True,
    v3_serial=True,
    extra=_CLOUD,
)

_ROWS = (
    Family(
        name="mh_strip_130",
        model="Max Hauri MaxSmart Power Station SOP111",
        firmware="1.30",
        serial_head="SWP6",
        device_name="STRIP",
        watts=WattStyle.TEXT_W,
        port_names="names",
        identifiers="yes",
        rename="yes",
        statistics="yes",
        extra=_max_hauri("1.30"),
    ),
    Family(
        name="mh_plug_130",
        model="Max Hauri MaxSmart Smart Plug SOP112",
        firmware="1.30",
        ports=1,
        serial_head="SWP1",
        device_name="PRISEWIFI",
        watts=WattStyle.TEXT_W,
        identifiers="yes",
        rename="yes",
        statistics="yes",
        has_statistics_date=False,
        extra=_max_hauri("1.30"),
    ),
    # Whether 1.10 knows 124, 201 and 510 is unknown.
    Family(
        name="mh_strip_110",
        model="Max Hauri MaxSmart Power Station SOP111",
        firmware="1.10",
        serial_head="SWP6",
        device_name="STRIP",
        watts=WattStyle.TEXT_W,
        port_names="names",
        identifiers="yes",
        rename="yes",
        extra=_max_hauri("1.30"),
    ),
    # Whether 2.11 can be renamed and knows 510 is unknown.
    Family(
        name="mh_strip_211",
        model="Max Hauri MaxSmart Power Station SOP111",
        firmware="2.11",
        serial_head="SWP6",
        device_name="STRIP",
        v3="without_power",
        watts=WattStyle.INT_MW,
        identifiers="yes",
        rename="refuse",
        extra=_max_hauri("2.11"),
    ),
    # The watts of 1.06 may be integers, and whether it can be renamed is unknown.
    Family(
        name="cocoso_106",
        model="CoCoSo Smart Power Strip SOW323",
        firmware="1.06",
        serial_head="SWW6",
        device_name="CocosoStrip",
        watts=WattStyle.TEXT_W,
        rename="yes",
        extra={"regid": "", "active": 0, "resettime": 0},
    ),
    _REVOGI_3,
    replace(_REVOGI_3, name="revogi_349", firmware="3.49", device_name="SOKY"),
    Family(
        name="revogi_511",
        model="Revogi Smart Power Strip SOW321",
        firmware="5.11",
        serial_head="SWW6",
        device_name="RevogiStrip",
        has_http=False,
        v3="full",
        watts=WattStyle.INT_MW,
        name_limit=15,
        v3_serial=True,
        extra={"regid": ""},
    ),
    Family(
        name="mh2_plug",
        model="Max Hauri MaxSmart 2.0 plug",
        firmware="5.11",
        ports=1,
        serial_head="SWW1",
        device_name="RevogiPlug",
        has_http=False,
        v3="full",
        watts=WattStyle.INT_MW,
        name_limit=15,
        v3_serial=True,
        noise_floor_w=0.5,
        extra={"regid": ""},
    ),
)

FAMILIES: Mapping[str, Family] = MappingProxyType({row.name: row for row in _ROWS})
"""The families by name."""


def family_named(family: Family | str) -> Family:
    """Give the family of this name, or the family itself.

    Raises:
        UsageError: No such family.
    """
    if isinstance(family, Family):
        return family
    if family not in FAMILIES:
        message = f"no MaxSmart family {family!r}; there are {', '.join(FAMILIES)}"
        raise UsageError(message)
    return FAMILIES[family]
