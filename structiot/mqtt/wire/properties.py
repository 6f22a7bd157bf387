"""The properties of MQTT 5.0, typed by the packet that carries them.

One frozen class per kind of packet; a field that the packet did not carry is None
(or the empty tuple for the two kinds that may repeat). User properties keep their
order and their duplicates. Units stand in the names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import Field, dataclass, fields, replace
from typing import Any, ClassVar, TypeVar

from structiot._kit.text import did_you_mean
from structiot.errors import UsageError

__all__ = [
    "NO_ACK_PROPERTIES",
    "NO_AUTH_PROPERTIES",
    "NO_CONNACK_PROPERTIES",
    "NO_CONNECT_PROPERTIES",
    "NO_DISCONNECT_PROPERTIES",
    "NO_SUBSCRIBE_PROPERTIES",
    "NO_UNSUBSCRIBE_PROPERTIES",
    "NO_WILL_PROPERTIES",
    "AckProperties",
    "AuthProperties",
    "ConnackProperties",
    "ConnectProperties",
    "DisconnectProperties",
    "PublishProperties",
    "SubscribeProperties",
    "UnsubscribeProperties",
    "UserProperties",
    "WillProperties",
    "pairs_of_text",
    "properties_of",
]

UserProperties = tuple[tuple[str, str], ...]


class _Properties:
    """Shows what is there; most packets carry few of what they could.

    Attributes:
        pairs_bytes: What many user properties take, once it was counted: see
            `message_size`. No field, as the next one.
        pairs_block: Many user properties as they came, so that a message for many is
            not encoded for each of them.
    """

    __slots__ = ("pairs_block", "pairs_bytes")
    __dataclass_fields__: ClassVar[dict[str, Field[object]]]

    pairs_bytes: int
    pairs_block: bytes

    def share_pairs(self, other: _Properties) -> None:
        """Know what others know that have the same user properties."""
        for name in _Properties.__slots__:
            if (known := getattr(other, name, None)) is not None:
                object.__setattr__(self, name, known)

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{name}={getattr(self, name)!r}"
            for name, item in self.__dataclass_fields__.items()
            if getattr(self, name) != item.default
        )
        return f"{type(self).__name__}({shown})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnectProperties(_Properties):
    """What a client may add to CONNECT."""

    session_expiry_s: int | None = None
    receive_maximum: int | None = None
    maximum_packet_bytes: int | None = None
    topic_alias_maximum: int | None = None
    request_response_information: bool | None = None
    request_problem_information: bool | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class WillProperties(_Properties):
    """What a client may add to its will message."""

    payload_format: int | None = None
    message_expiry_s: int | None = None
    content_type: str | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    will_delay_s: int | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class ConnackProperties(_Properties):
    """What a server may add to CONNACK: its limits, mostly."""

    session_expiry_s: int | None = None
    receive_maximum: int | None = None
    maximum_qos: int | None = None
    retain_available: bool | None = None
    maximum_packet_bytes: int | None = None
    assigned_client_id: str | None = None
    topic_alias_maximum: int | None = None
    reason_string: str | None = None
    wildcard_subscription_available: bool | None = None
    subscription_ids_available: bool | None = None
    shared_subscription_available: bool | None = None
    server_keep_alive_s: int | None = None
    response_information: str | None = None
    server_reference: str | None = None
    authentication_method: str | None = None
    authentication_data: bytes | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class PublishProperties(_Properties):
    """What may accompany a message.

    `payload_format` is 0 for bytes and 1 for UTF-8 text. `topic_alias` and
    `subscription_ids` belong to the connection on which a message came.
    """

    payload_format: int | None = None
    message_expiry_s: int | None = None
    topic_alias: int | None = None
    response_topic: str | None = None
    correlation_data: bytes | None = None
    content_type: str | None = None
    subscription_ids: tuple[int, ...] = ()
    user_properties: UserProperties = ()

    def end_to_end(self) -> PublishProperties:
        """Leave out what belongs to one connection, so that a message can go on."""
        if self.topic_alias is None and not self.subscription_ids:
            return self
        return self.changed(topic_alias=None, subscription_ids=())

    def changed(self, **changes: object) -> PublishProperties:
        """Change fields, and keep what is known of the user properties."""
        made = replace(self, **changes)  # type: ignore[arg-type]
        if made.user_properties is self.user_properties:
            made.share_pairs(self)
        return made


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AckProperties(_Properties):
    """What may accompany PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK and UNSUBACK."""

    reason_string: str | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class SubscribeProperties(_Properties):
    """What a client may add to SUBSCRIBE."""

    subscription_id: int | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class UnsubscribeProperties(_Properties):
    """What a client may add to UNSUBSCRIBE."""

    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class DisconnectProperties(_Properties):
    """What may accompany DISCONNECT; the session expiry only from a client."""

    session_expiry_s: int | None = None
    reason_string: str | None = None
    server_reference: str | None = None
    user_properties: UserProperties = ()


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class AuthProperties(_Properties):
    """What AUTH carries."""

    authentication_method: str | None = None
    authentication_data: bytes | None = None
    reason_string: str | None = None
    user_properties: UserProperties = ()


NO_CONNECT_PROPERTIES = ConnectProperties()
NO_WILL_PROPERTIES = WillProperties()
NO_CONNACK_PROPERTIES = ConnackProperties()
NO_ACK_PROPERTIES = AckProperties()
NO_SUBSCRIBE_PROPERTIES = SubscribeProperties()
NO_UNSUBSCRIBE_PROPERTIES = UnsubscribeProperties()
NO_DISCONNECT_PROPERTIES = DisconnectProperties()
NO_AUTH_PROPERTIES = AuthProperties()

P = TypeVar("P", PublishProperties, WillProperties)


def properties_of(kind: type[P], given: Mapping[str, Any]) -> P:
    """Read properties from a mapping; their values are looked at when they are encoded.

    Raises:
        UsageError: A name that is none, or user properties that are no pairs of texts.
    """
    known = [item.name for item in fields(kind)]
    for name in given:
        if name not in known:
            hint = did_you_mean(str(name), known)
            raise UsageError(f"properties: there is no {name!r:.100}{hint}")
    values = dict(given)
    if "user_properties" in values:
        values["user_properties"] = pairs_of_text(values["user_properties"])
    return kind(**values)


def pairs_of_text(given: object) -> UserProperties:
    """Give user properties as pairs; a mapping has each name once.

    Raises:
        UsageError: They are no pairs of texts.
    """
    items: object = given.items() if isinstance(given, Mapping) else given
    if not isinstance(items, Iterable) or isinstance(items, str | bytes | bytearray):
        raise UsageError(f"user_properties are pairs in a list, not {given!r:.100}")
    pairs: list[tuple[str, str]] = []
    for item in items:
        match item:
            case (str(name), str(value)):
                pairs.append((name, value))
            case _:
                message = f"user_properties are pairs of texts, not {item!r:.100}"
                raise UsageError(message)
    return tuple(pairs)
