"""What a caller gives is looked at at once, and refused in words; nothing dies of it."""

from __future__ import annotations

import inspect
import math
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any

import anyio
import pytest

from structiot.errors import ConfigError, UsageError
from structiot.maxsmart import discover_maxsmart, maxsmart_device
from structiot.meross import Meross, MerossDevice, open_meross, open_meross_lan
from structiot.model import LightState
from tests.link.meross.test_account import house, known

pytestmark = pytest.mark.virtual_time


class Stranger:
    """Nothing that anybody could have asked for."""


NOT_ONE: Any = Stranger()
OPENERS: dict[str, Callable[..., Any]] = {
    opener.__name__: opener for opener in (open_meross, open_meross_lan)
}
PARAMETERS = [
    (name, parameter)
    for name, opener in OPENERS.items()
    for parameter in inspect.signature(opener).parameters
]


@pytest.mark.parametrize(("name", "parameter"), PARAMETERS)
async def test_an_argument_of_a_strange_class_is_refused_before_anything_is_opened(
    name: str, parameter: str
):
    needed = {"host": "127.0.0.1", "key": ""} if name == "open_meross_lan" else {}
    with pytest.raises(UsageError, match=r"Stranger"):
        async with OPENERS[name](**{**needed, parameter: NOT_ONE}):
            pass


@pytest.mark.parametrize("broker", [(), ("host",), ("host", "443"), (443, "host")])
async def test_a_broker_is_a_host_and_a_port(broker: Any):
    with pytest.raises(UsageError, match="a host and a port"):
        async with open_meross(broker=broker):
            pass


@pytest.mark.parametrize("port", [0, -1, 65_536])
async def test_a_port_that_nobody_can_be_reached_at_is_refused(port: int):
    openings: list[AbstractAsyncContextManager[object]] = [
        open_meross(broker=("127.0.0.1", port)),
        open_meross(lan_ports={"127.0.0.1": port}),
        open_meross_lan("127.0.0.1", port, key=""),
        maxsmart_device("127.0.0.1", http_port=port),
        maxsmart_device("127.0.0.1", udp_port=port),
    ]
    for opening in openings:
        with pytest.raises(UsageError, match=f"from 1 to 65535, not {port}"):
            async with opening:
                pass
    with pytest.raises(UsageError, match=f"from 1 to 65535, not {port}"):
        await discover_maxsmart(udp_port=port)


async def test_half_a_character_is_refused_without_showing_it():
    async with house() as home:
        for login in ({"email": "a\ud800b@c.org"}, {"password": "a\ud800b"}):
            with pytest.raises(ConfigError, match="half a character") as caught:
                async with home.account(**login):
                    pass
            assert "\ud800" not in str(caught.value)


Use = Callable[[Meross, MerossDevice], Awaitable[object]]


async def set_limiter(meross: Meross, _: MerossDevice) -> None:
    meross.rate_limiter = NOT_ONE


async def find(meross: Meross, _: MerossDevice) -> None:
    meross.find(name=NOT_ONE)


async def name_one(meross: Meross, _: MerossDevice) -> None:
    meross.device(NOT_ONE)


async def count(meross: Meross, _: MerossDevice) -> None:
    meross.stats(NOT_ONE)


async def listen(meross: Meross, _: MerossDevice) -> None:
    async with meross.notifications(max_items=NOT_ONE):
        pass


async def follow(meross: Meross, _: MerossDevice) -> None:
    async with meross.events(max_items=NOT_ONE):
        pass


ALL = "Appliance.System.All"
endless: dict[str, object] = {}
endless["itself"] = endless
USES: dict[str, Use] = {
    "rate_limiter": set_limiter,
    "find": find,
    "device": name_one,
    "stats": count,
    "notifications": listen,
    "events": follow,
    "namespace": lambda _, device: device.request(NOT_ONE),
    "method": lambda _, device: device.request(ALL, []),  # type: ignore[arg-type]
    "payload": lambda _, device: device.request(ALL, "SET", NOT_ONE),
    "in the payload": lambda _, device: device.request(ALL, "SET", {"a": NOT_ONE}),
    "endless": lambda _, device: device.request(ALL, "SET", endless),
    "no number": lambda _, device: device.request(ALL, "SET", {"a": math.nan}),
    "no end": lambda _, device: device.request(ALL, "SET", {"a": [-math.inf]}),
    "key": lambda _, device: device.command([], command=True),  # type: ignore[arg-type]
    "command": lambda _, device: device.command("switch", NOT_ONE),
    "light": lambda _, device: device.command("light", LightState(is_on=NOT_ONE)),
    "channel": lambda _, device: device.turn_on(NOT_ONE),
    "rule": lambda _, device: device.set_rule(NOT_ONE),
}


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
async def test_what_makes_no_sense_is_refused_and_harms_nobody(policy: str):
    async with house(["mss310"]) as home, home.account(policy=policy) as meross:
        plug = await known(meross)
        async with plug.events():
            for what, use in USES.items():
                with pytest.raises(UsageError):
                    await use(meross, plug)
                    pytest.fail(f"{what} was taken")
                await anyio.sleep(60)
            await plug.turn_on()
            assert plug.is_available
