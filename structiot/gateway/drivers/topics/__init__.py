"""Devices that links make of topics of others: a Tasmota's, zigbee2mqtt's."""

from __future__ import annotations

from structiot.gateway.drivers.topics.driver import TopicDriver

__all__ = ["TopicDriver"]
