"""SEPL's platform: one websocket a connection, requests and answers tied by tokens."""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import place
from structiot._kit.net.tls import client_context
from structiot._kit.streams import StreamOpener
from structiot._kit.websocket import WebSocket
from structiot.connector.config import ConnectorConfig
from structiot.connector.link.sepl_session import SeplSession, not_offered
from structiot.connector.platform import Incoming
from structiot.connector.wire.envelope import MAX_FRAME_BYTES, Hello
from structiot.errors import AuthRefused, ConnectFailed, LinkLost

__all__ = ["SeplPlatform"]

_CONNECT_S: Final = 15.0
_GOODBYE_S: Final = 2.0
# Going away, an error inside, a restart, too busy, and the same of what it stands behind.
_GOING_DOWN: Final = frozenset({1001, 1011, 1012, 1013, 1014})

_log: Final = logging.getLogger("structiot.connector")


class SeplPlatform:
    """A SEPL platform as it was configured.

    Args:
        config: Where it is, and who we are there.
        environment: Network, clock and chance.
        save_gid: Stores the id of the gateway, when the platform has made one.
        tls: Whom to trust; the system's authorities if None.

    Attributes:
        name: For messages.
        gid: The gateway that we are there; empty until there is one.
        backoff: How long to wait between connections.
    """

    def __init__(
        self,
        config: ConnectorConfig,
        environment: Environment,
        save_gid: Callable[[str], Awaitable[None]],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.name: str = f"SEPL platform {place(config.host, config.port)}"
        self.backoff: Backoff = Backoff(first_s=1.0, cap_s=300.0, stable_s=5.0)
        self._config = config
        self._streams = StreamOpener(environment.network, tls=tls or client_context)
        self._save_gid = save_gid
        self._random = environment.random
        self.gid: str = config.gid
        self._was_accepted = False

    def check_event(
        self,
        device_id: str,  # noqa: ARG002 - see there
        service: str,  # noqa: ARG002
        *,
        is_held: bool,
        was_held: bool,  # noqa: ARG002
    ) -> None:
        """Refuse an event of a device that will not be offered; see `Platform`."""
        if not is_held:
            raise not_offered()

    @asynccontextmanager
    async def session(
        self,
        on_command: Callable[[Incoming], None],
        on_authenticating: Callable[[], None],
    ) -> AsyncGenerator[SeplSession]:
        """Connect and authenticate; see `Platform.session`.

        A platform that refuses the credentials hangs up without a word. So one that closes
        the websocket before it has answered is taken to have refused them, unless it says
        that it goes down, and also one whose connection merely ends, as long as it has
        never accepted them.
        """
        websocket = await self._connect()
        on_authenticating()
        session = SeplSession(websocket, on_command, self._random)
        try:
            async with service_group() as tg:
                session.start(tg)
                await self._authenticate(session, websocket)
                yield session
        finally:
            session.end(LinkLost("the connection was closed by the connector"))
            with anyio.move_on_after(_GOODBYE_S, shield=True):
                await websocket.aclose(reason="closed by client")

    async def _connect(self) -> WebSocket:
        host, port = self._config.host, self._config.port
        with anyio.move_on_after(_CONNECT_S):
            return await self._streams.open_websocket(
                host,
                port,
                is_tls=self._config.encryption,
                max_message_bytes=MAX_FRAME_BYTES,
            )
        message = f"no websocket of {self.name} within {_CONNECT_S:g} s"
        raise ConnectFailed(message, host=host, port=port)

    async def _authenticate(self, session: SeplSession, websocket: WebSocket) -> None:
        config = self._config
        try:
            welcome = await session.authenticate(
                Hello(config.user, config.password, self.gid)
            )
        except LinkLost as exc:
            code = websocket.close_code
            is_cut = code is None and self._was_accepted
            if is_cut or code in _GOING_DOWN:
                raise
            raise AuthRefused(
                f"the {self.name} hung up when it was told user and password, as it does "
                "where they are wrong, without a word",
                account=config.user,
            ) from exc
        self._was_accepted = True
        if welcome.gid != self.gid:
            session.forget_committed()
            self.gid = welcome.gid
            # Else a gateway would be left over; bounded by who writes a file.
            with anyio.CancelScope(shield=True):
                await self._save_gid(welcome.gid)
