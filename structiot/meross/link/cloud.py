"""The account in the cloud, and what can be asked of it.

    async with open_cloud(email="me@example.org", password=password, store=store) as cloud:
        for device in await cloud.devices():
            print(device.name, device.status)

There is a token from the first sign-in to `log_out`. One that is kept is used without a look
at it: the first answer proves it. A token that is refused is healed under a lock by whoever
noticed it first: by a newer one in the store, which another program has put there, else by
one sign-in; who waited meanwhile goes on with what came of it. A token that is refused
within a minute of being made is the end: signing in again would go on for ever.
"""

from __future__ import annotations

import copy
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Final

import anyio

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.redact import Secret
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ProtocolViolation,
    StructiotError,
    UsageError,
)
from structiot.meross.account_state import AccountState, open_account_state
from structiot.meross.credential_stores import FileStore
from structiot.meross.credentials import (
    Credentials,
    CredentialStore,
    MemoryStore,
    shown_email,
)
from structiot.meross.errors import NotSignedIn, TokenExpired
from structiot.meross.link.attempts import SignInAttempts
from structiot.meross.link.cloud_http import CloudHttp, HttpStats, base_url_of
from structiot.meross.link.sign_in import (
    Login,
    MfaCallback,
    check_user,
    login_of,
    sign_in,
)
from structiot.meross.wire.cloud import ApiReply, Path
from structiot.meross.wire.device_list import (
    CloudDevice,
    CloudSubdevice,
    FirmwareVersion,
    read_devices,
    read_firmware_versions,
    read_subdevices,
)

__all__ = ["DEFAULT_URL", "MerossCloud", "open_cloud"]

DEFAULT_URL: Final = "https://iotx-us.meross.com"
_MINUTE: Final = timedelta(minutes=1)
# A token that does not last so long is not made anew; one of the future was made long ago.
_YOUNG: Final = timedelta(minutes=1)
_KEEP_S: Final = 10.0
# Another program may have put a token there that is refused as well.
_ROUNDS: Final = 3

_log = logging.getLogger(__name__)


class MerossCloud:
    """An account's HTTP; made by `open_cloud`, and safe to use from several tasks.

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
        self._expired: TokenExpired | None = None

    def __repr__(self) -> str:
        return f"<MerossCloud of {self._account or 'nobody known'}>"

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
    def _account(self) -> str:
        if self._login is not None:
            return self._login.email
        return self._credentials.email if self._credentials else ""

    def stats(self, *, time_window: timedelta = _MINUTE) -> HttpStats:
        """Count the requests of the last time; the last thousand are remembered."""
        return self._http.stats(time_window)

    # ------------------------------------------------------------ what can be asked

    async def devices(self) -> tuple[CloudDevice, ...]:
        """List the account's devices.

        Raises:
            ProtocolViolation: The reply has no list, which does not mean that there are
                no devices.
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        reply = await self._call(Path.DEVICES, {})
        if not reply.has_list:
            raise ProtocolViolation("Meross's cloud: a list of devices that is no list")
        return read_devices(reply.items, mqtt_domain=self.credentials.mqtt_domain)

    async def subdevices(self, hub_uuid: str) -> tuple[CloudSubdevice, ...]:
        """List the subdevices of a hub.

        Args:
            hub_uuid: The hub's uuid.

        Raises:
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        check_argument("hub_uuid", hub_uuid, str)
        return read_subdevices(
            (await self._call(Path.SUBDEVICES, {"uuid": hub_uuid})).items
        )

    async def firmware_versions(self) -> tuple[FirmwareVersion, ...]:
        """List the newest firmware for the account's models; once a week is enough.

        Raises:
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        return read_firmware_versions((await self._call(Path.FIRMWARE, {})).items)

    async def _call(self, path: str, params: Mapping[str, object]) -> ApiReply:
        """Ask with the token, and with another one if it is refused."""
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
                await self._attempts.failed(exc)  # noqa: ASYNC120 - it shields itself
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

    # ------------------------------------------------------------ the token

    async def sign_in(self) -> None:
        """Sign in, unless there is a token.

        Raises:
            AuthRefused: Refused, now or before; see `SignInAttempts`.
            ConfigError: There is no password.
            StructiotError: See `structiot.meross.errors`; after three failures it is
                tried once a minute, and the last error raised meanwhile.
        """
        since = self._attempts.count
        async with self._lock:
            if self._credentials is None:
                await self._sign_in(since)

    async def log_out(self) -> None:
        """Give the token back, and forget it; it was of use to the end of the block.

        A token that the cloud does not know any more is forgotten as well. Logged out
        already, it does nothing.

        Raises:
            StructiotError: The cloud did not take it back, or the store did not forget it.
        """
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

    async def _healed(
        self, refused: Credentials, why: TokenExpired, since: int
    ) -> Credentials:
        """Give other credentials than those that the cloud has refused."""
        async with self._lock:
            current = self.credentials
            if current.token != refused.token:
                return current
            self._expired = copy.copy(why)
            self._attempts.check(since=since)
            made_at, now = current.issued_at_utc, self._environment.now_utc()
            is_young = made_at is not None and abs(now - made_at) < _YOUNG
            if is_young and self._login is not None:
                why.add_note("the token was made just now: it is not made anew")
                await self._attempts.failed(why)
                raise why
            newer = await self._load_newer(refused)
            if newer is not None:
                self._credentials, self._expired = newer, None
                return newer
            _log.info("the token has expired: signing in")
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
                raise NotSignedIn(message)
            why = TokenExpired(f"{why}; {message}", account=why.account, code=why.code)
            await self._attempts.failed(why)
            raise why
        try:
            fresh = await sign_in(
                self._http, self._url, login, self._environment.now_utc()
            )
            check_user(fresh, before)
        except StructiotError as exc:
            await self._attempts.failed(exc)  # noqa: ASYNC120 - it shields itself
            raise
        except BaseException:
            await self._attempts.was_cut_short()  # noqa: ASYNC102 - the same
            raise
        self._credentials, self._expired = fresh, None
        await self._keep(fresh)
        await self._attempts.succeeded()
        return fresh

    async def _keep(self, credentials: Credentials) -> None:
        """Store them; also when cancelled, for a token that is lost is one too many."""
        try:
            with anyio.fail_after(_KEEP_S, shield=True):
                await self._store.save(credentials)
        except (StructiotError, TimeoutError) as exc:
            _log.warning("the token cannot be kept for the next start: %s", exc)


