"""The golden MQTT packets as values: bytes and the packet they stand for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from structiot.mqtt.wire import messages, properties
from structiot.mqtt.wire.codec import Decoder
from structiot.mqtt.wire.messages import Message, Packet, SubscriptionRequest, Will
from structiot.mqtt.wire.reasons import ConnectReturnCode, ReasonCode
from tests._support.golden import golden_json, parse_hex

Role = Literal["client", "server"]

BYTES_FIELDS = {"password", "payload", "correlation_data", "authentication_data"}
PROPERTY_CLASSES = {
    name: cls for name, cls in vars(properties).items() if name.endswith("Properties")
}
PROPERTIES_OF = {
    "Puback": "Ack",
    "Pubrec": "Ack",
    "Pubrel": "Ack",
    "Pubcomp": "Ack",
    "Suback": "Ack",
    "Unsuback": "Ack",
    "Message": "Publish",
}


@dataclass(frozen=True, kw_only=True)
class Vector:
    what: str
    version: int
    receiver: Role
    raw: bytes
    packet: Packet
    is_shortest: bool

    def decoder(self) -> Decoder:
        return Decoder(role=self.receiver, version=self.version)


def _raw(text: str) -> bytes:
    return bytes.fromhex(text[2:]) if text.startswith("0x") else text.encode()


def _properties(kind: str, given: dict[str, Any]) -> Any:
    cls = PROPERTY_CLASSES[PROPERTIES_OF.get(kind, kind) + "Properties"]
    values = {
        name: _raw(value) if name in BYTES_FIELDS else value
        for name, value in given.items()
    }
    if "user_properties" in values:
        values["user_properties"] = tuple(map(tuple, values["user_properties"]))
    if "subscription_ids" in values:
        values["subscription_ids"] = tuple(values["subscription_ids"])
    return cls(**values)


def _value(kind: str, name: str, value: Any) -> Any:
    if name == "properties":
        return _properties(kind, value)
    if name in BYTES_FIELDS:
        return _raw(value)
    makers: dict[str, Callable[[Any], Any]] = {
        "will": lambda given: Will(**_fields("Will", given)),
        "subscriptions": lambda given: tuple(
            SubscriptionRequest(**request) for request in given
        ),
        "topic_filters": tuple,
        "reasons": lambda given: tuple(map(ReasonCode, given)),
        "reason": ReasonCode,
    }
    return makers[name](value) if name in makers else value


def _fields(kind: str, given: dict[str, Any]) -> dict[str, Any]:
    fields = {name: _value(kind, name, value) for name, value in given.items()}
    if "return_code" in fields:
        fields["reason"] = ConnectReturnCode(fields.pop("return_code"))
    return fields


def _packet(given: dict[str, dict[str, Any]]) -> Packet:
    [(kind, values)] = given.items()
    fields = _fields(kind, values)
    if kind == "Message":
        return Message(**fields)
    packet: Packet = getattr(messages, kind)(**fields)
    return packet


def _vector(source: str, entry: dict[str, Any]) -> Vector:
    digits = entry["hex"]
    return Vector(
        what=f"{source}, {entry['version']}: {entry['what']}",
        version=entry["version"],
        receiver=entry["receiver"],
        raw=parse_hex(digits if isinstance(digits, str) else "\n".join(digits)),
        packet=_packet(entry["packet"]),
        is_shortest=entry.get("shortest", True),
    )


VECTORS = [
    _vector(source, entry)
    for source in ("handwritten", "mosquitto", "paho")
    for entry in golden_json(f"mqtt/{source}")
]
"""Every golden packet."""
