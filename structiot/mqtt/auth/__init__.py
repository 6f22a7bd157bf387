"""Enhanced authentication (MQTT 5.0): what a client does where a password is not enough."""

from __future__ import annotations

from structiot.mqtt.auth.authentication import Authentication
from structiot.mqtt.auth.scram import ScramSha256

__all__ = ["Authentication", "ScramSha256"]
