"""Requests to devices through the cloud's brokers, and what devices tell of themselves.

Facts: reference 2.1 to 2.6. Devices of one account are on several brokers; to each there
is one connection, which is opened when it is first needed and then kept. Answers come on
a topic of this program alone, and count if they are signed and of the device that was
asked; what devices tell comes on a topic of the user.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import Final, NamedTuple

import anyio
from anyio.abc import TaskGroup

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot.errors import ConnectFailed, StructiotError, UsageError
from structiot.meross.link.broker import Account, BrokerLink, Counts, Pushed
from structiot.meross.wire.envelope import ANSWERS, Envelope, Method, Payload
from structiot.mqtt import Messages

__all__ = ["BrokerPlace", "Brokers", "open_brokers"]

_MOST_BROKERS: Final = 32

_log = logging.getLogger(__name__)


class BrokerPlace(NamedTuple):
    """Where a broker is."""

    host: str
    port: int


class Brokers:
    """The connections of one account; made by `open_brokers`.

    Attributes:
        account: Whose they are; see `use_key`.
        counts: What came and was not taken, of all of them.
    """

    def __init__(
        self,
        account: Account,
        tg: TaskGroup,
        *,
        on_push: Pushed,
        on_connected: Callable[[BrokerPlace], None],
        on_lost: Callable[[BrokerPlace, StructiotError], None],
        override: BrokerPlace | None,
    ) -> None:
        self.account: Account = account
        self.counts: Counts = Counts()
        self._tg = tg
        self._on_push = on_push
        self._on_connected = on_connected
        self._on_lost = on_lost
        self._override = override
        self._links: dict[BrokerPlace, BrokerLink] = {}
        self._running: dict[BrokerPlace, anyio.CancelScope] = {}

    def place_of(self, broker: tuple[str, int]) -> BrokerPlace:
        """Give the broker that stands for one of the cloud's."""
        return self._override or BrokerPlace(*broker)

    def connect(self, place: BrokerPlace) -> None:
        """Have a connection to a broker, so that what devices tell there is heard.

        Beyond 32 brokers there is none; `ready` says so to whoever needs it.
        """
        with suppress(ConnectFailed):
            self._link_to(place)

    def keep_only(self, places: Iterable[tuple[str, int]]) -> None:
        """Give up the connections to all brokers but these."""
        wanted = {self.place_of(place) for place in places}
        for place in self._links.keys() - wanted:
            del self._links[place]
            self._running.pop(place).cancel()

    def use_key(self, key: str) -> None:
        """Sign by another key, and connect anew with it where that is asked for."""
        self.account = replace(self.account, key=key)
        self.keep_only(())

    def is_connected(self, place: BrokerPlace) -> bool:
        """Whether a broker can be reached now."""
        link = self._links.get(self.place_of(place))
        return link is not None and link.is_ready

    @property
    def connected(self) -> dict[BrokerPlace, bool]:
        """Whether each of the brokers can be reached now."""
        return {place: link.is_ready for place, link in self._links.items()}

    @property
    def is_refused(self) -> bool:
        """Whether a broker has refused us, which waits for `unpark`."""
        return any(link.is_parked for link in self._links.values())

    def unpark(self) -> None:
        """Try again to connect where that was given up, as with another key."""
        for link in self._links.values():
            link.unpark()

    async def ready(self, place: BrokerPlace, *, timeout_s: float) -> None:
        """Wait for the connection to a broker, and open it if there is none.

        Raises:
            AuthRefused: The broker does not accept the account; it is not asked again.
            CertificateRefused: Its certificate is not accepted.
            ConnectFailed: There is no connection in time.
        """
        await self._link_to(place).ready(timeout_s)

    @asynccontextmanager
    async def overhear(
        self, place: BrokerPlace, topic: str, *, timeout_s: float = 10.0
    ) -> AsyncGenerator[Messages]:
        """Hear what others say on a topic of a broker, for the length of the block.

        Yields:
            The messages as they are: neither read nor verified.

        Raises:
            SubscribeRefused: The broker lets the account not hear that.
            LinkLost: The connection was given up meanwhile.
            As `ready`: There is no connection.
        """
        link = self._link_to(place)
        await link.ready(timeout_s)
        async with link.overhear(topic) as messages:
            yield messages

    async def request(
        self,
        place: BrokerPlace,
        uuid: str,
        method: Method,
        namespace: str,
        payload: Payload | None = None,
        *,
        timeout_s: float = 10.0,
    ) -> Envelope:
        """Ask a device something within a time for all of it; see `Router.request`.

        It is signed when there is a connection, not before.
        """
        if method not in ANSWERS:
            raise UsageError(f"{method} is no request")
        link = self._link_to(place)
        begun_at = anyio.current_time()
        await link.ready(timeout_s)
        left_s = timeout_s - (anyio.current_time() - begun_at)
        return await link.request(uuid, method, namespace, payload or {}, left_s)

    def _link_to(self, place: BrokerPlace) -> BrokerLink:
        place = self.place_of(place)
        link = self._links.get(place)
        if link is None:
            if len(self._links) >= _MOST_BROKERS:
                message = f"more than {_MOST_BROKERS} brokers for one account"
                raise ConnectFailed(message, host=place.host, port=place.port)
            link = self._links[place] = BrokerLink(
                self.account,
                *place,
                counts=self.counts,
                on_push=self._on_push,
                on_connected=lambda: self._on_connected(place),
                on_lost=lambda error: self._on_lost(place, error),
            )
            scope = self._running[place] = anyio.CancelScope()
            name = f"structiot.meross broker {place.host}"
            self._tg.start_soon(_run, link, scope, name=name)
        return link


async def _run(link: BrokerLink, scope: anyio.CancelScope) -> None:
    with scope:
        await link.run()


@asynccontextmanager
async def open_brokers(
    user_id: str,
    key: str,
    app_id: str,
    *,
    on_push: Pushed,
    on_connected: Callable[[BrokerPlace], None],
    on_lost: Callable[[BrokerPlace, StructiotError], None],
    override: tuple[str, int] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    is_tls: bool = True,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Brokers]:
    """Keep connections to an account's brokers for the length of the block.

    What is lost is opened again; a login that is refused is not repeated, see
    `Brokers.unpark`. The callbacks must neither wait nor raise.

    Args:
        user_id: Whose account it is.
        key: The account's key.
        app_id: The id of this program, see `app_id_of`.
        on_push: Is given what devices, and the cloud for them, tell of themselves:
            verified, and each message once.
        on_connected: Is told each time that a broker has accepted us; what was told
            meanwhile is lost, so that states want to be asked again.
        on_lost: Is told when a connection is lost, and when none can be made.
        override: Another broker instead of all.
        ssl_context: Whom to trust; the system's authorities by default.
        is_tls: False connects without TLS.
        environment: Network, clock and chance.

    Yields:
        The connections, none at first.
    """
    account = Account(
        user_id=user_id,
        key=key,
        app_id=app_id,
        ssl_context=ssl_context,
        is_tls=is_tls,
        environment=environment,
    )
    async with service_group() as tg:
        yield Brokers(
            account,
            tg,
            on_push=on_push,
            on_connected=on_connected,
            on_lost=on_lost,
            override=BrokerPlace(*override) if override is not None else None,
        )
