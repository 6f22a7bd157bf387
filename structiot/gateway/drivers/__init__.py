"""The systems that a gateway can serve, one driver each."""

from __future__ import annotations

from structiot._kit.environment import Environment
from structiot.gateway.config import GatewayConfig
from structiot.gateway.drivers.driver import Driver, Keeper, Kept, Source
from structiot.gateway.drivers.maxsmart import MaxSmartDriver

__all__ = ["Driver", "Keeper", "Kept", "Source", "drivers_of"]


def drivers_of(config: GatewayConfig, environment: Environment) -> list[Driver]:
    """Make the drivers that a configuration asks for."""
    drivers: list[Driver] = []
    if config.maxsmart is not None:
        drivers.append(MaxSmartDriver(config.maxsmart, environment))
    return drivers
