"""The cloud's numbers as errors of ours; the table is in `structiot.meross.errors`."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from structiot._kit.http.messages import HttpReply
from structiot._kit.json_text import number_of
from structiot._kit.redact import hide_credentials
from structiot._kit.text import without_named_secrets
from structiot.errors import AuthRefused, ProtocolViolation, StructiotError
from structiot.meross.errors import (
    AccountBanned,
    AccountDisabled,
    CloudUnavailable,
    MerossApiError,
    MfaRequired,
    TokenExpired,
    TooManyTokens,
    TooOften,
    WrongMfaCode,
    WrongPassword,
    WrongRegion,
)
from structiot.meross.wire.cloud import ApiCode, ApiReply, url_of_domain

__all__ = ["error_of_reply", "error_of_status"]

# Class and what to do, by number.
_Refusal = tuple[type[AuthRefused], str]
_PASSWORD: Final[_Refusal] = (
    WrongPassword,
    "no account has this e-mail and password; mend them, one of the app of Refoss is none",
)
_EXPIRED: Final[_Refusal] = (TokenExpired, "the token is no longer accepted")
_REFUSALS: Final[Mapping[int, _Refusal]] = {
    ApiCode.USER_WRONG: _PASSWORD,
    ApiCode.PASSWORD_WRONG: _PASSWORD,
    ApiCode.NO_ACCOUNT: _PASSWORD,
    ApiCode.LOGIN_WRONG: _PASSWORD,
    ApiCode.EMAIL_WRONG: _PASSWORD,
    ApiCode.PASSWORD_FORMAT: _PASSWORD,
    ApiCode.NOT_REGISTERED: _PASSWORD,
    ApiCode.ACCOUNT_DISABLED: (
        AccountDisabled,
        "the account is disabled, banned or deleted: leave it alone, and ask Meross",
    ),
    ApiCode.LOCKED: (
        AccountBanned,
        "the account is locked: leave it alone for a day, and send fewer messages then",
    ),
    ApiCode.MFA_REQUIRED: (
        MfaRequired,
        "the account wants a one-time code (give mfa=, which is asked for it)",
    ),
    ApiCode.MFA_WRONG: (
        WrongMfaCode,
        "the one-time code is wrong: sign in again with a fresh one",
    ),
    ApiCode.TOO_MANY_TOKENS: (
        TooManyTokens,
        "the account has too many tokens: do not sign in for five hours, then keep one",
    ),
    ApiCode.TOKEN_INVALID: _EXPIRED,
    ApiCode.NO_LOGIN: _EXPIRED,
    ApiCode.TOKEN_EXPIRED: _EXPIRED,
}
_TOO_OFTEN: Final = {ApiCode.TOO_OFTEN, ApiCode.TOP_LIMIT}
_TROUBLE: Final[Mapping[int, str]] = {
    ApiCode.SIGN_WRONG: "it does not accept a signature: look at the clock, try later",
    1201: "it could not make a token",
    ApiCode.DATABASE_TIMEOUT: "its database does not answer, which may last for hours",
    5000: "it has failed",
    10001: "it has failed",
    10002: "it has failed",
    10003: "it has failed",
    10006: "it has failed",
}


def error_of_reply(
    what: str, reply: ApiReply, *, account: str | None = None
) -> StructiotError | None:
    """Give the error that a reply means; None if it is a success.

    Args:
        what: What was asked, for the message.
        reply: What came.
        account: The account's e-mail.
    """
    code = reply.code
    if code == ApiCode.SUCCESS:
        return None
    said = f" ({without_named_secrets(reply.info)})" if reply.info else ""
    if code in _REFUSALS:
        cls, hint = _REFUSALS[code]
        message = f"{what}: refused with {code}{said}: {hint}"
        return cls(message, account=account or None, code=code)
    if code == ApiCode.OTHER_REGION:
        domain = url_of_domain(reply.data.get("domain"))
        domain = hide_credentials(domain) if domain else None
        where = f" at {domain}" if domain else ""
        message = f"{what}: the account is in another region{where}{said}"
        return WrongRegion(message, domain=domain)
    if code in _TOO_OFTEN:
        return TooOften(f"{what}: asked too often, {code}{said}", code=code)
    if code in _TROUBLE:
        message = f"{what}: the cloud has trouble, {code}{said}: {_TROUBLE[code]}"
        return CloudUnavailable(message, code=code, peer_text=reply.info)
    message = f"{what}: refused with {code}{said}"
    return MerossApiError(message, code=code, peer_text=reply.info)


def error_of_status(what: str, reply: HttpReply) -> StructiotError | None:
    """Give the error that the status of HTTP means; None if it means none.

    Args:
        what: What was asked, for the message.
        reply: What came; the cloud itself says 200 to almost everything.
    """
    status = reply.status
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        after_s = number_of(reply.headers.get("retry-after"))
        message = f"{what}: asked too often, HTTP status {status}"
        return TooOften(message, code=status, retry_after_s=after_s)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
        message = f"{what}: the cloud has trouble, HTTP status {status}"
        return CloudUnavailable(message, code=status)
    if status != HTTPStatus.OK:
        message = f"{what}: HTTP status {status}: this is no cloud of Meross"
        return ProtocolViolation(message, code=status)
    return None
