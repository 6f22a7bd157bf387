"""A broker that is not there is said once, and once more when it is."""

from __future__ import annotations

import logging

import anyio
import pytest

from structiot.gateway import BrokerLost
from tests.gateway.memory_house import House, followed, of_kind

pytestmark = pytest.mark.virtual_time


async def test_an_absent_broker_is_warned_of_once_each_time(caplog):
    caplog.set_level(logging.INFO)
    house = House()

    def warnings() -> list[str]:
        loud = [one for one in caplog.records if one.levelno >= logging.WARNING]
        return [one.message for one in loud if "system" not in one.message]

    async with house.gateway() as gateway, followed(gateway) as events:
        await anyio.sleep(600)
        (first,) = warnings()
        assert first.startswith("no MQTT broker: cannot connect")
        assert len(of_kind(events, BrokerLost)) > 5
        async with house.broker():
            await anyio.sleep(60)
            assert gateway.is_connected
            assert "connected to the broker" in caplog.messages
        await anyio.sleep(600)
        assert len([one for one in warnings() if one.startswith("no MQTT")]) == 2
