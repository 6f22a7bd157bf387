"""The error tree: a class says what the caller can do, attributes say what happened.

Every error that leaves a public name of structiot is one of these, never a group
and never an exception of a library underneath. The field meanings:

* `UsageError`, `ConfigError`: fix the program or its settings.
* `TransportError` and below: the network failed; a retry may help.
* `PeerError` and below: the peer spoke and that is the problem; do not retry blindly.
* `Overflowed`: a mailbox with the policy `"raise"` was read too slowly.
* `InternalError`: several background tasks failed at once; please report it.
"""

from __future__ import annotations

from typing import Any, ClassVar, Self, TypeVar

__all__ = [
    "AuthRefused",
    "CertificateRefused",
    "CommandRefused",
    "ConfigError",
    "ConnectFailed",
    "DeviceReplaced",
    "InternalError",
    "LinkLost",
    "Overflowed",
    "PeerError",
    "ProtocolViolation",
    "RateLimited",
    "ReplyTimeout",
    "StructiotError",
    "TransportError",
    "UnsupportedDevice",
    "UsageError",
]

DATA_HEAD_BYTES = 255
LONGEST_RETRY_AFTER_S = 86_400.0

E = TypeVar("E", bound="StructiotError")


def _rebuild(cls: type[E], args: tuple[Any, ...], state: dict[str, Any]) -> E:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class StructiotError(Exception):
    """Root of every error that structiot raises.

    An error that several tasks wait for is raised to each of them as a copy: the
    same object raised twice would collect the tracebacks of all. A copy has the
    notes and the cause of the original, and no traceback.
    """

    def __init__(self, message: str) -> None:
        super().__init__(message)

    def __reduce__(self) -> tuple[Any, ...]:
        # Keyword-only constructors do not survive the default protocol.
        return _rebuild, (type(self), self.args, self.__dict__)

    def __copy__(self) -> Self:
        twin = _rebuild(type(self), self.args, self.__dict__)
        if hasattr(self, "__notes__"):
            twin.__notes__ = list(self.__notes__)
        twin.__context__ = self.__context__
        twin.__cause__ = self.__cause__
        twin.__suppress_context__ = self.__suppress_context__
        return twin


class UsageError(StructiotError):
    """The call is wrong in this state, whatever the peer does."""


class ConfigError(StructiotError, ValueError):
    """Settings that cannot work; the message lists every problem found."""


class TransportError(StructiotError):
    """The network failed; a retry may help."""


class ConnectFailed(TransportError, OSError):
    """No connection could be made.

    Attributes:
        host: Name or address that was tried.
        port: Port that was tried; None where the transport has none.
        attempts: How many attempts were made before giving up.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        port: int | None = None,
        attempts: int = 1,
    ) -> None:
        super().__init__(message)
        self.host = host
        self.port = port
        self.attempts = attempts


class CertificateRefused(ConnectFailed):
    """The peer's TLS certificate is not one that we accept.

    Attributes:
        is_passing: Whether the peer can mend it by itself, as one that has run out; if
            not, asking again is no help.
    """

    is_passing: bool = False


class LinkLost(TransportError):
    """An open connection ended while it was needed.

    Attributes:
        reason: What ended it, in one phrase.
        since_s: `anyio.current_time()` at which it was noticed, if known.
    """

    def __init__(
        self, message: str, *, reason: str = "", since_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.reason: str = reason or message
        self.since_s = since_s


class ReplyTimeout(TransportError, TimeoutError):
    """A peer accepted a request and did not answer in time.

    Attributes:
        request: What was asked, in words fit for a log.
        after_s: How long was waited, in seconds.
    """

    def __init__(
        self, message: str, *, request: str = "", after_s: float | None = None
    ) -> None:
        super().__init__(message)
        self.request = request
        self.after_s = after_s


class PeerError(StructiotError):
    """The peer spoke, and what it said is the problem."""


class ProtocolViolation(PeerError):
    """Bytes that the protocol does not allow.

    Attributes:
        data: The first 255 bytes of what was received.
        offset: Where in the data the fault was seen, if known.
        code: The protocol's own number for the fault, where it has one.
    """

    def __init__(
        self,
        message: str,
        *,
        data: bytes = b"",
        offset: int | None = None,
        code: int | None = None,
    ) -> None:
        super().__init__(message)
        self.data: bytes = bytes(data[:DATA_HEAD_BYTES])
        self.offset = offset
        self.code = code


class AuthRefused(PeerError):
    """The peer does not accept these credentials.

    Attributes:
        account: Account name that was refused; never the secret.
        code: The peer's number for the refusal, where it has one.
    """

    def __init__(
        self, message: str, *, account: str | None = None, code: int | None = None
    ) -> None:
        super().__init__(message)
        self.account = account
        self.code = code


class CommandRefused(PeerError):
    """The peer understood a command and said no.

    Attributes:
        code: The peer's number for the refusal, where it has one.
        peer_text: The peer's own words, where it gave any.
    """

    def __init__(
        self, message: str, *, code: int | None = None, peer_text: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.peer_text = peer_text


class UnsupportedDevice(PeerError):
    """The device or its firmware cannot do this.

    Attributes:
        model: Model of the device, if known.
        firmware: Firmware of the device, if known.
        supported: Which models or firmware versions can.
    """

    def __init__(
        self,
        message: str,
        *,
        model: str | None = None,
        firmware: str | None = None,
        supported: tuple[str, ...] = (),
    ) -> None:
        super().__init__(message)
        self.model = model
        self.firmware = firmware
        self.supported = supported


class DeviceReplaced(PeerError):
    """Another device answers at an address; nothing it says is believed.

    Attributes:
        host: The address.
        expected: What identifies the device that was there.
        found: What identifies the one that answers.
    """

    def __init__(
        self,
        message: str,
        *,
        host: str | None = None,
        expected: str = "",
        found: str = "",
    ) -> None:
        super().__init__(message)
        self.host = host
        self.expected = expected
        self.found = found


class RateLimited(PeerError):
    """The peer has had enough of us for a while; nothing is asked before it is over.

    Args:
        message: What is said of it.
        retry_after_s: What it said.

    Attributes:
        is_own_limit: It was us who held it back, before anything was sent: whoever asks
            again is told again, and needs not leave the peer alone.
    """

    is_own_limit: ClassVar[bool] = False
    _retry_after_s: float | None = None

    def __init__(self, message: str, *, retry_after_s: float | None = None) -> None:
        super().__init__(message)
        self.retry_after_s = retry_after_s

    # Somebody's own kind of it may say anything here, or nothing.
    @property
    def retry_after_s(self) -> float | None:
        """Seconds until it may be asked again, 0 (now) to 86,400: a day stands for more.

        None if it did not say, or nothing that makes sense: what is no number, or less
        than 0.
        """
        return self._retry_after_s

    @retry_after_s.setter
    def retry_after_s(self, said: float | None) -> None:
        self._retry_after_s = _retry_after_s(said)


def _retry_after_s(said: object) -> float | None:
    # It often comes from a peer as it stands; NaN is not at least 0 either.
    if isinstance(said, bool) or not isinstance(said, int | float) or not said >= 0:
        return None
    return float(min(said, LONGEST_RETRY_AFTER_S))


class Overflowed(StructiotError):
    """A mailbox with the policy `"raise"` was full.

    Attributes:
        dropped: How many items were lost.
    """

    def __init__(self, message: str, *, dropped: int = 0) -> None:
        super().__init__(message)
        self.dropped = dropped


class InternalError(StructiotError):
    """More than one background task failed; `__cause__` is the group."""
