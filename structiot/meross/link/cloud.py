"""The account in the cloud, and what can be asked of it.

    async with open_cloud(email="me@example.org", password=password, store=store) as cloud:
        for device in await cloud.devices():
            print(device.name, device.status)

How the token is kept and healed: `structiot.meross.link.session`.
"""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Final

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.redact import Secret
from structiot.errors import (
    ConfigError,
    ProtocolViolation,
)
from structiot.meross.credentials import Credentials, CredentialStore, MemoryStore
from structiot.meross.link.cloud_http import base_url_of, open_cloud_http
from structiot.meross.link.http_stats import HttpStats
from structiot.meross.link.session import CloudSession
from structiot.meross.link.sign_in import Login, MfaCallback, SignInAttempts
from structiot.meross.wire.cloud import Path
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


class MerossCloud:
    """An account's HTTP; made by `open_cloud`, and safe to use from several tasks."""

    def __init__(self, session: CloudSession) -> None:
        self._session = session

    def __repr__(self) -> str:
        return f"<MerossCloud of {self._session.account or 'nobody known'}>"

    @property
    def credentials(self) -> Credentials:
        """Token, key and user; others after each sign-in.

        Raises:
            UsageError: It was logged out.
        """
        return self._session.credentials

    def stats(self, *, time_window: timedelta = _MINUTE) -> HttpStats:
        """Count the requests of the last time; the last thousand are remembered.

        Args:
            time_window: How far to look back.
        """
        return self._session.stats(time_window)

    async def sign_in(self) -> None:
        """Sign in, unless there is a token.

        Raises:
            AuthRefused: Refused, now or before; it is not tried again within the block.
            ConfigError: There is no password.
            StructiotError: See `structiot.meross.errors`, and those of the network. After
                three failures it is tried once a minute, and the last error raised
                meanwhile.
        """
        await self._session.sign_in()

    async def devices(self) -> tuple[CloudDevice, ...]:
        """List the account's devices.

        Raises:
            ProtocolViolation: The reply has no list, which does not mean that there are
                no devices.
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        reply = await self._session.call(Path.DEVICES, {})
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
        reply = await self._session.call(Path.SUBDEVICES, {"uuid": hub_uuid})
        return read_subdevices(reply.items)

    async def firmware_versions(self) -> tuple[FirmwareVersion, ...]:
        """List the newest firmware for the account's models; once a week is enough.

        Raises:
            StructiotError: See `structiot.meross.errors`, and those of the network.
        """
        return read_firmware_versions(
            (await self._session.call(Path.FIRMWARE, {})).items
        )

    async def log_out(self) -> None:
        """Give the token back, and forget it; it was of use to the end of the block.

        A token that the cloud does not know any more is forgotten as well. Logged out
        already, it does nothing.

        Raises:
            StructiotError: The cloud did not take it back, or the store did not forget it.
        """
        await self._session.log_out()


@asynccontextmanager
async def open_cloud(
    *,
    email: str | None = None,
    password: str | Secret | None = None,
    mfa: MfaCallback | None = None,
    store: CredentialStore | None = None,
    url: str = DEFAULT_URL,
    country: str = "us",
    reply_s: float = 20.0,
    ssl_context: ssl.SSLContext | None = None,
    attempts: SignInAttempts | None = None,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossCloud]:
    """Open an account in the cloud; signs in only where the store has no token.

    Leaving the block does not log out: the token is kept for the next time.

    Args:
        email: The account; by default that of the kept token.
        password: Its password; without one a token has to be kept, and is not healed.
        mfa: Gives a one-time code, if the account wants one; asked once a sign-in, and
            waited for for five minutes.
        store: Keeps the token; by default it is lost with the block.
        url: Where to sign in; another region is found from any.
        country: The account's country, for the sign-in.
        reply_s: Longest wait for each reply.
        ssl_context: For https; verifies by default.
        attempts: What became of earlier attempts; whoever opens the account again and
            again gives the same one each time.
        environment: Network, clock, chance.

    Raises:
        ConfigError: No way to sign in, the store holds another account's token or cannot
            be read, or no URL.
        AuthRefused: Wrong password, one-time code, too many tokens, banned: see
            `structiot.meross.errors`.
        StructiotError: The same, and those of the network.
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
            f"the token that is kept is {kept.email}'s, not {email}'s: log that one out, "
            "or give this one a store of its own"
        )
        raise ConfigError(message)
    email = email or (kept.email if kept else "")
    login = None
    if password and email:
        secret = password if isinstance(password, Secret) else Secret(password)
        _check_text(secret)
        login = Login(email=email, password=secret, country=country, mfa=mfa)
    if kept is None and login is None:
        message = (
            "Meross's cloud: give email= and password=, or a store that has a token"
        )
        raise ConfigError(message)
    attempts = attempts or SignInAttempts()
    attempts.reopened()
    async with open_cloud_http(
        environment, reply_s=reply_s, ssl_context=ssl_context
    ) as http:
        session = CloudSession(
            http,
            url=base,
            login=login,
            store=store,
            credentials=kept,
            attempts=attempts,
            environment=environment,
        )
        await session.sign_in()
        yield MerossCloud(session)


def _check_text(password: Secret) -> None:
    try:
        password.reveal().encode()
    except UnicodeEncodeError:
        # The error itself holds the password.
        message = "Meross's cloud: a password with half a character in it"
    else:
        return
    raise ConfigError(message)
