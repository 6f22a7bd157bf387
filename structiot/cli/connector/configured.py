"""The gateway's configuration, for commands that care for its devices and no broker."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from structiot.cli._common.options import Decorator
from structiot.cli.run import config_option
from structiot.errors import ConfigError
from structiot.gateway import GatewayConfig, load_config

__all__ = ["config_of", "path_option"]

_ANY_PORT: Final = ("mqtt://127.0.0.1:0",)

path_option: Decorator = config_option


def config_of(path: str | Path) -> GatewayConfig:
    """Read a configuration that has `[connector]` and links to it.

    Where it has no broker, the embedded one takes any port: nobody needs it. Nor is there
    a page that nobody has asked for.

    Raises:
        ConfigError: It cannot be read, something is wrong in it, or it has no such
            section or links.
    """
    config = load_config(path)
    has_offers = any(link.what == "offer" for link in config.links)
    if (section := config.systems.get("connector")) is None or not has_offers:
        missing = "[connector]" if section is None else '[[links]] with to = "platform"'
        raise ConfigError(f"{path} has no {missing}: no device is offered")
    if config.mqtt.uri is None and "listen" not in config.broker.model_fields_set:
        broker = config.broker.model_copy(update={"listen": _ANY_PORT})
        config = config.model_copy(update={"broker": broker})
    if "dashboard" not in config.model_fields_set:
        page = config.dashboard.model_copy(update={"enabled": False})
        config = config.model_copy(update={"dashboard": page})
    return config
