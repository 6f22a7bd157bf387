"""MQTT: a client for any broker, and a small broker, with structured concurrency."""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports
from structiot.mqtt.authentication import Authentication, ScramSha256
from structiot.mqtt.client import Counters, MqttClient
from structiot.mqtt.codecs import BaseCodec, Codec, get_codec
from structiot.mqtt.config import MqttConfig, TopicDefaults
from structiot.mqtt.errors import (
    ClientException,
    ConnectException,
    MessageExpired,
    MqttAuthRefused,
    MqttCertificateRefused,
    MqttConnectFailed,
    MqttConnectRefused,
    MqttGoodbye,
    MqttSessionLost,
    SubscribeRefused,
)
from structiot.mqtt.events import (
    Connected,
    ConnectionEvent,
    Disconnected,
    ReadingPaused,
    ReadingResumed,
)
from structiot.mqtt.link import Receipt
from structiot.mqtt.opening import open_mqttclient, subscription
from structiot.mqtt.subscription import AckMode, Messages
from structiot.mqtt.wire.messages import Message, Will
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.mqtt.wire.topics import matches

# Half of the package: who only publishes does without.
if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.mqtt.broker import BrokerServer, open_broker

__all__ = [
    "QOS_0",
    "QOS_1",
    "QOS_2",
    "AckMode",
    "Authentication",
    "BaseCodec",
    "BrokerServer",
    "ClientException",
    "Codec",
    "ConnectException",
    "Connected",
    "ConnectionEvent",
    "Counters",
    "Disconnected",
    "Message",
    "MessageExpired",
    "Messages",
    "MqttAuthRefused",
    "MqttCertificateRefused",
    "MqttClient",
    "MqttConfig",
    "MqttConnectFailed",
    "MqttConnectRefused",
    "MqttGoodbye",
    "MqttSessionLost",
    "PublishProperties",
    "ReadingPaused",
    "ReadingResumed",
    "ReasonCode",
    "Receipt",
    "ScramSha256",
    "SubscribeRefused",
    "TopicDefaults",
    "Will",
    "WillProperties",
    "get_codec",
    "matches",
    "open_broker",
    "open_mqttclient",
    "subscription",
]

QOS_0 = 0
QOS_1 = 1
QOS_2 = 2
