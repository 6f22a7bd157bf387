"""How often somebody may sign in to an account, in this program and in the next.

Each sign-in makes a token, and an account with too many is locked out for hours, the app on
the phone as well. So what a retry cannot cure is tried once and remembered, for five hours
or a day, by the account's file also for a program that is started again and again; another
password is tried at once. Anything else is tried three times at once and then once a minute;
an account that is banned, which may be lifted at any time, once an hour.
"""

from __future__ import annotations

import copy
import hashlib
import math
import secrets
from collections.abc import Mapping
from datetime import UTC, datetime
from hmac import compare_digest
from typing import Final

import anyio
import anyio.to_thread

from structiot._kit.environment import Environment
from structiot._kit.json_text import integer_of, number_of, text_of
from structiot.errors import AuthRefused, ReplyTimeout, StructiotError
from structiot.meross.account_state import AccountState
from structiot.meross.errors import (
    AccountBanned,
    AccountDisabled,
    MfaRequired,
    TokenExpired,
    TooManyTokens,
    TooOften,
    WrongMfaCode,
    WrongPassword,
)
from structiot.meross.link.sign_in import Login

__all__ = ["SignInAttempts"]

_REFUSALS: Final = {
    one.__name__: one
    for one in (
        *(AccountBanned, AccountDisabled, MfaRequired, TokenExpired),
        *(TooManyTokens, WrongMfaCode, WrongPassword),
    )
}
_NAME: Final = "sign-in"
_AT_ONCE: Final = 3
_PAUSE_S: Final = 60.0
_BANNED_S: Final = 3_600.0
_A_DAY_S: Final = 86_400.0
_MANY_TOKENS_S: Final = 18_000.0
_KEEP_S: Final = 10.0


