"""The client's shell: the only part that touches the network."""

from __future__ import annotations

from structiot.mqtt.link.connect_handshake import ConnectHandshake
from structiot.mqtt.link.link import Link
from structiot.mqtt.link.receipts import Receipt

__all__ = ["ConnectHandshake", "Link", "Receipt"]
