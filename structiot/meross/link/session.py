"""Who is signed in to the cloud: the token, proved by use, healed by one sign-in.

There is a token from the first sign-in to `log_out`. One that is kept is used without a look
at it: the first answer proves it. A token that is refused is healed under a lock by whoever
noticed it first: by a newer one in the store, which another program has put there, else by
one sign-in; who waited meanwhile goes on with what came of it. A token that is refused
within a minute of being made is the end: signing in again would go on for ever.
"""

from __future__ import annotations

import copy
import logging
import math
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot.errors import AuthRefused, ConfigError, StructiotError, UsageError
from structiot.meross.credentials import Credentials, CredentialStore
from structiot.meross.errors import TokenExpired
from structiot.meross.link.cloud_http import CloudHttp, base_url_of
from structiot.meross.link.http_stats import HttpStats
from structiot.meross.link.sign_in import Login, SignInAttempts, sign_in
from structiot.meross.wire.cloud import ApiReply, Path

__all__ = ["CloudSession"]

_log = logging.getLogger(__name__)

# A token that does not last so long is not made anew.
_YOUNG_S: Final = 60.0
_KEEP_S: Final = 10.0
# Another program may have put a token there that is refused as well.
_ROUNDS: Final = 3


class CloudSession:
    """Asks the cloud in a user's name; safe to use from several tasks.

    Args:
        http: Asks the cloud.
        url: Where to sign in.
        login: Who signs in; None where only a token is known.
        store: Keeps the token.
        credentials: What it holds.
        attempts: What became of earlier attempts to sign in.
        environment: The clock.
    """

    def __init__(
        self,
        http: CloudHttp,
        *,
        url: str,
        login: Login | None,
        store: CredentialStore,
        credentials: Credentials | None,
        attempts: SignInAttempts,
        environment: Environment,
    ) -> None:
        self._http = http
        self._url = url
        self._login = login
        self._store = store
        self._credentials = credentials
        self._attempts = attempts
        self._environment = environment
        self._lock = anyio.Lock()
        self._signed_in_at_s = -math.inf
        self._expired: TokenExpired | None = None

    @property
    def credentials(self) -> Credentials:
        """Token, key and user; others after each sign-in.

        Raises:
            UsageError: It was logged out.
        """
        if self._credentials is None:
            raise UsageError("Meross's cloud: logged out; call sign_in() first")
        return self._credentials

    @property
    def account(self) -> str:
        """The account's e-mail, as far as it is known."""
        if self._login is not None:
            return self._login.email
        return self._credentials.email if self._credentials else ""

    def stats(self, time_window: timedelta) -> HttpStats:
        """Count the requests of the last time."""
        return self._http.stats(time_window)

    async def sign_in(self) -> None:
        """Sign in, unless there is a token."""
        since = self._attempts.count
        async with self._lock:
            if self._credentials is None:
                await self._sign_in(since)

    async def log_out(self) -> None:
        """Give the token back, and forget it."""
        async with self._lock:
            credentials = self._credentials
            if credentials is None:
                return
            try:
                await self._ask(Path.LOG_OUT, {}, credentials)
            except TokenExpired:
                _log.info("the token had expired already")
            self._credentials = self._expired = None
            with anyio.move_on_after(_KEEP_S, shield=True) as patience:
                await self._store.forget()
            if patience.cancelled_caught:
                message = f"the store did not forget the token within {_KEEP_S:g} s"
                raise ConfigError(message)

    async def call(self, path: str, params: Mapping[str, object]) -> ApiReply:
        """Ask with the token, and with another one if it is refused.

        Args:
            path: What is asked.
            params: Its parameters.

        Raises:
            UsageError: It was logged out, or the block has ended.
            TokenExpired: The token is refused, and could not be healed.
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        self._attempts.check_refused()
        credentials, why = self.credentials, self._expired
        since = self._attempts.count
        for _ in range(_ROUNDS):
            if why is not None:
                credentials = await self._healed(credentials, why, since)
            try:
                server, reply = await self._ask(path, params, credentials)
            except TokenExpired as exc:
                why = copy.copy(exc)
            except AuthRefused as exc:
                self._attempts.failed(exc)
                raise
            else:
                await self._learn_region(credentials, server)
                return reply
        assert why is not None  # noqa: S101 - each round has failed with it
        raise why

    async def _ask(
        self, path: str, params: Mapping[str, object], credentials: Credentials
    ) -> tuple[str, ApiReply]:
        base = base_url_of(credentials.domain, like=self._url) or self._url
        token, account = credentials.token, credentials.email
        return await self._http.ask(base, path, params, token=token, account=account)

    async def _learn_region(self, credentials: Credentials, server: str) -> None:
        if self._credentials is credentials and not credentials.domain:
            # From an old file; the region is known now.
            self._credentials = replace(credentials, domain=server)
            await self._keep(self._credentials)

    async def _healed(
        self, refused: Credentials, why: TokenExpired, since: int
    ) -> Credentials:
        """Give other credentials than those that the cloud has refused.

        Raises:
            TokenExpired: They were made just now, or there is no password.
            StructiotError: What the sign-in has failed with, now or before.
        """
        async with self._lock:
            current = self.credentials
            if current.token != refused.token:
                return current
            self._expired = copy.copy(why)
            self._attempts.check(since=since)
            if anyio.current_time() - self._signed_in_at_s < _YOUNG_S:
                why.add_note("the token was made just now: it is not made anew")
                self._attempts.failed(why)
                raise why
            newer = await self._load_newer(refused)
            if newer is not None:
                self._credentials, self._expired = newer, None
                return newer
            _log.info("the token of %s has expired: signing in", self.account)
            return await self._sign_in(since, why)

    async def _load_newer(self, refused: Credentials) -> Credentials | None:
        """Look whether another program has put another token into the store."""
        try:
            kept = await self._store.load()
        except StructiotError as exc:
            _log.warning("the kept token cannot be read: %s", exc)
            return None
        is_newer = kept is not None and kept.token != refused.token
        return kept if is_newer and kept and kept.user_id == refused.user_id else None

    async def _sign_in(
        self, since: int, why: TokenExpired | None = None
    ) -> Credentials:
        """Sign in, with the lock held."""
        self._attempts.check(since=since)
        login, before = self._login, self._credentials
        if login is None:
            message = "there is no password to sign in with: give email= and password="
            if why is None:
                raise ConfigError(message)
            why = TokenExpired(f"{why}; {message}", account=why.account, code=why.code)
            self._attempts.failed(why)
            raise why
        try:
            fresh = await sign_in(
                self._http, self._url, login, self._environment.now_utc()
            )
            _check_user(fresh, before)
        except StructiotError as exc:
            self._attempts.failed(exc)
            raise
        except BaseException:
            self._attempts.was_cut_short()
            raise
        self._credentials, self._expired = fresh, None
        self._signed_in_at_s = anyio.current_time()
        self._attempts.succeeded()
        await self._keep(fresh)
        return fresh

    async def _keep(self, credentials: Credentials) -> None:
        """Store them; also when cancelled, for a token that is lost is one too many."""
        try:
            with anyio.fail_after(_KEEP_S, shield=True):
                await self._store.save(credentials)
        except (StructiotError, TimeoutError) as exc:
            _log.warning("the token cannot be kept for the next start: %s", exc)


def _check_user(fresh: Credentials, before: Credentials | None) -> None:
    if before is not None and fresh.user_id != before.user_id:
        message = (
            f"Meross's cloud signed in user {fresh.user_id}, but the token before was of "
            f"user {before.user_id}: give each account a store of its own"
        )
        raise AuthRefused(message, account=fresh.email)
