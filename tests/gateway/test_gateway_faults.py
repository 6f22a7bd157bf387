"""Strips that misbehave, each in its own way, beside one that does not."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from structiot.gateway import open_gateway
from structiot.sim import MaxSmartFaults
from tests.gateway.broker_watch import watching
from tests.gateway.serving import config_of, section_of, strips

pytestmark = pytest.mark.e2e

_MANY = 10_000
_ON = "511"
MISDEEDS: dict[str, Callable[[MaxSmartFaults], None]] = {
    "kitchen": lambda _: None,
    "short": lambda f: f.lie_next("watt_short", _MANY, on=_ON),
    "array": lambda f: f.lie_next("data_array", _MANY, on=_ON),
    "refusal": lambda f: f.lie_next("code_400", _MANY, on=_ON),
    "words": lambda f: f.garble_next(_MANY, on="http"),
    "half": lambda f: f.cut_next(_MANY, on="http"),
    "hangup": lambda f: f.hang_up_next(_MANY, on="http"),
    "silence": lambda f: f.drop_next(_MANY, on="http"),
}


@pytest.mark.timeout(60)
async def test_no_misdeed_of_a_strip_disturbs_another(mosquitto):
    base = "faults"
    async with (
        strips(len(MISDEEDS)) as sims,
        watching(mosquitto.uri, f"{base}/#") as watch,
    ):
        by_name = dict(zip(MISDEEDS, sims, strict=True))
        section = section_of()
        section["devices"] = [
            {
                "host": sim.host,
                "http_port": sim.http_port,
                "udp_port": sim.udp_port,
                "name": name,
            }
            for name, sim in by_name.items()
        ]
        bad = [name for name in MISDEEDS if name != "kitchen"]
        until = partial(watch.until_is, within_s=20)
        async with open_gateway(config_of(mosquitto.uri, base, section)) as gateway:
            for name in MISDEEDS:
                await until(f"{base}/{name}/availability", "online")
            for name, misdeed in MISDEEDS.items():
                misdeed(by_name[name].faults)
            for name in bad:
                await until(f"{base}/{name}/availability", "offline")
                assert gateway.devices[name].availability.reason
            for state in ("OFF", "ON"):
                topic = f"{base}/kitchen/port_1"
                await watch.client.publish(f"{topic}/set", state.encode(), qos=1)
                await watch.until_is(f"{topic}/state", state, within_s=1)
            for sim in sims:
                sim.faults.clear()
            for name in bad:
                await until(f"{base}/{name}/availability", "online")
        told = [p for t, p in watch.seen if t == f"{base}/kitchen/availability"]
        assert told[-2:] == ["online", "offline"]
        assert told.count("online") == 1
