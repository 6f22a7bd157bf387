"""Clouds, brokers and devices of Meross that want harm: their trouble costs themselves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import anyio
import pytest

from structiot.errors import StructiotError
from structiot.meross import MemoryStore
from structiot.meross.link.cloud import open_cloud
from structiot.meross.opening import open_meross, open_meross_lan
from structiot.meross.wire.cloud import Path
from tests.hostile.hostile_meross import (
    ABILITY,
    ALL,
    KEY,
    UUID,
    FloodingBroker,
    HostileCloud,
    HostileDevice,
    ok,
    push,
    served,
)
from tests.hostile.test_strips import REPLIES

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]


@pytest.fixture
def attacker() -> str:
    """One address is enough: no good client has the same."""
    return "127.0.0.2"


HEAD = b"HTTP/1.1 200 OK\r\n"
LOGIN: dict[str, Any] = {"email": "a@b.c", "password": "x"}


def many(item: str, size: int) -> str:
    """Give a list of so many bytes."""
    return f"[{','.join([item] * (size // (len(item) + 1)))}]"


def listed(count: int, **members: Any) -> str:
    return json.dumps(
        [
            {"uuid": f"{number:032}", "devName": f"Device {number}"}
            | {name: str(value).format(number) for name, value in members.items()}
            for number in range(count)
        ]
    )


def members(count: int) -> str:
    return json.dumps(dict.fromkeys(map(str, range(count)), 1))


# What the cloud may list; from "empty lists" on it is not too long to be read.
LISTS: dict[str, Callable[[], bytes]] = {
    "50 MB": lambda: HEAD + b"Content-Length: 50000000\r\n\r\n" + b" " * 50_000_000,
    "a million devices": lambda: ok(many('{"uuid":"1"}', 13_000_000)),
    "a million members": lambda: ok(members(1_000_000)),
    "deep lists": lambda: ok("[" * 400_000),
    "deep objects": lambda: ok('{"a":' * 80_000),
    "empty lists, 4 MB": lambda: ok(many("[]", 4_000_000)),
    "members, 4 MB": lambda: ok(members(400_000)),
    "empty lists": lambda: ok(many("[]", 500_000)),
    "empty objects": lambda: ok(many("{}", 500_000)),
    "members": lambda: ok(members(45_000)),
    "devices": lambda: ok(listed(5_500)),
    "subdevices": lambda: ok(many('{"subDeviceId":"1"}', 500_000)),
    "brokers": lambda: ok(listed(500, domain="127.0.0.1:{}")),
    "channels": lambda: ok(
        listed(100).replace('"devName"', f'"channels":{many("{}", 4000)},"devName"')
    ),
    "as many channels as may be": lambda: ok(
        listed(100).replace('"devName"', f'"channels":{many("{}", 640)},"devName"')
    ),
    "digits": lambda: ok("[" + "9" * 500_000 + "]"),
    "exponents": lambda: ok(many("1e999999999", 500_000)),
}


@pytest.mark.parametrize("path", [Path.DEVICES, Path.SUBDEVICES])
@pytest.mark.parametrize("bad", LISTS)
async def test_a_list_that_costs_more_than_it_is_worth(watched, attacker, bad, path):
    cloud = HostileCloud()
    cloud.bad[path] = LISTS[bad](), 65_536
    with served(attacker, cloud.serve) as url:
        async with open_cloud(**LOGIN, store=MemoryStore(), url=url) as account:
            async with watched(grows_mb=32, keeps_mb=8):
                for _ in range(3):
                    with contextlib.suppress(StructiotError):
                        if path == Path.DEVICES:
                            assert len(await account.devices()) <= 1_000
                        else:
                            assert len(await account.subdevices(UUID)) <= 1_000
    assert cloud.told


@pytest.mark.parametrize("bad", REPLIES)
async def test_an_answer_of_the_cloud_without_end(watched, attacker, bad):
    cloud = HostileCloud()
    cloud.bad[Path.DEVICES] = REPLIES[bad]
    with served(attacker, cloud.serve) as url:
        async with watched(grows_mb=32, keeps_mb=8):
            with pytest.raises(StructiotError):
                async with open_meross(**LOGIN, store=MemoryStore(), url=url):
                    pass
    assert cloud.told


@pytest.mark.parametrize("bad", ["devices", "brokers", "as many channels as may be"])
async def test_an_account_of_far_too_many_devices(watched, attacker, bad):
    cloud = HostileCloud()
    cloud.bad[Path.DEVICES] = LISTS[bad](), 65_536

    async def use(url: str) -> None:
        async with open_meross(
            **LOGIN, store=MemoryStore(), url=url, broker=(attacker, 1)
        ) as meross:
            assert 0 < len(meross.devices) <= 1_000
            async with meross.events() as events:
                await anext(events)
            await meross.refresh()

    with served(attacker, cloud.serve) as url:
        # What so many objects leave in the heap once is nobody's, and used again.
        await use(url)
        async with watched(grows_mb=64, keeps_mb=8):
            await use(url)


async def test_devices_at_far_too_many_brokers(watched, attacker):
    cloud = HostileCloud()
    cloud.bad[Path.DEVICES] = LISTS["brokers"](), 65_536
    with served(attacker, cloud.serve) as url:
        async with watched(grows_mb=64, keeps_mb=32):
            async with open_meross(**LOGIN, store=MemoryStore(), url=url) as meross:
                assert len(meross.devices) == 500
                await anyio.sleep(1)


# What a device may say in the right frame.
PAYLOADS: dict[str, tuple[str, bytes]] = {
    "deep digest": (ALL, b'{"all":{"digest":' + b'{"a":' * 9_000),
    "deep lists": (ALL, b'{"all":{"digest":' + b"[" * 60_000),
    "subdevices": (
        ALL,
        json.dumps(
            {
                "all": {
                    "system": {"hardware": {"uuid": UUID}},
                    "digest": {
                        "hub": {"subdevice": [{"id": f"{n:08x}"} for n in range(2_500)]}
                    },
                }
            }
        ).encode(),
    ),
    "100,000 subdevices": (
        ALL,
        json.dumps(
            {
                "all": {
                    "digest": {
                        "hub": {"subdevice": [{"id": n} for n in range(100_000)]}
                    }
                }
            }
        ).encode(),
    ),
    "channels": (
        ALL,
        json.dumps(
            {
                "all": {
                    "system": {"hardware": {"uuid": UUID}},
                    "digest": {
                        "togglex": [{"channel": n, "onoff": 1} for n in range(1_900)]
                    },
                }
            }
        ).encode(),
    ),
    "abilities": (
        ABILITY,
        json.dumps(
            {"ability": {f"Appliance.Control.X{n}": {} for n in range(1_800)}}
        ).encode(),
    ),
    "empty lists": (ALL, f'{{"all":{many("[]", 60_000)}}}'.encode()),
}
ABLE: dict[str, dict[str, Any]] = {
    "ability": {
        name: {}
        for name in (
            ALL,
            "Appliance.Digest.Hub",
            "Appliance.Hub.Online",
            "Appliance.Hub.ToggleX",
            "Appliance.Hub.Battery",
            "Appliance.Hub.Sensor.All",
            "Appliance.Hub.Mts100.All",
            "Appliance.Control.ToggleX",
        )
    }
}


@pytest.mark.parametrize("bad", PAYLOADS)
async def test_a_payload_that_costs_more_than_it_is_worth(watched, attacker, bad):
    device = HostileDevice()
    device.payloads[ABILITY] = ABLE
    namespace, payload = PAYLOADS[bad]
    with served(attacker, device.serve) as url:
        async with (
            open_meross_lan(attacker, int(urlsplit(url).port or 0), key=KEY) as hub,
            hub.events(),
        ):
            async with watched(grows_mb=32, keeps_mb=16):
                device.payloads[namespace] = payload
                for _ in range(3):
                    with contextlib.suppress(StructiotError):
                        await hub.request(namespace)
                await anyio.sleep(0.5)
            assert len(hub.subdevices) <= 256
            assert len(hub.entities) <= 1_024
    assert device.told


@pytest.mark.parametrize("bad", REPLIES)
async def test_a_device_that_answers_without_end(watched, attacker, bad):
    device = HostileDevice()
    with served(attacker, device.serve) as url:
        async with open_meross_lan(
            attacker, int(urlsplit(url).port or 0), key=KEY
        ) as it:
            async with watched(grows_mb=16, keeps_mb=8):
                device.bad = REPLIES[bad]
                for _ in range(3):
                    with pytest.raises(StructiotError):
                        await it.request(ALL)


def unknown(number: int) -> bytes:
    return push(f"{number:032}", b'{"togglex":{"channel":0,"onoff":1}}', number)


def unsigned(number: int) -> bytes:
    return push(UUID, b'{"togglex":{"channel":0,"onoff":1}}', number, key="x" * 32)


def large(number: int) -> bytes:
    return push(UUID, f'{{"all":{many("[]", 60_000)}}}'.encode(), number, ALL)


def known_one(number: int) -> bytes:
    return push(UUID, b'{"togglex":{"channel":%d,"onoff":1}}' % number, number)


FLOODS: dict[str, Callable[[int], bytes]] = {
    "unknown devices": unknown,
    "wrong signatures": unsigned,
    "large pushes": large,
    "channels of one device": known_one,
    "online and off": lambda n: push(
        UUID, b'{"online":{"status":%d}}' % (n % 3), n, "Appliance.System.Online"
    ),
    "bind": lambda n: push(UUID, b"{}", n, "Appliance.Hub.Bind"),
}


@pytest.mark.parametrize("flood", FLOODS)
async def test_a_broker_that_says_more_than_anybody_wants(watched, attacker, flood):
    cloud = HostileCloud()
    cloud.bad[Path.DEVICES] = ok(json.dumps([{"uuid": UUID, "devName": "One"}])), 65_536
    broker = FloodingBroker(FLOODS[flood])
    with served(attacker, cloud.serve) as url, served(attacker, broker.serve) as at:
        async with watched(grows_mb=72, keeps_mb=32):
            async with open_meross(
                **LOGIN,
                store=MemoryStore(),
                url=url,
                broker=(attacker, int(urlsplit(at).port or 0)),
            ) as meross:
                async with meross.notifications() as notes:
                    await anyio.sleep(3)
                    assert len(meross.devices) == 1
                    assert len(notes) <= 1_024
    assert broker.told > 100
