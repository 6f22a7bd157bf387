"""What single values must be like; a refusal says what would be right."""

from __future__ import annotations

import re
from urllib.parse import SplitResult, urlsplit

from structiot._kit.net.host_names import host_fault
from structiot._kit.websocket import Origins
from structiot.errors import ConfigError
from structiot.gateway.entities.topics import (
    GATEWAY_LEVEL,
    base_topic_fault,
    slug_of,
)
from structiot.mqtt.wire.uri import parse_uri

__all__ = [
    "BROKER_SCHEMES",
    "TLS_SCHEMES",
    "check_any_listen_uri",
    "check_base_topic",
    "check_broker_uri",
    "check_gateway_id",
    "check_host",
    "check_listen_uri",
    "check_name",
    "check_origin",
]

BROKER_SCHEMES = ("mqtt", "mqtts", "ws", "wss", "unix")
TLS_SCHEMES = ("mqtts", "wss")
LISTEN_SCHEMES = ("mqtt", "ws")
_MAX_NAME = 64
_ID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_TOPIC_CHARACTERS = "+#/"


def check_broker_uri(uri: str) -> str:
    """Check the address of a broker; its credentials never get into the message."""
    parts = _split(uri)
    if parts.scheme not in BROKER_SCHEMES or not uri.startswith(f"{parts.scheme}://"):
        known = ", ".join(f"{scheme}://" for scheme in BROKER_SCHEMES)
        raise ValueError(f"an address of a broker begins with {known}")
    if parts.scheme == "unix":
        if not parts.path.strip("/"):
            raise ValueError("the address names no socket; write unix:///path/to/it")
        return uri
    if not parts.hostname:
        raise ValueError("the address names no host; write mqtt://host:1883/")
    if parts.port == 0:
        raise ValueError("0 is no port of a broker; the usual one is 1883")
    try:
        parse_uri(uri)
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return uri


def check_listen_uri(uri: str) -> str:
    """Check an address where the embedded broker shall serve."""
    parts = _split(uri)
    if parts.scheme not in LISTEN_SCHEMES or not parts.hostname:
        raise ValueError(
            "the embedded broker listens at mqtt://HOST:PORT or ws://HOST:PORT; "
            "for others there is 'structiot mqtt broker'"
        )
    return uri


def check_any_listen_uri(uris: tuple[str, ...]) -> tuple[str, ...]:
    """Check that the embedded broker listens somewhere."""
    if not uris:
        raise ValueError("give an address, such as mqtt://127.0.0.1:1883")
    return uris


def check_origin(origin: str) -> str:
    """Check what a browser could name as the origin of a page."""
    try:
        Origins((origin,))
    except ConfigError as exc:
        raise ValueError(str(exc)) from None
    return origin


def _split(uri: str) -> SplitResult:
    try:
        parts = urlsplit(uri)
        _ = parts.port
    except ValueError as exc:
        raise ValueError(
            f"no broker has such an address: {_without_netloc(exc)}"
        ) from exc
    return parts


def _without_netloc(exc: ValueError) -> str:
    # urllib quotes what it could not read, which may be a password.
    said = str(exc).split(":", 1)[0].split("'", 1)[0].strip().lower()
    if said.startswith("port"):
        return (
            "its port is no number from 1 to 65535; an IPv6 address stands in "
            "brackets, such as mqtt://[::1]:1883"
        )
    return said


def check_base_topic(topic: str) -> str:
    """Check the first levels of a topic tree."""
    if fault := base_topic_fault(topic):
        raise ValueError(fault)
    return topic


def check_gateway_id(text: str) -> str:
    """Check the id of a gateway or a device, which Home Assistant builds names of."""
    if not _ID.fullmatch(text):
        raise ValueError(
            f"{text!r} is no id: 1 to 64 letters, digits, '_' and '-', "
            "as Home Assistant asks for"
        )
    return text


def check_name(name: str) -> str:
    """Check the name of a device, which becomes a level of its topics if it can."""
    if len(name) > _MAX_NAME:
        raise ValueError(f"a name has at most {_MAX_NAME} characters")
    if not name.isprintable():
        raise ValueError(f"{name!r} has a character that cannot be shown")
    for character in _TOPIC_CHARACTERS:
        if character in name:
            raise ValueError(
                f"{name!r} has {character!r}, which means something in a topic"
            )
    if not any(map(str.isalnum, name)):
        raise ValueError(f"{name!r} has no letter or digit")
    if slug_of(name) == GATEWAY_LEVEL:
        raise ValueError(f"{name!r} is the gateway's own place in the topics")
    return name


def check_host(host: str) -> str:
    """Check an address or a host name."""
    fault = host_fault(host, port_goes_to="port=")
    if fault:
        raise ValueError(fault)
    return host
