"""What the simulated cloud's HTTP API tells of devices, subdevices and firmware."""

from __future__ import annotations

import pytest

from structiot.errors import UsageError
from structiot.meross.wire.cloud import Path
from tests.sim.meross.asking_cloud import HOST, UUID, cloud_and_asker

pytestmark = pytest.mark.virtual_time


async def test_devices_are_listed_as_they_are_registered():
    async with cloud_and_asker(second_broker=True) as (cloud, ask):
        await ask.sign_in()
        cloud.register(uuid=UUID, name="Desk plug")
        channels = [{}, {"type": "Switch", "devName": "Left"}]
        cloud.register(
            uuid="u" * 32,
            name="Strip",
            device_type="mss425f",
            channels=channels,
            firmware="2.1.0",
            mac="48:E1:E9:00:00:01",
            broker=1,
        )
        plug, strip = await ask.data(Path.DEVICES)
        assert plug == {
            "uuid": UUID,
            "onlineStatus": 2,
            "devName": "Desk plug",
            "devIconId": "device001",
            "bindTime": plug["bindTime"],
            "deviceType": "mss310",
            "subType": "eu",
            "channels": [{}],
            "region": "eu",
            "fmwareVersion": "6.3.22",
            "hdwareVersion": "6.0.0",
            "userDevIcon": "",
            "iconType": 1,
            "domain": f"{HOST}:{cloud.brokers[0].port}",
            "reservedDomain": f"{HOST}:{cloud.brokers[0].port}",
            "hardwareCapabilities": [],
        }
        assert strip["channels"] == channels
        assert strip["domain"] == f"{HOST}:{cloud.brokers[1].port}"
        assert cloud.broker_of("u" * 32) is cloud.brokers[1]
        assert cloud.devices[UUID].mac == "48:e1:e9:aa:bb:cc"
        cloud.rename(UUID, "Lamp")
        assert await ask.data("/v1/Device/devInfo", {"uuid": UUID}) == {
            **plug,
            "devName": "Lamp",
        }
        cloud.unbind(UUID)
        assert [one["uuid"] for one in await ask.data(Path.DEVICES)] == ["u" * 32]
        assert await ask.code("/v1/Device/devInfo", {"uuid": UUID}) == 20106


async def test_what_cannot_be_registered_is_told():
    async with cloud_and_asker() as (cloud, _):
        cloud.register(uuid=UUID, name="Plug")
        for wrong in ({"uuid": UUID}, {"uuid": "a/b"}, {"uuid": "other", "broker": 1}):
            with pytest.raises(UsageError):
                cloud.register(name="Again", **wrong)
        for method in (cloud.unbind, cloud.broker_of):
            with pytest.raises(UsageError, match="no device"):
                method("nobody")


async def test_a_broker_at_the_usual_port_goes_without_one():
    async with cloud_and_asker(mqtt_port=443, second_broker=True) as (cloud, _):
        assert [one.domain for one in cloud.brokers] == [HOST, f"{HOST}:444"]


async def test_subdevices_and_firmware_are_listed():
    async with cloud_and_asker() as (cloud, ask):
        await ask.sign_in()
        valve = {
            "subDeviceId": "1A00AABBCCDD",
            "subDeviceType": "mts100v3",
            "subDeviceName": "Valve",
            "subDeviceIconId": "",
            "subDeviceVendor": "meross",
            "trueId": "1A00AABBCCDD",
        }
        cloud.register(uuid=UUID, name="Hub", device_type="msh300", subdevices=[valve])
        assert await ask.data(Path.SUBDEVICES, {"uuid": UUID}) == [valve]
        assert await ask.code(Path.SUBDEVICES, {"uuid": "other"}) == 20106
        cloud.quirks.left_out = {"trueId", "subDeviceVendor"}
        (found,) = await ask.data(Path.SUBDEVICES, {"uuid": UUID})
        assert found.keys() == valve.keys() - {"trueId", "subDeviceVendor"}
        (version,) = await ask.data(Path.FIRMWARE)
        assert version["version"] == "6.3.22"
        cloud.newest_firmware["msh300"] = "9.9.9"
        (version,) = await ask.data(Path.FIRMWARE)
        assert (version["type"], version["version"]) == ("msh300", "9.9.9")
