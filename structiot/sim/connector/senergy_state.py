"""What a simulated SENERGY platform knows: users, tokens, devices, hubs, rules.

Facts: reference sections 13 to 16. A user's id is what topics call the owner.
"""

from __future__ import annotations

import base64
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Final
from uuid import UUID

import anyio

from structiot._kit.json_text import compact
from structiot.errors import UsageError

__all__ = [
    "SenergyRules",
    "SenergySimDevice",
    "SenergySimHub",
    "SenergyState",
    "SenergyUser",
]

# Of each kind; the oldest are forgotten, and unknown from then on.
_MAX_TOKENS: Final = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class SenergyUser:
    """Who may log in.

    Attributes:
        name: The user name.
        password: The password.
        id: What topics and devices call the owner.
    """

    name: str
    password: str = field(repr=False)
    id: str


@dataclass(slots=True, kw_only=True)
class SenergySimDevice:
    """A device as the platform knows it.

    Attributes:
        id: The platform's own id.
        local_id: What its owner's client calls it.
        name: What people call it.
        device_type_id: Its device type.
        owner_id: Whose it is.
        attributes: Objects with `key`, `value` and `origin`.
        visible_at_s: From when on it is found, on the loop's clock.
    """

    id: str
    local_id: str
    name: str
    device_type_id: str
    owner_id: str
    attributes: list[dict[str, str]] = field(default_factory=list)
    visible_at_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class SenergySimHub:
    """A hub as the platform knows it.

    Attributes:
        id: The platform's id.
        name: What people call it.
        owner_id: Whose it is.
        hash: What a client has stored.
        device_local_ids: Its devices.
        attributes: Objects with `key`, `value` and `origin`.
        connection_state: `online`, `offline`, or empty as long as it was never connected.
        visible_at_s: From when on it is found, on the loop's clock.
    """

    id: str
    name: str
    owner_id: str
    hash: str | None = None
    device_local_ids: list[str] = field(default_factory=list)
    attributes: list[dict[str, str]] = field(default_factory=list)
    connection_state: str = ""
    visible_at_s: float = 0.0


@dataclass(slots=True, kw_only=True)
class SenergyRules:
    """What the platform forbids, and how it is set up; may be changed while it runs.

    Attributes:
        device_types: The services of each device type; None lets any be.
        client_id: The only client that may ask for tokens; None lets any.
        token_s: How long an access token is good.
        refresh_s: How long it can be renewed.
        wants_owner_topics: Whether topics name the owner, as since 2024; else both do.
        wants_clean_start: Whether a session that lasts is refused.
        checks_hubs: Whether the client id is a hub, and has every device that is used.
        max_connections: How many times one client id may connect in a row.
        connection_window_s: After how long without connecting that begins anew.
        visible_after_s: How long what was made is not found, but for `?wait=true`.
        lists_hubs: Whether the device repository can be asked for hubs.
    """

    device_types: Mapping[str, Collection[str]] | None = None
    client_id: str | None = None
    token_s: float = 300.0
    refresh_s: float = 1800.0
    wants_owner_topics: bool = True
    wants_clean_start: bool = True
    checks_hubs: bool = False
    max_connections: int = 10
    connection_window_s: float = 30.0
    visible_after_s: float = 0.0
    lists_hubs: bool = True


class SenergyState:
    """What the platform knows.

    Attributes:
        rules: What it forbids.
        users: By name.
        devices: By owner and local id.
        hubs: By id.
        logins: How many times a password was taken for tokens.
        renewals: How many times tokens were renewed.
    """

    def __init__(self, rules: SenergyRules, random: Random) -> None:
        self.rules: SenergyRules = rules
        self.users: dict[str, SenergyUser] = {}
        self.devices: dict[tuple[str, str], SenergySimDevice] = {}
        self.hubs: dict[str, SenergySimHub] = {}
        self.logins: int = 0
        self.renewals: int = 0
        self._random = random
        self._access: dict[str, tuple[SenergyUser, float]] = {}
        self._refresh: dict[str, tuple[SenergyUser, float]] = {}

    def new_id(self, kind: str = "") -> str:
        """Make an id, of `hub`, `device` or of nothing in particular."""
        made = str(UUID(int=self._random.getrandbits(128), version=4))
        return f"urn:infai:ses:{kind}:{made}" if kind else made

    def add_user(self, name: str, password: str) -> SenergyUser:
        """Let somebody else in, too.

        Raises:
            UsageError: There is one of this name.
        """
        if name in self.users:
            raise UsageError(f"there is a user {name!r}")
        user = SenergyUser(name=name, password=password, id=self.new_id())
        self.users[name] = user
        return user

    # ------------------------------------------------------------ tokens

    def tokens_for(self, user: SenergyUser) -> dict[str, object]:
        """Make what a login is answered."""
        now, rules = anyio.current_time(), self.rules
        claims = {"sub": user.id, "preferred_username": user.name, "jti": self.new_id()}
        parts = ({"alg": "RS256", "typ": "JWT"}, claims, {"signature": "none"})
        access = ".".join(_base64(compact(one, is_ascii=True)) for one in parts)
        refresh = self.new_id()
        for table, token, lives_s in (
            (self._access, access, rules.token_s),
            (self._refresh, refresh, rules.refresh_s),
        ):
            table[token] = user, now + lives_s
            while len(table) > _MAX_TOKENS:
                del table[next(iter(table))]
        return {
            "access_token": access,
            "expires_in": int(rules.token_s),
            "refresh_token": refresh,
            "refresh_expires_in": int(rules.refresh_s),
            "token_type": "Bearer",
            # Keycloak's own, without which client-connector-lib takes none of it.
            "not-before-policy": 0,
            "session_state": self.new_id(),
        }

    def user_of(self, token: str, *, is_refresh: bool = False) -> SenergyUser | None:
        """Give whose token it is; None if it is not good any more."""
        user, until = (self._refresh if is_refresh else self._access).get(
            token, (None, 0.0)
        )
        return user if anyio.current_time() < until else None

    def revoke_tokens(self) -> None:
        """Let no token be good any more, nor be renewed."""
        self._access.clear()
        self._refresh.clear()

    # ------------------------------------------------------------ devices and hubs

    def device(self, owner_id: str, local_id: str) -> SenergySimDevice | None:
        """Give a device, if it is found already."""
        found = self.devices.get((owner_id, local_id))
        is_visible = found is not None and found.visible_at_s <= anyio.current_time()
        return found if is_visible else None

    def hub(self, owner_id: str, hub_id: str) -> SenergySimHub | None:
        """Give a hub of somebody's, if it is found already."""
        found = self.hubs.get(hub_id)
        if found is None or found.owner_id != owner_id:
            return None
        return found if found.visible_at_s <= anyio.current_time() else None

    def visible_at_s(self, *, is_waited_for: bool) -> float:
        """Give from when on something is found that is made now."""
        after_s = 0.0 if is_waited_for else self.rules.visible_after_s
        return anyio.current_time() + after_s

    def may_use(self, client_id: str, user: SenergyUser, local_id: str) -> bool:
        """Tell whether a client may speak for a device."""
        if self.device(user.id, local_id) is None:
            return False
        hub = self.hub(user.id, client_id)
        is_in_hub = hub is not None and local_id in hub.device_local_ids
        return is_in_hub or not self.rules.checks_hubs

    def has_service(self, device: SenergySimDevice, service: str) -> bool:
        """Tell whether a device has a service."""
        types = self.rules.device_types
        return types is None or service in types.get(device.device_type_id, ())


def _base64(text: str) -> str:
    return base64.urlsafe_b64encode(text.encode()).decode("ascii").rstrip("=")
