"""The gateway's configuration: sections, and a reader that finds all that is wrong."""

from __future__ import annotations

from structiot.gateway.config.dashboard import DashboardSection
from structiot.gateway.config.history import HistorySection, InfluxSection
from structiot.gateway.config.loading import configuration_of, load_config
from structiot.gateway.config.sections import (
    BrokerSection,
    GatewayConfig,
    GatewaySection,
    MqttSection,
)

__all__ = [
    "BrokerSection",
    "DashboardSection",
    "GatewayConfig",
    "GatewaySection",
    "HistorySection",
    "InfluxSection",
    "MqttSection",
    "configuration_of",
    "load_config",
]
