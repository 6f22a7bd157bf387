"""One sign-in to the cloud: its region, a one-time code, what comes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import anyio

from structiot._kit.json_text import text_of
from structiot._kit.redact import Secret
from structiot.errors import AuthRefused, ConfigError, ProtocolViolation
from structiot.meross.credentials import (
    Credentials,
    header_safe,
    short_text,
    topic_safe,
)
from structiot.meross.errors import MfaRequired, WrongMfaCode, WrongRegion
from structiot.meross.link.cloud_http import CloudHttp, base_url_of
from structiot.meross.wire.cloud import ApiReply, Path
from structiot.meross.wire.digests import md5_hex

__all__ = ["Login", "MfaCallback", "check_user", "login_of", "sign_in"]

MfaCallback: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a one-time code, as a person reads it off; an empty one gives up."""

_MFA_S: Final = 300.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """Who signs in.

    Attributes:
        email: The account.
        password: Its password.
        country: Country of the account, as `"us"`.
        mfa: Gives a one-time code where the account wants one.
    """

    email: str
    password: Secret
    country: str = "us"
    mfa: MfaCallback | None = None


def login_of(
    email: str | None,
    password: str | Secret | None,
    *,
    country: str,
    mfa: MfaCallback | None,
) -> Login | None:
    """Give who signs in, if somebody can.

    Raises:
        ConfigError: Either is no whole text; the message does not show it.
    """
    if not (email and password):
        return None
    secret = password if isinstance(password, Secret) else Secret(password)
    for what, text in (("an e-mail", email), ("a password", secret.reveal())):
        # The error of the encoding would hold the password.
        if text != text.encode("utf-8", "replace").decode():
            message = f"Meross's cloud: {what} with half a character in it"
            raise ConfigError(message)
    return Login(email=email, password=secret, country=country, mfa=mfa)


async def sign_in(
    http: CloudHttp, url: str, login: Login, now: datetime
) -> Credentials:
    """Sign in; another region is followed once, and a one-time code asked for once.

    When it is cancelled the cloud may have made a token that nobody will use.

    Args:
        http: Asks the cloud.
        url: Any region's server.
        login: Who signs in.
        now: The time, for the credentials.

    Raises:
        AuthRefused: See `structiot.meross.errors`.
        StructiotError: The same, and those of the network.
    """
    params: dict[str, object] = {
        "email": login.email,
        "password": md5_hex(login.password.reveal()),
        "encryption": 1,
        "accountCountryCode": login.country,
        "agree": 0,
    }
    base, has_moved = url, False
    while True:
        try:
            reply = await http.post(base, Path.SIGN_IN, params, account=login.email)
        except WrongRegion as exc:
            domain = base_url_of(exc.domain, like=base)
            if has_moved or domain is None:
                raise
            base, has_moved = domain, True
        except MfaRequired as exc:
            if "mfaCode" in params:
                # Clients do not agree which number means what once there is a code.
                message = "the one-time code is wrong: sign in again with a fresh one"
                raise WrongMfaCode(
                    message, account=exc.account, code=exc.code
                ) from None
            if login.mfa is None:
                raise
            params["mfaCode"] = await _code(login.mfa, exc)
        else:
            return _credentials(reply, base, login.email, now)


async def _code(ask: MfaCallback, why: MfaRequired) -> str:
    code = None
    with anyio.move_on_after(_MFA_S):
        code = text_of(await ask())
    if not code:
        message = f"the account wants a one-time code, and none came in {_MFA_S:g} s"
        raise MfaRequired(message, account=why.account, code=why.code)
    return code


def _credentials(reply: ApiReply, base: str, email: str, now: datetime) -> Credentials:
    data = reply.data
    token = header_safe(data.get("token"))
    user_id = topic_safe(data.get("userid"))
    key = short_text(data.get("key"))
    if not (token and user_id and key):
        message = (
            f"{base}: signed in, and got no token, key or user id that can be used"
        )
        raise ProtocolViolation(message)
    return Credentials(
        token=Secret(token),
        key=Secret(key),
        user_id=user_id,
        email=email,
        domain=base_url_of(data.get("domain"), like=base) or base,
        mqtt_domain=short_text(data.get("mqttDomain")),
        issued_at_utc=now,
    )


def check_user(fresh: Credentials, before: Credentials | None) -> None:
    """See that it is the user whose token was kept.

    Raises:
        AuthRefused: It is another one.
    """
    if before is not None and fresh.user_id != before.user_id:
        message = (
            "Meross's cloud signed in another user than the one whose token was kept: "
            "give each account a store of its own"
        )
        raise AuthRefused(message, account=fresh.email)
