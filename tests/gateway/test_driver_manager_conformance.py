"""The manager's driver does what every driver does, with devices in two dialects."""

from __future__ import annotations

from structiot.gateway.drivers.manager import ManagerDriver
from structiot.gateway.drivers.manager.simulated import SHOWN
from structiot.testing import DriverConformance


class TestManagerDriver(DriverConformance):
    driver = ManagerDriver


def test_the_devices_are_of_several_types():
    assert [kind for kind, _ in SHOWN[:4]] == ["lamp", "climate", "doorbell", "lock"]
    assert len(SHOWN) == 30
