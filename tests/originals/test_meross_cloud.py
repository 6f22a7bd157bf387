"""The original meross-iot with our simulated cloud and a plug scripted by hand."""

from __future__ import annotations

import json
import ssl
from typing import Any

import anyio
import pytest
import trustme

from structiot.meross.wire.cloud import Path
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.mqtt import publish_topic
from structiot.sim.meross import sim_meross_cloud
from tests.originals.conftest import MEROSS
from tests.sim.meross.cloud_clients import UUID, Device, device_of

pytestmark = pytest.mark.e2e

DRIVER = "drive_meross.py"
TOGGLE = "Appliance.Control.ToggleX"


class Plug:
    """Answers what meross-iot asks a plug without a meter."""

    def __init__(self) -> None:
        self.is_on = 0
        self.asked: list[str] = []

    def payload(self, asked: Envelope) -> dict[str, Any]:
        self.asked.append(asked.namespace)
        togglex = {"channel": 0, "onoff": self.is_on, "lmTime": 1_700_000_000}
        match asked.namespace:
            case "Appliance.System.Ability":
                names = ("Appliance.System.All", "Appliance.System.Online", TOGGLE)
                return {"payloadVersion": 1, "ability": {name: {} for name in names}}
            case "Appliance.System.All":
                system = {
                    "hardware": {"type": "mss210", "uuid": UUID},
                    "firmware": {"version": "6.3.22", "innerIp": "10.0.0.7"},
                    "time": {"timestamp": 1_700_000_000},
                    "online": {"status": 1},
                }
                return {"all": {"system": system, "digest": {"togglex": [togglex]}}}
        if asked.method is Method.SET:
            self.is_on = asked.payload["togglex"]["onoff"]  # type: ignore[index]
            return {}
        return {"togglex": [togglex]}

    async def serve(self, device: Device) -> None:
        while True:
            message = await anext(device.heard[0])
            asked = device.understood(message)
            is_get = asked.method is Method.GET
            await device.say(
                asked.sender,
                asked.namespace,
                Method.GETACK if is_get else Method.SETACK,
                message_id=asked.message_id,
                payload=self.payload(asked),
                sender=publish_topic(UUID),
            )


async def test_the_original_signs_in_and_switches_a_plug(tmp_path):
    authority = trustme.CA()
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    checking = ssl.create_default_context()
    authority.configure_trust(checking)
    plug = Plug()
    async with sim_meross_cloud(
        host="localhost", ssl_context=context, has_https=False
    ) as cloud:
        cloud.register(uuid=UUID, name="Desk plug", device_type="mss210")
        async with (
            device_of(cloud, ssl_context=checking) as device,
            anyio.create_task_group() as tasks,
        ):
            tasks.start_soon(plug.serve, device)
            with anyio.fail_after(60):
                done = await anyio.run_process(
                    [
                        str(MEROSS.python),
                        str(anyio.Path(__file__).parent / DRIVER),
                        *(cloud.url, cloud.email, "correct horse"),
                        *("localhost", str(cloud.broker.port), str(trusted)),
                    ]
                )
            tasks.cancel_scope.cancel()
        # The package logs to standard output.
        assert json.loads(done.stdout.splitlines()[-1]) == {
            "user_id": cloud.user_id,
            "domain": cloud.url,
            "listed": ["Desk plug"],
            "found": ["Desk plug", "mss210", "ONLINE"],
            "was_on": False,
            "is_on": True,
        }
        assert plug.is_on == 1
        assert cloud.messages[UUID] == len(plug.asked) >= 3
        assert cloud.valid_tokens == 0
        assert cloud.sign_ins == 1
        paths = {call.path for call in cloud.requests}
        assert paths >= {Path.SIGN_IN, Path.LOG, Path.DEVICES, Path.LOG_OUT}
        assert {call.code for call in cloud.requests} == {0}
