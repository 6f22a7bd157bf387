"""A configuration that is looked at, and not served."""

from __future__ import annotations

from typing import TYPE_CHECKING

import asyncclick as click

from structiot.cli._common.options import Decorator
from structiot.errors import ConfigError

if TYPE_CHECKING:
    from structiot.gateway import GatewayConfig

__all__ = ["DEFAULT_FILE", "check_config", "file_argument"]

DEFAULT_FILE = "structiot.toml"

file_argument: Decorator = click.argument(
    "path", metavar="[FILE]", type=click.Path(), default=DEFAULT_FILE
)


def check_config(path: str) -> GatewayConfig:
    """Read a configuration in which something stands; blocks.

    Raises:
        ConfigError: It cannot be read, is empty, or something is wrong in it.
    """
    # Half a second of imports, which the help of the program does without.
    from structiot.gateway import load_config  # noqa: PLC0415

    config = load_config(path)
    if not config.model_fields_set:
        raise ConfigError(f"{path} is empty: there is no setting in it")
    return config
