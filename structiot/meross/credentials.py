"""What a sign-in gives, and where it is kept: in a file, in a keyring, in memory.

Each sign-in makes a token, and who makes many is locked out for hours, so a token is kept
beyond the end of the program and used again. The JSON is the one that MerossIot writes.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Protocol, Self, runtime_checkable

import anyio.lowlevel

from structiot._kit.json_text import clean_text, text_of
from structiot._kit.redact import HIDDEN, Secret
from structiot.errors import ConfigError

__all__ = [
    "CredentialStore",
    "Credentials",
    "MemoryStore",
    "header_safe",
    "short_text",
    "shown_email",
    "topic_safe",
]


# It goes into a header field, a user id into topics.
_TOKEN: Final = re.compile(r"[!-~]{1,1024}")
_USER_ID: Final = re.compile(r"[^\s/+#$\x00-\x1f]{1,64}")
_LONGEST: Final = 300
_MAX_CHARACTERS: Final = 65_536


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What the cloud gives at a sign-in; its representation hides who it is, too.

    Attributes:
        token: For requests to the cloud.
        key: Signs what is said to devices, and makes the passwords for brokers.
        user_id: The user's, as it stands in topics.
        email: The account.
        domain: Base URL of the account's region; empty if it is not known.
        mqtt_domain: The account's broker; empty if it is not known.
        issued_at_utc: When the token was made, if known.
    """

    token: Secret
    key: Secret
    user_id: str = field(repr=False)
    email: str = field(default="", repr=False)
    domain: str = ""
    mqtt_domain: str = ""
    issued_at_utc: datetime | None = None

    def to_json(self) -> str:
        """Write them as MerossIot does; the text holds the secrets."""
        issued = self.issued_at_utc
        return json.dumps(
            {
                "token": self.token.reveal(),
                "key": self.key.reveal(),
                "user_id": self.user_id,
                "user_email": self.email,
                "domain": self.domain,
                "mqtt_domain": self.mqtt_domain,
                "issued_on": issued.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
                if issued
                else None,
            }
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` or MerossIot has written, old versions of it included.

        Raises:
            ConfigError: It is something else, or lacks token, key or user id; the message
                does not show it.
        """
        if len(text) > _MAX_CHARACTERS:
            raise ConfigError("credentials of Meross that are far too long")
        try:
            members = json.loads(text)
        except (ValueError, RecursionError):
            raise ConfigError("credentials of Meross that are no JSON") from None
        if not isinstance(members, dict):
            raise ConfigError("credentials of Meross that are no JSON object")
        token = header_safe(members.get("token"))
        key = short_text(members.get("key"))
        user_id = topic_safe(members.get("user_id"))
        if not (token and key and user_id):
            raise ConfigError("credentials of Meross without token, key or user_id")
        return cls(
            token=Secret(token),
            key=Secret(key),
            user_id=user_id,
            email=short_text(members.get("user_email")),
            domain=short_text(members.get("domain")),
            mqtt_domain=short_text(members.get("mqtt_domain")),
            issued_at_utc=_time(members.get("issued_on")),
        )


@runtime_checkable
class CredentialStore(Protocol):
    """Keeps the credentials of one account; one block uses it at a time."""

    async def load(self) -> Credentials | None:
        """Give what is kept; None if there is nothing.

        Raises:
            ConfigError: There is something that cannot be used; it is left as it is.
        """
        ...

    async def save(self, credentials: Credentials) -> None:
        """Keep them in the place of those before.

        Raises:
            ConfigError: They cannot be kept.
        """
        ...

    async def forget(self) -> None:
        """Keep nothing any more; there may have been nothing.

        Raises:
            ConfigError: They cannot be taken away.
        """
        ...


class MemoryStore:
    """Keeps credentials as long as it lives itself.

    Args:
        credentials: What it holds from the beginning.

    Attributes:
        credentials: What it holds.
    """

    def __init__(self, credentials: Credentials | None = None) -> None:
        self.credentials: Credentials | None = credentials

    async def load(self) -> Credentials | None:
        """Give what is kept."""
        await anyio.lowlevel.checkpoint()
        return self.credentials

    async def save(self, credentials: Credentials) -> None:
        """Keep them."""
        self.credentials = credentials
        await anyio.lowlevel.cancel_shielded_checkpoint()

    async def forget(self) -> None:
        """Keep nothing."""
        self.credentials = None
        await anyio.lowlevel.cancel_shielded_checkpoint()


def header_safe(value: object) -> str:
    """Give a token as it may stand in a header field; empty if it may not."""
    return value if isinstance(value, str) and _TOKEN.fullmatch(value) else ""


def topic_safe(value: object) -> str:
    """Give an id as it may stand in a topic; empty if it may not."""
    text = text_of(value) or ""
    return text if _USER_ID.fullmatch(text) else ""


def short_text(value: object) -> str:
    """Give a text that can be shown, cut off at 300 characters; empty for none."""
    return clean_text(value[:_LONGEST]) if isinstance(value, str) else ""


def _time(value: object) -> datetime | None:
    if not isinstance(value, str):
        return None
    try:
        found = datetime.fromisoformat(value)
    except ValueError:
        return None
    # MerossIot writes no zone.
    return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)


def shown_email(email: str) -> str:
    """Give an e-mail address as it may be shown: its owner knows it by that."""
    name, at, domain = email.rpartition("@")
    return f"{name[:1]}{HIDDEN}{at}{domain}"
