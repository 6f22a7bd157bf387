"""Following a device from the shell."""

from __future__ import annotations

import anyio
import pytest

from structiot.cli._common.following import follow
from structiot.errors import UnsupportedDevice
from tests.link.device.toys import Doorbell, surroundings

pytestmark = pytest.mark.virtual_time


async def test_a_device_without_a_meter_is_said_to_have_none():
    async with Doorbell(surroundings()) as doorbell:
        with (
            anyio.fail_after(60),
            pytest.raises(UnsupportedDevice, match="Bell has no meter"),
        ):
            await follow(doorbell, print, print)