@asynccontextmanager
async def open_cloud(
    *,
    email: str | None = None,
    password: str | Secret | None = None,
    mfa: MfaCallback | None = None,
    store: CredentialStore | None = None,
    state: AccountState | None = None,
    retry_refused: bool = False,
    url: str = DEFAULT_URL,
    country: str = "us",
    reply_s: float = 20.0,
    ssl_context: ssl.SSLContext | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossCloud]:
    """Open an account in the cloud; signs in only where the store has no token.

    Leaving the block does not log out: the token is kept for the next time. It takes what
    `open_meross` does; without `store` the token, without `state` what became of attempts
    to sign in, is lost with the block. A reply is waited for for `reply_s`.

    Raises:
        ConfigError: No way to sign in, the store holds another account's token or cannot
            be used, or no URL.
        StructiotError: See `structiot.meross.errors`, and those of the network.
    """
    check_argument("email", email, str, None)
    check_argument("password", password, str, Secret, None)
    base = base_url_of(url, like="")
    if base is None:
        raise ConfigError("Meross's cloud: url is not the base URL of a server")
    store = store or MemoryStore()
    kept = await store.load()
    if kept and email and kept.email and kept.email.lower() != email.lower():
        message = (
            f"the token that is kept is {shown_email(kept.email)}'s, not "
            f"{shown_email(email)}'s: log that one out, or give this one a store of its own"
        )
        raise ConfigError(message)
    email = email or (kept.email if kept else "")
    login = login_of(email, password, country=country, mfa=mfa)
    if kept is None and login is None:
        message = "nobody is signed in: give email= and password=, or a store that has a token"
        raise NotSignedIn(f"Meross's cloud: {message}")
    if kept is None and isinstance(store, FileStore):
        await store.check()
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        if state is None:
            state = await enter(open_account_state(None, environment=environment))
        attempts = SignInAttempts(state, login, environment)
        await attempts.begin(is_asked_for=retry_refused)
        http = CloudHttp(
            await enter(AsyncExitStack()),
            environment,
            reply_s=reply_s,
            ssl_context=ssl_context,
        )
        stack.callback(http.close)
        cloud = MerossCloud(
            http,
            url=base,
            login=login,
            store=store,
            credentials=kept,
            attempts=attempts,
            environment=environment,
        )
        await cloud.sign_in()
        yield cloud
