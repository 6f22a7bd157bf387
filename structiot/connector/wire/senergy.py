"""SENERGY, the platform of MQTT and HTTP: topics, payloads, tokens, what HTTP tells.

Facts: reference sections 13 to 16, read in the platform's own sources and not tried
against a running one. A topic names the owner since 2024: `command/{owner}/{device}/+`.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from structiot._kit.json_text import compact, number_of, parse_object, text_of
from structiot._kit.redact import Secret
from structiot._kit.text import printable
from structiot.connector.wire.parts import DATA, METADATA, Parts, part_text
from structiot.errors import ProtocolViolation, UsageError

__all__ = [
    "CLIENT_ERROR_TOPIC",
    "ORIGIN",
    "Hub",
    "SenergyCommand",
    "SenergyDevice",
    "Tokens",
    "decode_command",
    "decode_device",
    "decode_hub",
    "decode_tokens",
    "device_hash",
    "encode_device",
    "encode_event",
    "encode_hub",
    "encode_new_hub",
    "encode_response",
    "hub_hash",
    "id_fault",
    "read_topic",
    "service_roots",
    "subject_of",
    "topic_of",
]

ORIGIN: Final = "structiot"
"""Whose attributes are ours: those of other origins stay as they are."""

CLIENT_ERROR_TOPIC: Final = "error"
"""For what concerns no device and no command."""

_MANAGER: Final = "/device-manager"
_REPOSITORY: Final = "/device-repository"
_MAX_ID_BYTES: Final = 1_000
_TOPIC_LEVELS: Final = 4
_MAX_PARTS: Final = 64


# ---------------------------------------------------------------- topics


def id_fault(text: str) -> str | None:
    """Say why an id of a device or service can be no level of a topic; None if it can."""
    if not text:
        return "is empty"
    if found := next((c for c in "/+#\0" if c in text), None):
        return f"has {printable(found)!r} in it, which stands for something in a topic"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "is no text that can be sent"
    return f"is longer than {_MAX_ID_BYTES} bytes" if size > _MAX_ID_BYTES else None


def topic_of(kind: str, owner: str, *levels: str) -> str:
    """Give a topic: of which kind, whose, then the device and its service.

    `command` is subscribed to (with `+` for the service, and by that a device is online);
    `event` and `response` are published; `error/device` ends with the device, and
    `error/command` with the id of the command.
    """
    return "/".join((kind, owner, *levels))


def read_topic(kind: str, topic: str) -> tuple[str, str] | None:
    """Give device and service of a topic of this kind; None if it is none."""
    levels = topic.split("/")
    if len(levels) != _TOPIC_LEVELS or levels[0] != kind:
        return None
    return levels[2], levels[3]


# ---------------------------------------------------------------- payloads


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyCommand:
    """What a command says, beside the device and the service of its topic.

    Attributes:
        correlation_id: What the answer has to name.
        parts: What is asked, by the names of the protocol's parts.
        sent_at_s: When it was sent, in seconds since 1970; None if it does not say.
        completion_strategy: `pessimistic` waits for the response, `optimistic` does not.
    """

    correlation_id: str
    parts: Parts
    sent_at_s: float | None
    completion_strategy: str


def decode_command(data: bytes, what: str) -> SenergyCommand:
    """Read the payload of a command.

    Raises:
        ProtocolViolation: It is none, or its id can be in no topic.
    """
    value = parse_object(data, what)
    correlation_id = value.get("correlation_id")
    if not isinstance(correlation_id, str) or id_fault(correlation_id):
        raise ProtocolViolation(f"{what}: no correlation_id", data=data)
    payload = value.get("payload") or {}
    if not isinstance(payload, Mapping) or len(payload) > _MAX_PARTS:
        raise ProtocolViolation(f"{what}: the payload is no object of parts", data=data)
    try:
        parts = {name: part_text(part) for name, part in payload.items()}
    except UsageError as exc:
        raise ProtocolViolation(f"{what}: {exc}", data=data) from None
    return SenergyCommand(
        correlation_id=correlation_id,
        parts=parts,
        sent_at_s=number_of(value.get("timestamp")),
        completion_strategy=text_of(value.get("completion_strategy")) or "",
    )


def encode_event(data: str | None, metadata: str | None) -> bytes:
    """Write the payload of a reading."""
    return _json_bytes(_parts(data, metadata))


def encode_response(
    correlation_id: str, data: str | None, metadata: str | None
) -> bytes:
    """Write the payload of the answer to a command."""
    parts = _parts(data, metadata)
    return _json_bytes({"correlation_id": correlation_id, "payload": parts})


def _parts(data: str | None, metadata: str | None) -> dict[str, str]:
    parts = {METADATA: metadata, DATA: data}
    return {name: text for name, text in parts.items() if text is not None}


def _json_bytes(value: object) -> bytes:
    return compact(value, is_ascii=False).encode("utf-8", "replace")


# ---------------------------------------------------------------- tokens


@dataclass(frozen=True, slots=True, kw_only=True)
class Tokens:
    """What a login gives.

    Attributes:
        access: What each call shows.
        expires_in_s: How long it is good.
        refresh: What it is renewed with; None if there is nothing.
        refresh_expires_in_s: How long that is good; 0 is for ever, as of Keycloak.
    """

    access: Secret
    expires_in_s: float
    refresh: Secret | None
    refresh_expires_in_s: float


def decode_tokens(data: bytes, what: str) -> Tokens:
    """Read the answer to a login.

    Raises:
        ProtocolViolation: There is no token in it; the error shows nothing of it.
    """
    try:
        value = parse_object(data, what)
    except ProtocolViolation as exc:
        raise ProtocolViolation(str(exc)) from None
    access, refresh = value.get("access_token"), value.get("refresh_token")
    if not isinstance(access, str) or not access.isascii() or not access.isprintable():
        raise ProtocolViolation(f"{what}: no access_token")
    return Tokens(
        access=Secret(access),
        expires_in_s=max(number_of(value.get("expires_in")) or 60.0, 0.0),
        refresh=Secret(refresh) if isinstance(refresh, str) and refresh else None,
        refresh_expires_in_s=max(
            number_of(value.get("refresh_expires_in")) or 0.0, 0.0
        ),
    )


def subject_of(token: Secret, what: str) -> str:
    """Give whose token it is: the owner in topics. The signature is not looked at.

    Raises:
        ProtocolViolation: It is no JSON web token, or names nobody.
    """
    claims = token.reveal().split(".")
    try:
        text = claims[1] if len(claims) == 3 else ""
        data = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
        subject = parse_object(data, what).get("sub")
    except (binascii.Error, ProtocolViolation):
        subject = None
    if not isinstance(subject, str) or id_fault(subject):
        raise ProtocolViolation(f"{what}: the token does not say whose it is")
    return subject


# ---------------------------------------------------------------- hubs and devices


@dataclass(frozen=True, slots=True, kw_only=True)
class Hub:
    """What groups the devices of a connector.

    Attributes:
        id: The platform's; the client id of MQTT as well.
        name: What people call it.
        hash: What was stored last; opaque to the platform.
        device_ids: The local ids of its devices.
        owner: Whose it is.
        attributes: As they came; whoever changes the hub gives them back.
    """

    id: str
    name: str
    hash: str
    device_ids: frozenset[str] = frozenset()
    owner: str = ""
    attributes: Sequence[Mapping[str, object]] = ()

    @property
    def is_ours(self) -> bool:
        """Whether it has our mark."""
        return any(one.get("origin") == ORIGIN for one in self.attributes)


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyDevice:
    """A device as it stands at the platform.

    Attributes:
        local_id: What we call it.
        type: Its device type.
        name: What people call it.
        tags: Its attributes of our origin.
    """

    local_id: str
    type: str
    name: str
    tags: Mapping[str, str] = field(default_factory=dict)


def encode_new_hub(name: str) -> dict[str, object]:
    """Give the JSON object with which a hub is made; our mark is on it."""
    mark = {"key": "structiot/connector", "value": name, "origin": ORIGIN}
    return {
        "id": None,
        "name": name,
        "hash": None,
        "device_local_ids": [],
        "attributes": [mark],
    }


def encode_hub(hub: Hub) -> dict[str, object]:
    """Give the JSON object with which a hub is changed: what is left out would be lost."""
    return {
        "id": hub.id,
        "name": hub.name,
        "hash": hub.hash,
        "device_local_ids": sorted(hub.device_ids),
        "attributes": list(hub.attributes),
    }


def device_hash(device_id: str, name: str) -> str:
    """Give the hash of a device as the platform's own client makes it."""
    return _sha1(f"{device_id}{name}")