class SignInAttempts:
    """What became of the attempts to sign in, and whether to try again.

    Args:
        state: The account's file.
        login: Who signs in, if anybody can.
        environment: Tells the time.

    Attributes:
        count: How many attempts have ended.
    """

    def __init__(
        self, state: AccountState, login: Login | None, environment: Environment
    ) -> None:
        self.count: int = 0
        self._state = state
        self._login = login
        self._environment = environment
        self._refused: AuthRefused | None = None
        self._failures = 0
        self._last: StructiotError | None = None
        self._last_at_s = -math.inf
        self._pause_s = _PAUSE_S
        self._is_written = False

    # ------------------------------------------------------------ whether to try

    def check(self, *, since: int) -> None:
        """Raise what an earlier attempt has failed with, if there shall be none now.

        Args:
            since: `count` when the caller began to wait: a failure since then is its own.

        Raises:
            StructiotError: A copy of what it failed with.
        """
        self.check_refused()
        if self._last is not None and (self.count > since or self._rest_s() > 0):
            if isinstance(self._last, TooOften):
                self._last.retry_after_s = max(self._rest_s(), 0.0)
            raise copy.copy(self._last)

    def check_refused(self) -> None:
        """Raise what it was refused with, if it was, or is banned and left alone.

        Raises:
            AuthRefused: A copy of it.
        """
        if self._refused is not None:
            raise copy.copy(self._refused)
        if isinstance(self._last, AccountBanned) and self._rest_s() > 0:
            raise copy.copy(self._last)

    def _rest_s(self) -> float:
        """Tell how long nothing is tried; failures that are few need no rest."""
        if self._failures < _AT_ONCE:
            return 0.0
        return self._last_at_s + self._pause_s - anyio.current_time()

    # ------------------------------------------------------------ what came of it

    async def failed(self, error: StructiotError) -> None:
        """Remember a failure; a refusal ends it for this block, most also beyond."""
        self.count += 1
        if isinstance(error, AuthRefused):
            self._refused = copy.copy(error)
        await self._remember(error)

    async def was_cut_short(self) -> None:
        """Remember an attempt that was cancelled; others that wait may try."""
        await self._remember(
            ReplyTimeout("the sign-ins before this were all cut short")
        )

    async def succeeded(self) -> None:
        """Forget what was before."""
        self.count += 1
        self._failures, self._last = 0, None
        if self._is_written:
            self._is_written = False
            await self._state.keep(_NAME, None)

    async def _remember(self, error: StructiotError) -> None:
        # Without the frames it came through, which hold what was sent.
        self._last = copy.copy(error)
        self._failures += 1
        self._last_at_s = anyio.current_time()
        self._pause_s = _pause_s_after(error)
        self._is_written = True
        kept: dict[str, object] = {
            "error": type(error).__name__,
            "message": str(error),
            "code": getattr(error, "code", None),
            "account": getattr(error, "account", None),
            "failures": self._failures,
            "at_s": self._now_s(),
        }
        with anyio.move_on_after(_KEEP_S, shield=True):
            if self._login is not None and self._is_final(error):
                kept["salt"] = salt = secrets.token_hex(16)
                kept["proof"] = await _in_thread(self._login, salt)
            await self._state.keep(_NAME, kept)

    def _is_final(self, error: StructiotError) -> bool:
        """Whether it will be the same for this login: not so with another code."""
        has_code = self._login is not None and self._login.mfa is not None
        is_about_code = isinstance(error, MfaRequired | WrongMfaCode) and has_code
        may_pass = is_about_code or isinstance(error, AccountBanned)
        return isinstance(error, AuthRefused) and not may_pass

    # ------------------------------------------------------------ of the program before

    async def begin(self, *, is_asked_for: bool) -> None:
        """Read what became of the attempts before this block.

        Args:
            is_asked_for: A person wants what was refused to be tried again.
        """
        kept = (await self._state.kept(_NAME)).get("")
        if kept is None:
            return
        self._is_written = True
        if is_asked_for:
            return
        now_s = self._now_s()
        age_s = now_s - (number_of(kept.get("at_s")) or 0.0)
        if age_s < 0:
            # The clock was set back: it counts from now on, and not for ever.
            age_s = 0.0
            await self._state.keep(_NAME, {**kept, "at_s": now_s})
        error = _error_of(kept)
        if isinstance(error, AuthRefused) and "proof" in kept:
            lasts_s = _MANY_TOKENS_S if isinstance(error, TooManyTokens) else _A_DAY_S
            if age_s < lasts_s and await self._is_same_login(kept):
                until = datetime.fromtimestamp(now_s - age_s + lasts_s, UTC)
                error.add_note(f"not tried again before {until:%Y-%m-%d %H:%M} UTC")
                self._refused = error
            return
        self._last, self._pause_s = error, _pause_s_after(error)
        self._last_at_s = anyio.current_time() - age_s
        self._failures = max(0, integer_of(kept.get("failures")) or 0)

    async def _is_same_login(self, kept: Mapping[str, object]) -> bool:
        salt, proof = kept.get("salt"), kept.get("proof")
        if self._login is None or not (
            isinstance(salt, str) and isinstance(proof, str)
        ):
            return False
        found = await _in_thread(self._login, salt)
        return compare_digest(found.encode(), proof.encode("utf-8", "replace"))

    def _now_s(self) -> float:
        return self._environment.now_utc().timestamp()


def _pause_s_after(error: StructiotError) -> float:
    return _BANNED_S if isinstance(error, AccountBanned) else _PAUSE_S


async def _in_thread(login: Login, salt: str) -> str:
    return await anyio.to_thread.run_sync(_proof_of, login, salt)


def _proof_of(login: Login, salt: str) -> str:
    """Give what tells whether it is the same login, and not what it is; it is slow."""
    parts = (login.email.lower(), login.password.reveal(), str(login.mfa is not None))
    text, salted = "\0".join(parts).encode(), salt.encode("utf-8", "replace")
    return hashlib.scrypt(text, salt=salted, n=16_384, r=8, p=1).hex()


def _error_of(kept: Mapping[str, object]) -> StructiotError:
    """Make an error again; what is not `AuthRefused` is one to wait for."""
    message = text_of(kept.get("message")) or "a sign-in before this has failed"
    code = integer_of(kept.get("code"))
    cls = _REFUSALS.get(str(kept.get("error")))
    if cls is not None:
        return cls(message, account=text_of(kept.get("account")), code=code)
    return TooOften(message, code=code, retry_after_s=_PAUSE_S)
