"""The client's shell: the only part that touches the network."""

from __future__ import annotations

from structiot.mqtt.link.greeting import Greeting
from structiot.mqtt.link.outbox import Receipt
from structiot.mqtt.link.session import Link
from structiot.mqtt.link.transport import Transport

__all__ = ["Greeting", "Link", "Receipt", "Transport"]
