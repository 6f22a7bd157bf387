"""The original meross-iot, unmodified, with our simulated cloud and devices."""

from __future__ import annotations

import json
import ssl

import anyio
import pytest
import trustme
from anyio.streams.buffered import BufferedByteReceiveStream

from structiot import open_meross
from structiot.meross import Policy
from structiot.meross.wire.cloud import Path
from structiot.model import LightState
from structiot.sim import MerossCloudSim, sim_meross_cloud, sim_meross_device
from tests.originals.conftest import MEROSS

pytestmark = pytest.mark.e2e

DRIVER = "drive_meross.py"


async def drive(cloud: MerossCloudSim, authority: str, press) -> dict[str, object]:
    """Let the original do its tour; give what it has seen."""
    command = [
        str(MEROSS.python),
        str(anyio.Path(__file__).parent / DRIVER),
        *(cloud.url, cloud.email, cloud.password),
        *("localhost", str(cloud.broker.port), authority),
    ]
    with anyio.fail_after(90):
        async with await anyio.open_process(command, stderr=None) as process:
            assert process.stdout is not None
            lines = BufferedByteReceiveStream(process.stdout)
            # The package logs to standard output as well.
            while await lines.receive_until(b"\n", 65_536) != b"ready":
                pass
            await press()
            while True:
                line = await lines.receive_until(b"\n", 65_536)
                if line.startswith(b"{"):
                    found: dict[str, object] = json.loads(line)
                    return found


async def test_the_original_and_we_do_the_same_with_the_same_devices(tmp_path):
    authority = trustme.CA()
    trusted = tmp_path / "authority.pem"
    authority.cert_pem.write_to_path(str(trusted))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    checking = ssl.create_default_context()
    authority.configure_trust(checking)
    async with (
        sim_meross_cloud(
            host="localhost", ssl_context=context, has_https=False
        ) as cloud,
        sim_meross_device(
            "127.0.0.2", name="Desk", loads=[60], cloud=cloud, http_port=0
        ) as plug,
        sim_meross_device(
            "127.0.0.3", model="msl120", name="Bulb", cloud=cloud, http_port=0
        ) as lamp,
    ):
        with anyio.fail_after(10):
            while any(one.status != 1 for one in cloud.devices.values()):  # noqa: ASYNC110 - a simulator
                await anyio.sleep(0.1)

        assert await drive(cloud, str(trusted), plug.press) == {
            "user_id": cloud.user_id,
            "domain": cloud.url,
            "listed": ["Bulb", "Desk"],
            "found": [["Desk", "mss310", "ONLINE"], ["Bulb", "msl120", "ONLINE"]],
            "was_on": True,
            "is_off": True,
            "is_on": True,
            "power_w": pytest.approx(60, rel=0.01),
            "rgb": [255, 0, 128],
            "luminance": 40,
            "is_on_after_press": False,
        }
        assert cloud.valid_tokens == 0
        assert cloud.sign_ins == 1
        paths = {call.path for call in cloud.requests}
        assert paths >= {Path.SIGN_IN, Path.LOG, Path.DEVICES, Path.LOG_OUT}
        assert {call.code for call in cloud.requests} == {0}

        policies: tuple[Policy, ...] = ("cloud_only", "lan_first")
        for policy in policies:
            async with open_meross(
                email=cloud.email,
                password=cloud.password,
                store=None,
                url=cloud.url,
                broker=("localhost", cloud.broker.port),
                ssl_context=checking,
                policy=policy,
                lan_ports={one.host: one.http_port for one in (plug, lamp)},
            ) as meross:
                desk, bulb = meross.device("Desk"), meross.device("Bulb")
                await desk.turn_on()
                await bulb.command(
                    "light", LightState(rgb=(255, 0, 128), brightness_percent=40)
                )
                async with meross.notifications() as notes, desk.readings() as readings:
                    with anyio.fail_after(60):
                        reading = await anext(readings)
                        while not reading.power_w:
                            reading = await anext(readings)
                    assert reading.power_w == pytest.approx(60, rel=0.01)
                    await plug.press()
                    with anyio.fail_after(20):
                        async for note in notes:
                            if note.device is desk and "ToggleX" in note.namespace:
                                break
                with anyio.fail_after(20):
                    while desk.states.get("switch") is not False:  # noqa: ASYNC110
                        await anyio.sleep(0.1)
                state = bulb.states["light"]
                assert isinstance(state, LightState)
                assert (state.rgb, state.brightness_percent) == ((255, 0, 128), 40)
