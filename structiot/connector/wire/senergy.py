"""SENERGY, the platform of MQTT and HTTP: topics, payloads, tokens, hubs, devices.

Facts: reference sections 13 to 16, read in the platform's own sources and not tried
against a running one. A hub and a device are JSON objects both ways; what is read is
brought into the shape in which we write it, so that the two can be compared.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias, TypeGuard

from structiot._kit.json_text import compact, number_of, parse_object
from structiot._kit.redact import Secret
from structiot._kit.text import printable
from structiot.connector.wire.hashes import text_hash
from structiot.connector.wire.parts import (
    DATA,
    METADATA,
    Parts,
    check_cost,
    part_text,
)
from structiot.errors import ProtocolViolation, UsageError

__all__ = [
    "ORIGIN",
    "JsonObject",
    "SenergyCommand",
    "Tokens",
    "decode_command",
    "decode_device",
    "decode_hub",
    "decode_tokens",
    "encode_device",
    "encode_event",
    "encode_response",
    "id_fault",
    "is_unused_hub",
    "member_hash",
    "new_hub",
    "service_roots",
    "subject_of",
    "topic_of",
]

JsonObject: TypeAlias = dict[str, Any]

ORIGIN: Final = "structiot"
"""Whose attributes are ours: those of other origins stay as they are."""

_MANAGER: Final = "/device-manager"
_REPOSITORY: Final = "/device-repository"
_MAX_ID_BYTES: Final = 1_000
_MAX_PARTS: Final = 64
_MAX_HUB_ID_CHARS: Final = 256
_USUAL_TOKEN_S: Final = 60.0


# ---------------------------------------------------------------- topics and payloads


def id_fault(text: str) -> str | None:
    """Say why an id of a device or service can be no level of a topic; None if it can."""
    if not text:
        return "is empty"
    if found := next((c for c in "/+#\0" if c in text), None):
        return f"has {printable(found)!r} in it, which stands for something in a topic"
    try:
        is_long = len(text.encode()) > _MAX_ID_BYTES
    except UnicodeEncodeError:
        return "has half a character"
    return f"is longer than {_MAX_ID_BYTES} bytes" if is_long else None


def topic_of(kind: str, owner: str, *levels: str) -> str:
    """Give a topic: of which kind, whose, then the device and its service.

    `command` is subscribed to (with `+` for the service, and by that a device is online);
    `event` and `response` are published; `error/device` ends with the device, and
    `error/command` with the id of the command.
    """
    return "/".join((kind, owner, *levels))


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyCommand:
    """What a command says, beside the device and the service of its topic.

    Attributes:
        correlation_id: What the answer has to name.
        parts: What is asked, by the names of the protocol's parts.
        sent_at_s: When it was sent, in seconds since 1970; None if it does not say.
    """

    correlation_id: str
    parts: Parts
    sent_at_s: float | None


def decode_command(data: bytes) -> SenergyCommand:
    """Read the payload of a command.

    Raises:
        ProtocolViolation: It is none, or its id can be in no topic.
    """
    check_cost(data)
    value = parse_object(data, "a command")
    correlation_id, payload = value.get("correlation_id"), value.get("payload") or {}
    if not isinstance(correlation_id, str) or id_fault(correlation_id):
        raise ProtocolViolation("a command without a correlation_id", data=data)
    if not isinstance(payload, Mapping) or len(payload) > _MAX_PARTS:
        raise ProtocolViolation("a command whose payload is no parts", data=data)
    try:
        parts = {name: part_text(part) for name, part in payload.items()}
    except UsageError as exc:
        raise ProtocolViolation(f"a command: {exc}", data=data) from None
    sent_at_s = number_of(value.get("timestamp"))
    return SenergyCommand(
        correlation_id=correlation_id, parts=parts, sent_at_s=sent_at_s
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


def decode_tokens(data: bytes) -> Tokens:
    """Read the answer to a login.

    Raises:
        ProtocolViolation: There is no token in it; the error shows nothing of it.
    """
    try:
        value = parse_object(data, "tokens")
    except ProtocolViolation as exc:
        raise ProtocolViolation(str(exc)) from None
    access, refresh = value.get("access_token"), value.get("refresh_token")
    if not _is_token(access):
        raise ProtocolViolation("tokens without an access_token")
    return Tokens(
        access=Secret(access),
        expires_in_s=max(number_of(value.get("expires_in")) or _USUAL_TOKEN_S, 0.0),
        refresh=Secret(refresh) if _is_token(refresh) else None,
        refresh_expires_in_s=max(
            number_of(value.get("refresh_expires_in")) or 0.0, 0.0
        ),
    )


def _is_token(value: object) -> TypeGuard[str]:
    if not isinstance(value, str) or not value:
        return False
    return value.isascii() and value.isprintable()


def subject_of(token: Secret) -> str:
    """Give whose token it is: the owner in topics. The signature is not looked at.

    Raises:
        ProtocolViolation: It is no JSON web token, or names nobody.
    """
    _, _, claims = token.reveal().partition(".")
    claims = claims.partition(".")[0]
    try:
        data = base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4))
        subject = parse_object(data, "a token").get("sub")
    except (binascii.Error, ProtocolViolation):
        subject = None
    if not isinstance(subject, str) or id_fault(subject):
        raise ProtocolViolation("the token does not say whose it is")
    return subject


# ---------------------------------------------------------------- hubs and devices


def member_hash(local_id: str, name: str) -> str:
    """Give the hash of a device as the platform's own client makes it.

    That of a hub is made of those of its devices as SEPL's is: see `DeviceHashes`.
    """
    return text_hash((local_id, name))


def encode_device(
    local_id: str, type_id: str, name: str, tags: Mapping[str, str]
) -> JsonObject:
    """Give a device as we write it, without the platform's id; tags are attributes."""
    return {
        "local_id": local_id,
        "name": name,
        "device_type_id": type_id,
        "attributes": [
            {"key": key, "value": value, "origin": ORIGIN}
            for key, value in sorted(tags.items())
        ],
    }


