"""Who is who on Meross's brokers: topics, client ids, names and passwords.

Facts: reference 2.1 and 2.2.
"""

from __future__ import annotations

import re
from typing import Final

from structiot._kit.json_text import clean_text, integer_of
from structiot.meross.wire.digests import md5_hex

__all__ = [
    "DEFAULT_BROKER",
    "DEFAULT_PORT",
    "app_id_of",
    "app_password",
    "app_topic",
    "broker_of",
    "client_id_of_app",
    "device_password",
    "publish_topic",
    "request_topic",
    "user_topic",
]

DEFAULT_BROKER: Final = "mqtt.meross.com"
DEFAULT_PORT: Final = 443
_HOST: Final = re.compile(r"(?:[a-z]+://)?([A-Za-z0-9.-]{1,253})(?::(\d{1,5}))?/?")


def app_id_of(seed: str) -> str:
    """Make the id of one running program from something that is unique to it."""
    return md5_hex(f"API{seed}")


def client_id_of_app(app_id: str) -> str:
    """Give the MQTT client id of a program."""
    return f"app:{app_id}"


def app_password(user_id: str, key: str) -> str:
    """Give the MQTT password of a program; its user name is the user's id."""
    return md5_hex(f"{user_id}{key}")


def device_password(user_id: str, mac: str, key: str) -> str:
    """Give the MQTT password of a device; its user name is its MAC with colons."""
    return f"{user_id}_{md5_hex(f'{mac}{key}')}"


def request_topic(uuid: str) -> str:
    """Give the topic on which a device takes requests."""
    return f"/appliance/{uuid}/subscribe"


def publish_topic(uuid: str) -> str:
    """Give the topic on which a device tells what happens."""
    return f"/appliance/{uuid}/publish"


def user_topic(user_id: str) -> str:
    """Give the topic on which all that a user's devices tell comes."""
    return f"/app/{user_id}/subscribe"


def app_topic(user_id: str, app_id: str) -> str:
    """Give the topic on which the answers to one program come."""
    return f"/app/{user_id}-{app_id}/subscribe"


def broker_of(*domains: object) -> tuple[str, int]:
    """Give host and port of the first of some domains that is one.

    Args:
        domains: As the cloud tells them: a name, with a port or without; what is no
            name (empty, missing, of another type) is passed over.
    """
    for domain in domains:
        if not isinstance(domain, str):
            continue
        found = _HOST.fullmatch(clean_text(domain[:300]))
        if found is None:
            continue
        port = integer_of(found[2]) if found[2] else DEFAULT_PORT
        if port is not None and 0 < port < 65_536:
            return found[1].lower(), port
    return DEFAULT_BROKER, DEFAULT_PORT
