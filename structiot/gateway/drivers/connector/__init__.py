"""The platform connector in the gateway: devices of all systems, offered to a platform."""

from __future__ import annotations

from structiot.gateway.drivers.connector.driver import ConnectorDriver
from structiot.gateway.drivers.connector.section import ConnectorSection

__all__ = ["ConnectorDriver", "ConnectorSection"]
