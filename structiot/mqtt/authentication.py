"""Enhanced authentication (MQTT 5.0): what a client does where a password is not enough.

SCRAM-SHA-256 (RFC 5802, RFC 7677) is such a method: neither side learns the password of
the other. It is by hand because scramp derives the key in the call, by as many iterations
as the server names: here there is a limit, and a thread in which no loop waits for it.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from collections.abc import Callable
from typing import Protocol, runtime_checkable

import anyio.to_thread

from structiot._kit.redact import Secret
from structiot.errors import AuthRefused, ProtocolViolation
from structiot.mqtt.wire.saslprep import saslprep

__all__ = ["Authentication", "ScramSha256"]

# No channel binding: MQTT's TLS is often ended before the broker.
GS2_HEADER = "n,,"
# A broker may not keep a client busy for minutes, nor make it show the password cheaply.
MAX_ITERATIONS = 1_000_000
MIN_ITERATIONS = 4096


@runtime_checkable
class Authentication(Protocol):
    """How a client shows who it is, by a method that its broker knows; given as `auth`.

    One object serves one client for all its connections. `AuthRefused`, or any other
    error of structiot that a method raises, ends the connection; what else it raises
    ends the client's block as itself.
    """

    @property
    def method(self) -> str:
        """The name of the method, as the broker knows it."""
        ...

    async def begin(self) -> bytes | None:
        """Give the data that goes with the CONNECT, or that begins another exchange."""
        ...

    async def answer(self, data: bytes | None) -> bytes | None:
        """Answer one challenge of the broker."""
        ...

    def finish(self, data: bytes | None) -> None:
        """Look at what the broker gives when it accepts us; raise if it is not enough."""
        ...


class ScramSha256:
    """Authentication by user name and password that shows the password to nobody.

    Args:
        username: User name; not the one in the broker's address, which is sent openly.
        password: Password.
        nonce: Source of nonces; for tests.

    Both are prepared by SASLprep (RFC 4013), so that it does not matter how a letter with
    an accent was typed.

    Raises:
        UsageError: One of them has characters that SASLprep does not allow, or is empty.
    """

    method = "SCRAM-SHA-256"

    def __init__(
        self,
        username: str,
        password: str | Secret,
        *,
        nonce: Callable[[], str] = lambda: secrets.token_urlsafe(18),
    ) -> None:
        self.username = username
        word = password.reveal() if isinstance(password, Secret) else password
        # As RFC 5802 has it: a name is asked for, a password is stored.
        self._name = saslprep(username, "the user name", may_be_unassigned=True)
        self._password = Secret(saslprep(word, "the password", may_be_unassigned=False))
        self._make_nonce = nonce
        self._nonce = ""
        self._first = ""
        self._expected: bytes | None = None

    async def begin(self) -> bytes:
        """Give name and nonce."""
        self._nonce = self._make_nonce()
        self._expected = None
        name = self._name.replace("=", "=3D").replace(",", "=2C")
        self._first = f"n={name},r={self._nonce}"
        return (GS2_HEADER + self._first).encode()

    async def answer(self, data: bytes | None) -> bytes:
        """Prove that the password is known.

        Raises:
            ProtocolViolation: That was no challenge of this method.
        """
        challenge, nonce, salt, iterations = self._read_challenge(data)
        salted = await anyio.to_thread.run_sync(
            hashlib.pbkdf2_hmac,
            "sha256",
            self._password.reveal().encode(),
            salt,
            iterations,
        )
        client_key = _hmac(salted, b"Client Key")
        binding = base64.b64encode(GS2_HEADER.encode()).decode()
        final = f"c={binding},r={nonce}"
        message = f"{self._first},{challenge},{final}".encode()
        signature = _hmac(hashlib.sha256(client_key).digest(), message)
        proof = bytes(a ^ b for a, b in zip(client_key, signature, strict=True))
        self._expected = _hmac(_hmac(salted, b"Server Key"), message)
        return f"{final},p={base64.b64encode(proof).decode()}".encode()

    def _read_challenge(self, data: bytes | None) -> tuple[str, str, bytes, int]:
        try:
            challenge = (data or b"").decode()
            fields = dict(part.split("=", 1) for part in challenge.split(","))
            nonce, iterations = fields["r"], int(fields["i"])
            salt = base64.b64decode(fields["s"], validate=True)
        except (ValueError, KeyError, binascii.Error):
            raise ProtocolViolation(
                "the broker's challenge is none of SCRAM", data=data or b""
            ) from None
        if not nonce.startswith(self._nonce) or nonce == self._nonce:
            raise ProtocolViolation("the broker's challenge answers somebody else")
        if "m" in fields or not MIN_ITERATIONS <= iterations <= MAX_ITERATIONS:
            raise ProtocolViolation(
                f"the broker wants {iterations} iterations; "
                f"{MIN_ITERATIONS} to {MAX_ITERATIONS} are fine, and no extensions"
            )
        return challenge, nonce, salt, iterations

    def finish(self, data: bytes | None) -> None:
        """Check that the broker knows the password as well.

        Raises:
            AuthRefused: It does not.
        """
        expected, self._expected = self._expected, None
        given = (data or b"").removeprefix(b"v=")
        if expected is None or not hmac.compare_digest(
            base64.b64encode(expected), given
        ):
            raise AuthRefused(
                f"the broker does not know the password of {self.username!r}: "
                "it may be another's",
                account=self.username,
            )


def _hmac(key: bytes, data: bytes) -> bytes:
    return hmac.digest(key, data, "sha256")
