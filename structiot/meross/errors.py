"""What can go wrong with Meross's cloud and devices, beyond the common errors.

The cloud answers with a number, `apiStatus`; which class stands for which, and what to do
about it, is a table of the reference. `AuthRefused` are those where asking again is no
help: they are remembered, and the gateway parks what raised them.
"""

from __future__ import annotations

from typing import ClassVar

from structiot.errors import (
    AuthRefused,
    CommandRefused,
    ConfigError,
    PeerError,
    RateLimited,
    TransportError,
)

__all__ = [
    "AccountBanned",
    "AccountDisabled",
    "CallDropped",
    "CloudUnavailable",
    "MerossApiError",
    "MerossRefused",
    "MfaRequired",
    "NotSignedIn",
    "TokenExpired",
    "TooManyTokens",
    "TooOften",
    "WrongKey",
    "WrongMfaCode",
    "WrongPassword",
    "WrongRegion",
]


class WrongPassword(AuthRefused):
    """The cloud knows no account with this e-mail and password."""


class MfaRequired(AuthRefused):
    """The account wants a one-time code, and there is none.

    Give `mfa=`, which is asked for it once; the token that comes of it is kept.
    """


class NotSignedIn(ConfigError):
    """No token is kept, and without e-mail and password there is no way to get one."""


class WrongMfaCode(AuthRefused):
    """The cloud does not accept the one-time code: sign in again with a fresh one."""


class TooManyTokens(AuthRefused):
    """The account has too many tokens, and gets no more for about five hours.

    Every sign-in makes one, and the phone's app is locked out as well. Do not try again
    before then; keep the token that you get.
    """


class AccountBanned(AuthRefused):
    """The cloud has locked the account, mostly for too many messages.

    Leave it alone for a day, and let a budget go easy on it then.
    """


class AccountDisabled(AccountBanned):
    """The account is disabled, mostly a ban, or deleted: only Meross can change that."""


class TokenExpired(AuthRefused):
    """The token is no longer accepted, and signing in again did not help or cannot be.

    It is not seen where a sign-in heals it.
    """


class WrongRegion(PeerError):
    """The account is in another region than its own region says.

    Attributes:
        domain: Where the cloud has sent us last; None if it did not say.
    """

    def __init__(self, message: str, *, domain: str | None = None) -> None:
        super().__init__(message)
        self.domain = domain


class TooOften(RateLimited):
    """The cloud was asked too often; nothing is asked for a while.

    Attributes:
        code: The cloud's number for it.
    """

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.code = code


class CloudUnavailable(TransportError):
    """The cloud has trouble of its own; the credentials are not the reason. Try later.

    Attributes:
        code: The cloud's number for it, or the status of HTTP.
        peer_text: The cloud's own words, where it gave any.
    """

    def __init__(
        self, message: str, *, code: int | None = None, peer_text: str = ""
    ) -> None:
        super().__init__(message)
        self.code = code
        self.peer_text = peer_text


class MerossApiError(CommandRefused):
    """The cloud refused a request, for a reason that has no class of its own."""


class MerossRefused(CommandRefused):
    """A device answered a request with an error.

    Attributes:
        namespace: What it was asked.
    """

    def __init__(
        self,
        message: str,
        *,
        namespace: str,
        code: int | None = None,
        peer_text: str = "",
    ) -> None:
        super().__init__(message, code=code, peer_text=peer_text)
        self.namespace = namespace


class WrongKey(AuthRefused):
    """A device does not accept our signature, or we not its.

    It belongs to another account, or was set up anew: fetch the key again, or give the
    one that it has.
    """


class CallDropped(RateLimited):
    """A call was not made: the budget for messages through the cloud is spent.

    Attributes:
        namespace: What was to be asked.
    """

    is_own_limit: ClassVar[bool] = True

    def __init__(
        self, message: str, *, namespace: str = "", retry_after_s: float | None = None
    ) -> None:
        super().__init__(message, retry_after_s=retry_after_s)
        self.namespace = namespace