def decode_device(value: object) -> JsonObject:
    """Read a device as `encode_device` would write it: attributes of others are left out.

    Raises:
        ProtocolViolation: It is none.
    """
    if not isinstance(value, Mapping) or not isinstance(value.get("local_id"), str):
        raise ProtocolViolation("no device where there is one")
    ours = [one for one in _attributes(value) if one.get("origin") == ORIGIN]
    return encode_device(
        value["local_id"],
        _text(value.get("device_type_id")),
        _text(value.get("name")),
        {_text(one.get("key")): _text(one.get("value")) for one in ours},
    )


def new_hub(name: str) -> JsonObject:
    """Give a hub to be made; it has our mark."""
    mark = {"key": "structiot/connector", "value": name, "origin": ORIGIN}
    return {"name": name, "hash": "", "device_local_ids": [], "attributes": [mark]}


def decode_hub(value: object) -> JsonObject:
    """Read a hub as it is changed: what is left out of a change would be lost.

    Raises:
        ProtocolViolation: It is none.
    """
    hub_id = value.get("id") if isinstance(value, Mapping) else None
    if not isinstance(value, Mapping) or not isinstance(hub_id, str) or not hub_id:
        raise ProtocolViolation("no hub where there is one")
    # It goes into a file of lines, and is the client id of MQTT.
    if (
        not hub_id.isprintable()
        or hub_id != hub_id.strip()
        or len(hub_id) > _MAX_HUB_ID_CHARS
    ):
        raise ProtocolViolation("a hub with a strange id")
    ids = value.get("device_local_ids")
    hub: JsonObject = {
        "id": hub_id,
        "name": _text(value.get("name")),
        "hash": _text(value.get("hash")),
        "device_local_ids": sorted(map(_text, ids if isinstance(ids, list) else ())),
        "owner_id": _text(value.get("owner_id")),
        "attributes": list(_attributes(value)),
    }
    try:
        compact(hub, is_ascii=True)
    except (ValueError, RecursionError) as exc:
        raise ProtocolViolation(f"a hub that cannot be given back: {exc}") from None
    return hub


def is_unused_hub(hub: JsonObject, name: str, owner: str) -> bool:
    """Tell whether a hub is one that we have made and that has no device yet."""
    is_ours = any(one.get("origin") == ORIGIN for one in hub["attributes"])
    is_named = (hub["name"], hub["owner_id"]) == (name, owner)
    return is_ours and is_named and not hub["device_local_ids"]


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


def _attributes(value: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    found = value.get("attributes")
    listed = found if isinstance(found, list) else []
    return [one for one in listed if isinstance(one, Mapping)]
