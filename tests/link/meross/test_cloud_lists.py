"""What Meross's cloud lists, and what is counted of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import anyio
import pytest

from structiot._kit.http.server import RawReply
from structiot.errors import LinkLost, ProtocolViolation
from structiot.meross.errors import CloudUnavailable
from structiot.meross.wire.cloud import Path
from structiot.meross.wire.device_list import OnlineStatus
from tests.link.meross.scripted_cloud import scripted_cloud, signed_in

pytestmark = pytest.mark.virtual_time

HUB = "2401010000000000000048e1e9aabb01"


async def test_the_lists():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        plug = {
            "uuid": "2401010000000000000048e1e9aabbcc",
            "onlineStatus": 1,
            "devName": "Desk \x1b[31mplug",
            "bindTime": 1690000000,
            "deviceType": "MSS310",
            "subType": "eu",
            "channels": [{}, {"type": "USB", "devName": "Charger"}, None],
            "region": "eu",
            "fmwareVersion": "6.3.22",
            "hdwareVersion": "6.0.0",
            "domain": "mqtt-eu-4.meross.com:2001",
            "somethingNew": [1],
        }
        bare = {"uuid": "not-hex-but-an-id"}
        odd = {
            "uuid": "odd",
            "onlineStatus": 17,
            "bindTime": 10**30,
            "channels": "x" * 9,
            "domain": 7,
            "devName": ["no"],
            "deviceType": None,
        }
        bad = [{"uuid": "a/#"}, {"uuid": None}, {}, "x", None, plug]
        cloud.lists[Path.DEVICES] = [plug, bare, odd, *bad]
        found = await account.devices()
        assert [one.uuid[:7] for one in found] == ["2401010", "not-hex", "odd"]
        first, second, third = found
        assert (first.name, first.model, first.sub_type) == (
            "Desk  [31mplug", "mss310", "eu",
        )  # fmt: skip
        assert first.status is OnlineStatus.ONLINE
        assert first.bound_at_utc == datetime(2023, 7, 22, 4, 26, 40, tzinfo=UTC)
        assert first.broker == ("mqtt-eu-4.meross.com", 2001)
        assert (first.firmware, first.hardware) == ("6.3.22", "6.0.0")
        assert [(one.number, one.name, one.kind) for one in first.channels] == [
            (0, None, None), (1, "Charger", "USB"), (2, None, None),
        ]  # fmt: skip
        assert second.broker == ("mqtt.eu", 443)
        assert second.status is third.status is OnlineStatus.UNKNOWN
        assert (third.name, third.model, third.bound_at_utc) == (None, None, None)
        assert third.channels == ()

        cloud.lists[Path.SUBDEVICES] = [
            {"subDeviceId": "1A00", "subDeviceType": "MTS100v3", "subDeviceName": "W"},
            {"subDeviceId": "1A00"},
            {"subDeviceId": 7, "trueId": 9},
            {"subDeviceType": "ms100"},
        ]
        valve, other = await account.subdevices(HUB)
        assert (valve.subdevice_id, valve.model, valve.name) == (
            "1A00",
            "mts100v3",
            "W",
        )
        assert (other.subdevice_id, other.model) == ("7", None)
        assert cloud.asked[-1].params == {"uuid": HUB}

        cloud.lists[Path.FIRMWARE] = [
            {"type": "mss310", "subType": "eu", "version": "6.3.23", "url": "http://x"},
            {"version": "1"},
        ]
        (newest,) = await account.firmware_versions()
        assert (newest.model, newest.version) == ("mss310", "6.3.23")
        cloud.lists.update({Path.SUBDEVICES: None, Path.FIRMWARE: {}})
        assert await account.subdevices(HUB) == ()
        assert await account.firmware_versions() == ()


@pytest.mark.parametrize("data", [None, {}, "no", 7])
async def test_no_list_of_devices_does_not_mean_no_devices(data):
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        cloud.lists[Path.DEVICES] = data
        with pytest.raises(ProtocolViolation, match="no list"):
            await account.devices()


async def test_requests_are_counted():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        await anyio.sleep(50)
        cloud.answer(Path.DEVICES, 5000, RawReply())
        for error in (CloudUnavailable, LinkLost):
            with pytest.raises(error):
                await account.devices()
        stats = account.stats()
        assert stats.total_calls == 4
        assert stats.by_http_status == {200: 3, None: 1}
        assert stats.by_api_status == {1030: 1, 0: 1, 5000: 1, None: 1}
        url = "http://eu.cloud/v1/Device/devList"
        assert stats.by_url[url].total_calls == 2
        assert stats.by_url[url].by_api_status == {5000: 1, None: 1}
        await anyio.sleep(30)
        assert account.stats().total_calls == 2
        assert account.stats(time_window=timedelta(hours=1)).total_calls == 4
        for _ in range(1010):
            await account.devices()
        assert account.stats(time_window=timedelta(hours=1)).total_calls == 1000