def hub_hash(names: Mapping[str, str]) -> str:
    """Give the hash of a hub as the platform's own client makes it, of names by id."""
    return _sha1("".join(sorted(device_hash(*device) for device in names.items())))


def _sha1(text: str) -> str:
    return hashlib.sha1(text.encode("utf-8", "replace")).hexdigest()  # noqa: S324 - no secret


def encode_device(device: SenergyDevice) -> dict[str, object]:
    """Give the JSON object of a device, without the platform's id."""
    return {
        "local_id": device.local_id,
        "name": device.name,
        "device_type_id": device.type,
        "attributes": [
            {"key": key, "value": value, "origin": ORIGIN}
            for key, value in sorted(device.tags.items())
        ],
    }


def decode_device(value: object, what: str) -> SenergyDevice:
    """Read the JSON object of a device.

    Raises:
        ProtocolViolation: It is none.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("local_id"), str):
        raise ProtocolViolation(f"{what}: no device")
    return SenergyDevice(
        local_id=value["local_id"],
        type=_text(value.get("device_type_id")),
        name=_text(value.get("name")),
        tags={
            _text(one.get("key")): _text(one.get("value"))
            for one in _objects(value.get("attributes"))
            if one.get("origin") == ORIGIN
        },
    )


def decode_hub(value: object, what: str) -> Hub:
    """Read the JSON object of a hub.

    Raises:
        ProtocolViolation: It is none.
    """
    hub_id = value.get("id") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(hub_id, str) or not hub_id:
        raise ProtocolViolation(f"{what}: no hub")
    ids = value.get("device_local_ids")
    return Hub(
        id=hub_id,
        name=_text(value.get("name")),
        hash=_text(value.get("hash")),
        device_ids=frozenset(map(_text, ids if isinstance(ids, list) else ())),
        owner=_text(value.get("owner_id")),
        attributes=_objects(value.get("attributes")),
    )


def service_roots(api_url: str) -> tuple[str, str, str | None]:
    """Split the address of the device manager.

    Returns:
        Where the platform is; below that the path of the device manager, and of the
        device repository, which alone can list hubs: None where it cannot be told.
    """
    url = api_url.rstrip("/")
    if url.endswith(_MANAGER):
        return url.removesuffix(_MANAGER), _MANAGER, _REPOSITORY
    return url, "", None


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _objects(value: object) -> Sequence[Mapping[str, object]]:
    found = value if isinstance(value, list) else []
    return [one for one in found if isinstance(one, Mapping)]
