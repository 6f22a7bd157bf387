"""Arguments that cannot be: refused before anything is sent, by saying what to write."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from structiot.errors import UsageError
from structiot.maxsmart import discover_maxsmart, identify_maxsmart, maxsmart_device
from structiot.model import Climate, Event, Fan, Light, Select, Sensor, Siren
from structiot.sim import fault_proxy, sim_maxsmart, sim_maxsmart_fleet

pytestmark = pytest.mark.virtual_time

HOSTS = {
    "": "'' is no address or host name, such as '192.168.1.100'",
    " ": "no address or host name",
    "a b": "no address or host name",
    "10.0.0.7:80": "write '10.0.0.7', and give the port by",
    "strip:80": "write 'strip', and give the port by",
    "[::1]:80": "write '::1', and give the port by",
    "[::1]": "write '::1'$",
    "http://10.0.0.7": "write '10.0.0.7'$",
    "http://10.0.0.7/": "write '10.0.0.7'$",
    "http://10.0.0.7:80/x": "write '10.0.0.7', and give the port by",
    "http://ann:s3cret@10.0.0.7": "write '10.0.0.7'$",
    5: "is str, not int",
    None: "is str, not None",
}


async def entered(opened):
    async with opened:
        pass


async def refusal(call) -> str:
    with pytest.raises(UsageError) as caught:
        await call
    assert "s3cret" not in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize(("host", "said"), HOSTS.items(), ids=map(repr, HOSTS))
async def test_a_host_is_an_address_or_a_name_and_nothing_else(host, said):
    told = [
        await refusal(entered(maxsmart_device(host))),
        await refusal(identify_maxsmart(host)),
        await refusal(entered(sim_maxsmart(host))),
        await refusal(entered(sim_maxsmart_fleet(first_host=host))),
        await refusal(entered(fault_proxy(host, 80))),
    ]
    if host is not None:
        with pytest.raises(UsageError) as caught:
            _ = discover_maxsmart(host)
        told.append(str(caught.value))
        with pytest.raises(UsageError) as caught:
            _ = discover_maxsmart(broadcast=[host])
        told.append(str(caught.value))
    for one in told:
        assert _matches(said, one), one
    if "give the port" in said:
        assert "by http_port" in told[0]


def _matches(said: str, told: str) -> bool:
    return told.endswith(said[:-1]) if said.endswith("$") else said in told


@pytest.mark.parametrize("host", ["::1", "fe80::1%eth0", "strip_7.lan", "küche.lan"])
def test_addresses_and_names_are_taken(host):
    assert discover_maxsmart(host).found == ()


WRONG: list[tuple[Callable[..., Any], dict[str, Any]]] = [
    (maxsmart_device, {"host": "10.0.0.7", "environment": "x"}),
    (maxsmart_device, {"host": "10.0.0.7", "http_port": "80"}),
    (maxsmart_device, {"host": "10.0.0.7", "udp_port": None}),
    (maxsmart_device, {"host": "10.0.0.7", "poll_s": "5"}),
    (maxsmart_device, {"host": "10.0.0.7", "assume_supported": "clock"}),
    (maxsmart_device, {"host": "10.0.0.7", "assume_supported": None}),
    (identify_maxsmart, {"host": "10.0.0.7", "environment": "x"}),
    (identify_maxsmart, {"host": "10.0.0.7", "http_port": "80"}),
    (discover_maxsmart, {"environment": "x"}),
    (discover_maxsmart, {"broadcast": "127.0.7.255"}),
    (discover_maxsmart, {"broadcast": [5]}),
    (discover_maxsmart, {"ip": 5}),
    (discover_maxsmart, {"window_s": "2"}),
    (discover_maxsmart, {"rounds": 2.5}),
    (sim_maxsmart, {"environment": "x"}),
    (sim_maxsmart, {"loads": 60}),
    (sim_maxsmart, {"loads": "abcdef"}),
    (sim_maxsmart, {"loads": ["60"] * 6}),
    (sim_maxsmart_fleet, {"environment": "x"}),
    (sim_maxsmart_fleet, {"names": "Kitchen"}),
    (fault_proxy, {"target_host": "h", "target_port": 80, "environment": "x"}),
]


async def used(function: Callable[..., Any], given: dict[str, Any]) -> None:
    made = function(**given)
    if hasattr(made, "__aenter__"):
        await entered(made)
    else:
        await made


@pytest.mark.parametrize(
    ("function", "given"), WRONG, ids=lambda one: getattr(one, "__name__", str(one))
)
async def test_what_is_of_another_kind_is_refused_by_name(function, given):
    name = list(given)[-1]
    with pytest.raises(UsageError, match=f"^(each of )?{name} is"):
        await used(function, given)


@pytest.mark.parametrize(
    ("kind", "given"),
    [
        (Select, {"options": "eco"}),
        (Sensor, {"options": "eco"}),
        (Event, {"event_types": "single"}),
        (Climate, {"modes": "heat"}),
        (Climate, {"modes": ("heat",), "presets": "eco"}),
        (Fan, {"presets": "eco"}),
        (Siren, {"tones": "fire"}),
        (Light, {"effects": "rainbow"}),
        (Light, {"color_modes": "rgb"}),
    ],
)
def test_an_entity_takes_no_text_for_texts(kind, given):
    field, text = list(given.items())[-1]
    with pytest.raises(UsageError, match=rf"{field} of it are several.*\('{text}',\)"):
        kind(key="it", **given)
