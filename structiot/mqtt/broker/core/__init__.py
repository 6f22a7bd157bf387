"""The broker's logic, pure: no socket, no task, no clock but what the shell tells.

`Broker` is made of layers, each a module: `delivering` takes a message to all who get
it, `subscribing` knows who that is, `ending` ends connections and sessions, `broker`
begins them. `ConnectedClient` is how it sees a connection.
"""

from __future__ import annotations

from structiot.mqtt.broker.core.broker import Broker
from structiot.mqtt.broker.core.connected_client import ConnectedClient

__all__ = ["Broker", "ConnectedClient"]
