"""`structiot mqtt`: publish, subscribe, ask, ping, measure, and run a broker.

The options are those of `mosquitto_pub`, `mosquitto_sub` and `mosquitto_rr`.
"""

from __future__ import annotations

import asyncclick as click

from structiot.cli.lazy import LazyCommand, LazyGroup

__all__ = ["mqtt"]

_COMMANDS = {
    "pub": LazyCommand("structiot.cli.mqtt.pub", "pub", "Publish messages."),
    "sub": LazyCommand("structiot.cli.mqtt.sub", "sub", "Print messages."),
    "request": LazyCommand(
        "structiot.cli.mqtt.request", "request", "Ask and print the answer."
    ),
    "broker": LazyCommand("structiot.cli.mqtt.broker", "broker", "Run a broker."),
    "passwd": LazyCommand(
        "structiot.cli.mqtt.passwd", "passwd", "Edit a broker's password file."
    ),
    "ping": LazyCommand("structiot.cli.mqtt.ping", "ping", "Measure a round trip."),
    "bench": LazyCommand(
        "structiot.cli.mqtt.bench", "bench", "Measure throughput and latency."
    ),
}


@click.group("mqtt", cls=LazyGroup, lazy=_COMMANDS)
def mqtt() -> None:
    """Talk to any MQTT broker, or run a small one."""
