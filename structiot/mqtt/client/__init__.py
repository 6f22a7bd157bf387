"""The MQTT client as its users hold it."""

from __future__ import annotations

from structiot.mqtt.client.client import Counters, MqttClient

__all__ = ["Counters", "MqttClient"]
