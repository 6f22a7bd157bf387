"""A small MQTT broker to carry in the pocket: for tests, demos and small houses."""

from __future__ import annotations

from structiot.mqtt.broker.config import BrokerLimits
from structiot.mqtt.broker.enhanced_auth import Authenticator, AuthExchange, Identity
from structiot.mqtt.broker.mosquitto_import import Imported, import_mosquitto
from structiot.mqtt.broker.passwords import Passwords, hash_password
from structiot.mqtt.broker.permission_entries import Permission
from structiot.mqtt.broker.permissions import Permissions
from structiot.mqtt.broker.server import BrokerServer, open_broker

__all__ = [
    "AuthExchange",
    "Authenticator",
    "BrokerLimits",
    "BrokerServer",
    "Identity",
    "Imported",
    "Passwords",
    "Permission",
    "Permissions",
    "hash_password",
    "import_mosquitto",
    "open_broker",
]
