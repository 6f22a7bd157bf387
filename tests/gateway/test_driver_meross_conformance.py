"""Meross's driver does what every driver does, with ten devices of ten kinds."""

from __future__ import annotations

from structiot.gateway.drivers.meross import MerossDriver
from structiot.gateway.drivers.meross.simulated import SHOWN
from structiot.testing import DriverConformance


class TestMerossDriver(DriverConformance):
    driver = MerossDriver


def test_the_devices_are_of_ten_kinds():
    assert len(SHOWN) == 10
