"""No secret in a capture, wherever it stood; and what stands there instead."""

from __future__ import annotations

import base64
import json
import time
import tracemalloc
from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.meross.capture import Redactor
from structiot.meross.wire.encryption import mac_of_uuid
from structiot.meross.wire.envelope import Method, sign_of
from structiot.meross.wire.mqtt import app_password, device_password
from tests.link.meross.eavesdropping import EMAIL, PASSWORD, UUID, room, texts_of

OTHER = "2508150000000000000048e1e9ddeeff"
KEY = "0123456789abcdef0123456789abcdef"


def b64(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def planted(key: str, user_id: str) -> dict[str, str]:
    """Everything that must not be found, by what it is."""
    return {
        "account key": key,
        "account password": PASSWORD,
        "e-mail": EMAIL,
        "user's number": user_id,
        "uuid": UUID,
        "MAC": mac_of_uuid(UUID),
        "MAC without colons": UUID[-12:],
        "MAC in capitals": mac_of_uuid(UUID).upper().replace(":", "-"),
        "other uuid": OTHER,
        "other MAC": mac_of_uuid(OTHER),
        "app's signature": sign_of(f"{7:032x}", key, 1_700_000_000),
        "MQTT password of a device": device_password(user_id, "48:e1:e9:aa:bb:cc", key),
        "MQTT password of an app": app_password(user_id, key),
        "SSID": "Annas Wlan 5G",
        "SSID in base64": b64("Annas Wlan 5G"),
        "neighbour's SSID": b64("FRITZ!Box 7590"),
        "Wi-Fi password": "hunter2 hunter2",
        "Wi-Fi password in base64": b64("hunter2 hunter2"),
        "BSSID": "a4:2b:b0:12:34:56",
        "neighbour's BSSID": "a4-2b-b0-65-43-21",
        "gateway's MAC": "dc:39:6f:aa:00:01",
        "address": "192.168.77.23",
        "gateway": "192.168.77.254",
        "IPv6 address": "fd12:3456:789a::abcd",
        "latitude": "45464123",
        "longitude": "9190456",
        "sunrise": "5:47;20:53",
        "HomeKit's token": "c29tZS10b2tlbi1vZi1ob21la2l0",
        "HomeKit's code": "031-45-154",
        "HomeKit's id": "QX7Z",
        "serial number": "SN2401A77",
        "Matter's code": "20202021",
        "binding": "bind0123456789ab",
        "public key": "BEl1bnRlclB1YmxpY0tleQ==",
        "access token": "eyJhbGciOiJIUzI1NiJ9",
        "guest's number": "7771234",
        "guest's MAC": "b0be761234ab",
        "guest's e-mail": "guest+home@mail.example.org",
    }


def payloads(found: dict[str, str], user_id: str) -> list[tuple[str, dict[str, Any]]]:
    """Messages that have all of it, as devices and apps write it."""
    wifi = {
        "ssid": found["SSID in base64"],
        "password": found["Wi-Fi password in base64"],
        "bssid": found["BSSID"],
    }
    inner = {
        "header": {
            "messageId": "1",
            "method": "GET",
            "namespace": "Appliance.Config.Key",
            "sign": found["app's signature"],
            "from": f"/app/{user_id}-abc/subscribe",
        },
        "payload": {"key": {"key": found["account key"], "userId": user_id}},
    }
    return [
        (
            "Config.Key",
            {
                "key": {
                    "key": found["account key"],
                    "userId": user_id,
                    "gateway": {
                        "host": found["gateway"],
                        "port": 443,
                        "password": found["MQTT password of a device"],
                        "passwd": [found["MQTT password of an app"]],
                    },
                }
            },
        ),
        ("Config.Wifi", {"wifi": wifi}),
        (
            "Config.WifiList",
            {
                "wifiList": [
                    {
                        "ssid": found["neighbour's SSID"],
                        "bssid": found["neighbour's BSSID"],
                    }
                ]
            },
        ),
        (
            "Config.Info",
            {
                "info": {
                    "homekit": {
                        "sn": found["serial number"],
                        "setupId": found["HomeKit's id"],
                        "setupCode": found["HomeKit's code"],
                        "token": found["HomeKit's token"],
                        "uuid": found["other uuid"],
                    },
                    "matter": {"passcode": int(found["Matter's code"])},
                }
            },
        ),
        (
            "System.Debug",
            {
                "debug": {
                    "system": {"suncalc": found["sunrise"]},
                    "network": {
                        "ssid": found["SSID"],
                        "gatewayMac": found["gateway's MAC"],
                        "innerIp": found["address"],
                    },
                    "cloud": {
                        "userId": int(user_id),
                        "account": found["guest's e-mail"],
                        "user_id": int(found["guest's number"]),
                        "peerMac": found["guest's MAC"],
                        "pingTrace": [
                            f"{found['gateway']} 3 ms",
                            found["IPv6 address"],
                        ],
                    },
                }
            },
        ),
        (
            "System.Position",
            {
                "position": {
                    "longitude": int(found["longitude"]),
                    "latitude": int(found["latitude"]),
                }
            },
        ),
        (
            "Encrypt.ECDHE",
            {"ecdhe": {"step": 1, "pubkey": found["public key"]}, "bindId": "x"},
        ),
        (
            "Test.Free",
            {
                "text": (
                    f"{EMAIL} at {UUID} ({found['MAC']}, {found['MAC in capitals']}), "
                    f"{found['MAC without colons']}, next to {OTHER} "
                    f"{found['other MAC']}; user {user_id} has {found['account key']}"
                ),
                f"/appliance/{UUID}/publish": [found["BSSID"].replace(":", "")],
                "online": {"bindId": found["binding"], "who": 1},
                "access": {"tokens": [[{"accessToken": found["access token"]}]]},
                "number": int(user_id),
            },
        ),
        ("Control.Multiple", {"multiple": [inner]}),
    ]


@pytest.mark.virtual_time
async def test_none_of_many_planted_secrets_is_in_the_file(tmp_path: Path):
    path = tmp_path / "data.zip"
    async with room(apps_hear="answers") as here:
        here.cloud.register(uuid=OTHER, name="Other")
        await here.account.refresh()
        user_id = here.cloud.user_id
        found = planted(here.cloud.key, user_id)
        seen: list[str] = []
        async with (
            here.sniffing(path, secrets=[PASSWORD]) as sniffer,
            sniffer.records() as records,
        ):
            for name, payload in payloads(found, user_id):
                # From the app, and from the device as a push.
                await here.app.ask(
                    f"Appliance.{name}", Method.GET, payload=payload, message_id=name
                )
                here.sim.device.push(f"Appliance.{name}", payload)
                await anyio.sleep(1)
            await here.app.ask("Appliance.Test.Sign", message_id=f"{7:032x}")
            sniffer.annotate(f"I am {EMAIL}, {PASSWORD}, in Annas Wlan 5G of {UUID}")
            sniffer.annotate(f"which opens with hunter2 hunter2 and {here.cloud.key}")
            await anyio.sleep(30)
            seen.extend(repr(records.receive_nowait()) for _ in range(len(records)))
            assert user_id not in repr(sniffer)
    texts = texts_of(path)
    assert len(found) >= 30
    for what, value in found.items():
        for name, text in {**texts, "records": str(seen)}.items():
            assert value.lower() not in text.lower(), f"{what} is in {name}"
    assert json.loads(texts["manifest.json"])["counts"]["dropped"] == 0
    # They were all there, each twice, and what is no secret stayed.
    assert texts["log.ndjson"].count('"Appliance.Config.Wifi"') >= 2
    assert '"port":443' in texts["log.ndjson"]


def redactor(**more: Any) -> Redactor:
    return Redactor(uuid=UUID, user_id="123456", key=KEY, **more)


def payload(given: dict[str, Any]) -> Any:
    return redactor().message({"header": {}, "payload": given})["payload"]


def test_placeholders_are_what_they_stand_for_and_always_the_same():
    own = redactor()
    message = {
        "header": {
            "from": f"/appliance/{UUID}/publish",
            "uuid": UUID,
            "sign": "s" * 32,
        },
        "payload": {
            "all": {
                "uuid": UUID,
                "macAddress": mac_of_uuid(UUID),
                "wifiMac": "A4-2B-B0-12-34-56",
                "userId": 123456,
                "innerIp": "10.0.0.5",
                "ssid": "x",
            },
            "again": ["a4:2b:b0:12:34:56", "10.0.0.5", "123456"],
        },
    }
    found = own.message(message)
    placeholder = own.uuid
    assert len(placeholder) == 32
    assert found["header"] == {
        "from": f"/appliance/{placeholder}/publish",
        "uuid": placeholder,
        "sign": "***",
    }
    assert found["payload"]["all"] == {
        "uuid": placeholder,
        "macAddress": mac_of_uuid(placeholder),
        "wifiMac": "02-00-00-01-00-01",
        "userId": 1_000_001,
        "innerIp": "192.0.2.1",
        "ssid": "wifi-1",
    }
    assert found["payload"]["again"] == ["02:00:00:01:00:01", "192.0.2.1", "1000001"]
    assert own.message(message) == found


@pytest.mark.parametrize(
    "given",
    [
        {"togglex": [{"channel": 0, "onoff": 1, "lmTime": 1_700_000_000}]},
        {
            "electricity": {
                "power": 123,
                "voltage": 2301,
                "factor": 0.5,
                "chip": "mt7682",
            }
        },
        {"time": {"timezone": "Europe/Rome", "timeRule": [[1, 3600, 0]]}},
        {"firmware": {"version": "6.3.22", "compileTime": "2023/03/09-15:05:12"}},
        {"position": [{"channel": 0, "position": 100}], "timer": [], "key": {}},
        {"password": "", "token": None, "latitude": 0, "ssid": ""},
        {"text": "12:30:15 at 1.2.3 for 5:6:7"},
    ],
)
def test_what_is_no_secret_stays(given: dict[str, Any]):
    assert payload(given) == given


def test_below_the_name_of_a_secret_nothing_stays():
    given = {"password": {"a": [1, {"b": "c"}], "d": True}, "x": {"key": {"y": "z"}}}
    assert payload({"x": given}) == {
        "x": {
            "password": {"a": ["***", {"b": "***"}], "d": "***"},
            "x": {"key": {"y": "***"}},
        }
    }


def test_what_is_nested_without_end_or_no_number_is_cut():
    deep: Any = "core"
    for _ in range(100):
        deep = [deep]
    found = payload({"deep": deep, "x": float("inf"), "y": {"password": deep}})
    assert "core" not in json.dumps(found)
    assert found["x"] is None
    json.dumps(found, allow_nan=False)


@pytest.mark.thorough
def test_whoever_names_without_end_costs_a_bounded_memory():
    own = redactor()

    def tell(numbers: range) -> int:
        for number in numbers:
            own.message(
                {
                    "payload": {
                        "uuid": f"{number:032d}",
                        "ssid": f"net {number}",
                        "password": f"a password {number}",
                        "bssid": f"{number:012x}",
                        "innerIp": f"10.1.{number // 256}.{number % 256}",
                    }
                }
            )
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        of_many, of_all = tell(range(2_000)), tell(range(2_000, 20_000))
    finally:
        tracemalloc.stop()
    assert of_all - of_many < 100_000
    # And still nothing is told.
    late = own.message({"payload": {"ssid": "late net", "uuid": "z" * 32, "pwd": "pw"}})
    assert "late" not in str(late)
    assert "zz" not in str(late)


@pytest.mark.parametrize(
    "hostile",
    [
        b'{"x": [' + b",".join([b'"0.0.0.0"'] * 5_000) + b"]}",
        b'{"x": [' + b",".join([b'{"ssid":"a b c"}'] * 3_500) + b"]}",
        b'{"x": "' + b":" * 60_000 + b'"}',
        b'{"x": "' + b"a@a.a" * 12_000 + b'"}',
        b'{"x": "' + b"ab:" * 20_000 + b'"}',
        b'{"' + b"pass" * 15_000 + b'": "/app/' + b"1" * 4_000 + b'"}',
        b'{"x": ' + b"[" * 400 + b"]" * 400 + b"}",
    ],
    ids=["addresses", "networks", "colons", "mails", "MACs", "names", "deep"],
)
def test_no_message_holds_the_loop_for_long(hostile: bytes):
    own = redactor()
    for number in range(300):
        own.text(f"/app/x{number}/")
        own.message(
            {"payload": {"ssid": f"a net {number}", "password": f"a b {number}"}}
        )
    payload = json.loads(hostile)
    begun_s = time.thread_time()
    own.message({"header": {}, "payload": payload})
    assert time.thread_time() - begun_s < 0.05
