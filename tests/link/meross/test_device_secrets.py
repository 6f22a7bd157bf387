"""No secret of a device or a household is shown, whatever a device says.

All that a device may know is planted into its answers and errors, and looked for as in
`test_account_secrets.py`.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

from structiot import Environment
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpServer
from structiot.errors import StructiotError
from structiot.meross import (
    MerossDevice,
)
from structiot.meross.opening import open_meross_lan
from structiot.meross.wire.digests import md5_hex
from structiot.meross.wire.envelope import Envelope, Method, sign_of
from structiot.meross.wire.mqtt import app_password, device_password
from structiot.testing import MemoryNetwork
from tests.link.meross.scripted import CRYPT, HOST, UUID, ScriptedDevice
from tests.link.meross.shown import Shown, shown

pytestmark = pytest.mark.virtual_time

MAC = "48:e1:e9:aa:bb:cc"
USER = "4711081500"
KEY = "fedcba9876543210fedcba9876543210"
WIFI, WIFI_PASSWORD = "Planted Wi-Fi of the Smiths", "planted wifi password"


def packed(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


# What a device knows and may tell, be it asked or not.
OF_DEVICES = {
    "Wi-Fi": WIFI,
    "Wi-Fi, packed": packed(WIFI),
    "Wi-Fi password": WIFI_PASSWORD,
    "Wi-Fi password, packed": packed(WIFI_PASSWORD),
    "key of a device": KEY,
    "user id of a device": USER,
    "HomeKit code": "918-27-364",
    "HomeKit setup id": "PLNT",
    "HomeKit token": "planted+token/of+homekit==",
    "HomeKit serial": "PLANTED4711SERIAL",
    "HomeKit uuid": "5ee45ee4-0000-4000-8000-5ee45ee45ee4",
    "Matter code": "3497-0112-332",
    "password of a device": device_password(USER, MAC, KEY),
    "password of an app": app_password(USER, KEY),
    "key of the encryption": md5_hex(f"{UUID[3:22]}{KEY[1:9]}{MAC}{KEY[10:28]}"),
    "elliptic key": packed("a point on the curve P-256"),
    "neighbour's network": "02:5e:c4:e7:00:01",
}
TELLS: dict[str, dict[str, Any]] = {
    "Appliance.Config.Key": {
        "key": {"key": KEY, "userId": USER, "gateway": {"host": "mqtt", "port": 443}}
    },
    "Appliance.Config.Wifi": {
        "wifi": {
            "ssid": OF_DEVICES["Wi-Fi, packed"],
            "password": OF_DEVICES["Wi-Fi password, packed"],
            "bssid": OF_DEVICES["neighbour's network"],
        }
    },
    "Appliance.Config.Info": {
        "info": {
            "homekit": {
                "sn": OF_DEVICES["HomeKit serial"],
                "setupId": OF_DEVICES["HomeKit setup id"],
                "setupCode": OF_DEVICES["HomeKit code"],
                "uuid": OF_DEVICES["HomeKit uuid"],
                "token": OF_DEVICES["HomeKit token"],
            },
            "matter": {"setupCode": OF_DEVICES["Matter code"]},
        }
    },
    "Appliance.System.Debug": {
        "debug": {
            "network": {"ssid": WIFI, "gatewayMac": OF_DEVICES["neighbour's network"]},
            "cloud": {"userId": USER, "mqttPassword": device_password(USER, MAC, KEY)},
        }
    },
    "Appliance.Encrypt.ECDHE": {
        "ecdhe": {"step": 2, "pubkey": OF_DEVICES["elliptic key"]}
    },
    "Appliance.Planted.New": {
        "new": {"passphrase": WIFI_PASSWORD, "wifiName": WIFI, "appPassword": KEY}
    },
}


def everything() -> str:
    return json.dumps([*TELLS.values(), [*OF_DEVICES.values()]])


def broken(reply: Envelope) -> bytes:
    return json.dumps({"header": {"sign": reply.sign}, "payload": TELLS})[:-9].encode()


# What a device says in the place of a good answer.
WRONG: dict[str, Callable[[Envelope], Any]] = {
    "no JSON": broken,
    "no header": lambda _: json.dumps({"payload": TELLS}).encode(),
    "no payload": lambda one: json.dumps(
        {"header": {"sign": one.sign, "key": KEY}, "payload": [TELLS]}
    ).encode(),
    "no object": lambda _: json.dumps(list(TELLS.values())).encode(),
    "text": lambda _: everything().encode(),
    "an error with details": lambda one: _error(one, 5000, everything()),
    "a wrong key with details": lambda one: _error(one, 5001, everything()),
    "cut off": lambda one: broken(one)[:-200],
    "a batch that was cut off": lambda one: (
        b'{"header": [1], "payload": {"multiple": [' + broken(one) + b',{"header":'
    ),
    "nothing": lambda _: None,
}


def _error(reply: Envelope, code: int, detail: str) -> Envelope:
    return Envelope(
        namespace=reply.namespace,
        method=Method.ERROR,
        payload={"error": {"code": code, "detail": detail}},
        message_id=reply.message_id,
        sender=reply.sender,
        timestamp_s=reply.timestamp_s,
    )


@pytest.mark.parametrize("abilities", [{}, CRYPT], ids=["clear", "encrypted"])
@pytest.mark.parametrize("wrong", [None, *WRONG], ids=str)
async def test_what_a_device_tells(wrong, abilities, caplog):
    network = MemoryNetwork("10.0.0.1")
    environment = Environment(network=network, random=Random(4))
    system = {
        "hardware": {"uuid": UUID, "macAddress": MAC, "type": "mss310"},
        "firmware": {"userId": USER, "innerIp": HOST},
    }
    device = ScriptedDevice(
        key=KEY,
        abilities={**abilities, **{name: {} for name in TELLS}},
        answers={**TELLS, "Appliance.System.All": {"all": {"system": system}}},
    )
    with shown(caplog) as found:
        async with device.on_lan(network):
            try:
                async with open_meross_lan(
                    HOST, key=KEY, environment=environment
                ) as it:
                    found.show(it, it.about, it.info, it.route, it.route.lan)
                    device.garble = WRONG.get(wrong)
                    await ask_all(it, found)
            except StructiotError as exc:
                found.show_error(exc)
    signs = [sign_of(r.message_id, KEY, r.timestamp_s) for r in device.requests]
    assert len(signs) > len(TELLS)
    assert bool(found.errors) == (wrong is not None)
    assert found.found([*OF_DEVICES.values(), *signs]) == set()


async def ask_all(device: MerossDevice, found: Shown) -> None:
    for namespace, payload in TELLS.items():
        for method in ("GET", "SET"):
            try:
                await device.request(namespace, method, payload)
            except StructiotError as exc:
                found.show_error(exc)
    found.show(*device.states.items(), *device.entities, *device.features)


@pytest.mark.parametrize("status", [200, 400, 500])
async def test_what_answers_by_our_own_words(status, caplog):
    """Such as a web server that shows what it was asked, and is no device."""
    network = MemoryNetwork("10.0.0.1")
    environment = Environment(network=network, random=Random(4))
    asked: list[bytes] = []

    async def handle(request: HttpRequest) -> HttpReply:
        asked.append(request.body)
        page = f"{request.body!r} {request.headers!r} {everything()}".encode()
        return HttpReply(status=status, body=page)

    with shown(caplog) as found:
        async with (
            network.listen_tcp(HOST, 80) as listener,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(listener.serve, HttpServer(handle).serve)
            with pytest.raises(StructiotError) as caught:
                async with open_meross_lan(HOST, key=KEY, environment=environment):
                    raise AssertionError
            found.show_error(caught.value)
            tg.cancel_scope.cancel()
    signs = [json.loads(body)["header"]["sign"] for body in asked]
    assert signs
    assert found.found([*OF_DEVICES.values(), *signs]) == set()
