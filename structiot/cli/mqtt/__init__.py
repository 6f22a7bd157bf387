"""`structiot mqtt`: publish, subscribe, ask, ping, measure, and run a broker.

The options are those of `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr`.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli._common.command_folder import CommandFolder

__all__ = ["mqtt"]


@click.group(cls=CommandFolder)
def mqtt() -> None:
    """Talk to any MQTT broker, or run a small one."""
