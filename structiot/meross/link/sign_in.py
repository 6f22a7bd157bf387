"""One sign-in, and how often there may be one.

Each sign-in makes a token, and an account with too many is locked out for hours, the app on
the phone as well. So what a retry cannot cure is tried once and remembered, and anything
else three times at once and then once a minute. All who wait for a sign-in share what comes
of it.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Final, TypeAlias

import anyio

from structiot._kit.json_text import clean_text, text_of
from structiot._kit.redact import Secret
from structiot.errors import (
    AuthRefused,
    ProtocolViolation,
    ReplyTimeout,
    StructiotError,
)
from structiot.meross.credentials import Credentials, header_safe, topic_safe
from structiot.meross.errors import MfaRequired, WrongMfaCode, WrongRegion
from structiot.meross.link.cloud_http import CloudHttp, base_url_of
from structiot.meross.wire.cloud import ApiReply, Path
from structiot.meross.wire.digests import md5_hex

__all__ = ["Login", "MfaCallback", "SignInAttempts", "sign_in"]

MfaCallback: TypeAlias = Callable[[], Awaitable[str]]
"""Gives a one-time code, as a person reads it off; an empty one gives up."""

_MFA_S: Final = 300.0
_AT_ONCE: Final = 3
_PAUSE_S: Final = 60.0
_LONGEST: Final = 300


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
    key = _short(data.get("key"))
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
        mqtt_domain=_short(data.get("mqttDomain")),
        issued_at_utc=now,
    )


def _short(value: object) -> str:
    return clean_text(value[:_LONGEST]) if isinstance(value, str) else ""


class SignInAttempts:
    """What became of the attempts to sign in to one account, and whether to try again.

    Whoever opens an account again and again gives the same one each time: the pause
    between attempts then lasts beyond the block.

    Attributes:
        count: How many attempts have ended.
    """

    def __init__(self) -> None:
        self.count: int = 0
        self._refused: AuthRefused | None = None
        self._failures = 0
        self._last: StructiotError | None = None
        self._last_at_s = -math.inf

    def check(self, *, since: int) -> None:
        """Raise what an earlier attempt has failed with, if there shall be none now.

        Args:
            since: `count` when the caller began to wait: a failure since then is its own.

        Raises:
            StructiotError: A copy of what it failed with.
        """
        self.check_refused()
        if self._last is None:
            return
        rest_s = self._last_at_s + _PAUSE_S - anyio.current_time()
        if self.count > since or (self._failures >= _AT_ONCE and rest_s > 0):
            raise copy.copy(self._last)

    def check_refused(self) -> None:
        """Raise what it was refused with, if it was.

        Raises:
            AuthRefused: A copy of it.
        """
        if self._refused is not None:
            raise copy.copy(self._refused)

    def failed(self, error: StructiotError) -> None:
        """Remember a failure; a refusal ends it until `reopened`."""
        self.count += 1
        self._remember(error)
        if isinstance(error, AuthRefused):
            self._refused = copy.copy(error)

    def was_cut_short(self) -> None:
        """Remember an attempt that was cancelled; others that wait may try."""
        self._remember(ReplyTimeout("the sign-ins before this were all cut short"))

    def succeeded(self) -> None:
        """Forget what was before."""
        self.count += 1
        self._failures, self._last = 0, None

    def reopened(self) -> None:
        """Let what was refused be tried again, as somebody has asked for it."""
        self._refused = None

    def _remember(self, error: StructiotError) -> None:
        # Without the frames it came through, which hold what was sent.
        self._last = copy.copy(error)
        self._failures += 1
        self._last_at_s = anyio.current_time()
