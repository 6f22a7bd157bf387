"""The token, and what stands for it: sessions in cookies, and tokens of forms.

Both are HMACs of the token, so they outlive a restart and end with the token; nothing
is kept of them. Where no token is needed, a secret of the gateway's own, which its state
file keeps, takes its place.
"""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import MutableMapping
from hashlib import sha256
from typing import Any

import anyio

from structiot._kit.net.network import network_of
from structiot._kit.redact import Secret

__all__ = ["Attempts", "Sessions", "own_secret"]

MAX_WRONG = 5
WRONG_PER_S = 60.0
# Who has more addresses than these is not stopped by counting them.
MAX_ADDRESSES = 1024
_SECRET_BYTES = 32
_NONCE_BYTES = 16
_LONGEST = 200


def own_secret(kept: MutableMapping[str, Any]) -> Secret:
    """Give the secret that is kept in a section of the state file, or make it."""
    text = kept.get("secret")
    if not (isinstance(text, str) and len(text) >= _SECRET_BYTES):
        text = kept["secret"] = secrets.token_hex(_SECRET_BYTES)
    return Secret(text)


class Sessions:
    """Makes and knows the sessions of one token.

    Args:
        token: What has to be known; None where nothing has.
        secret: The gateway's own.
    """

    def __init__(self, token: Secret | None, secret: Secret) -> None:
        self.is_token_needed: bool = bool(token)
        self._token_key = sha256((token or secret).reveal().encode()).digest()
        self._key = self._mac(self._token_key, "structiot page")

    def is_token(self, text: str) -> bool:
        """Tell whether a text is the token, in a time that says nothing of it."""
        if not self.is_token_needed:
            return False
        given = sha256(text.encode("utf-8", "surrogateescape")).digest()
        return hmac.compare_digest(given, self._token_key)

    def new(self) -> str:
        """Make a session for somebody who knows the token."""
        nonce = secrets.token_hex(_NONCE_BYTES)
        return f"{nonce}.{self._mac(self._key, f'session {nonce}').hex()}"

    def is_session(self, text: str) -> bool:
        """Tell whether a text is a session of this token."""
        nonce, _, mac = text[:_LONGEST].partition(".")
        wanted = self._mac(self._key, f"session {nonce}").hex()
        return hmac.compare_digest(mac.encode(), wanted.encode())

    def csrf_token(self, session: str) -> str:
        """Give the token that the forms of a session carry; empty is nobody's session."""
        return self._mac(self._key, f"form {session}").hex()

    def is_csrf_token(self, text: str, session: str) -> bool:
        """Tell whether a form carries the token of its session."""
        given = text[:_LONGEST].encode("utf-8", "surrogateescape")
        return hmac.compare_digest(given, self.csrf_token(session).encode())

    @staticmethod
    def _mac(key: bytes, text: str) -> bytes:
        return hmac.digest(key, text.encode("utf-8", "surrogateescape"), "sha256")


class Attempts:
    """Counts wrong tokens by address: five a minute, then none is looked at."""

    def __init__(self) -> None:
        self._wrong_at: OrderedDict[str, list[float]] = OrderedDict()

    def wait_s(self, host: str) -> float:
        """Say how long an address has to wait before it may try again; 0 is not at all."""
        recent = self._recent(network_of(host))
        if len(recent) < MAX_WRONG:
            return 0.0
        return recent[-MAX_WRONG] + WRONG_PER_S - anyio.current_time()

    def wrong(self, host: str) -> None:
        """Count a wrong token."""
        network = network_of(host)
        recent = self._recent(network)
        recent.append(anyio.current_time())
        self._wrong_at[network] = recent
        self._wrong_at.move_to_end(network)
        while len(self._wrong_at) > MAX_ADDRESSES:
            self._wrong_at.popitem(last=False)

    def _recent(self, network: str) -> list[float]:
        since = anyio.current_time() - WRONG_PER_S
        return [at for at in self._wrong_at.get(network, ()) if at > since]
