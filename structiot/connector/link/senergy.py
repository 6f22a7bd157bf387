"""SENERGY's platform: tokens and a hub by HTTP, then one MQTT connection a session.

    tokens --> hub (found by its id, or made once) --> MQTT as that hub --> session

A session is both sides: when one of them is lost it has ended, so that the next one
compares all again. Facts: reference 13 to 16.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from http import HTTPStatus
from typing import Final

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.backoff import Backoff
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import place
from structiot._kit.text import printable
from structiot.connector.config import ConnectorConfig
from structiot.connector.errors import PlatformRefused
from structiot.connector.link.senergy_api import SenergyApi, open_senergy_api
from structiot.connector.link.senergy_session import (
    SenergySession,
    check_id,
    no_such_device,
)
from structiot.connector.platform import Incoming
from structiot.connector.wire.senergy import JsonObject
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    RateLimited,
)
from structiot.mqtt import (
    MqttClient,
    MqttConfig,
    MqttConnectRefused,
    open_mqttclient,
)

__all__ = ["SenergyPlatform"]

_KEEP_ALIVE_S: Final = 20
# After so long without connecting the platform begins to count anew.
_REST_S: Final = 30.0
# The broker lets one program at a time be a hub, and does not say why the other goes.
_BRIEF_S: Final = 300.0
_MOST_BRIEF: Final = 5
_MAX_PACKET_BYTES: Final = 1_048_576

_log: Final = logging.getLogger("structiot.connector")


class SenergyPlatform:
    """A SENERGY platform as it was configured.

    Args:
        config: Where it is, and who we are there.
        environment: Network, clock and chance.
        save_gid: Stores the id of the hub, when one was made.
        tls: Whom to trust, by HTTP and by MQTT; the system's authorities if None.

    Attributes:
        name: For messages.
        gid: The hub; empty until there is one.
        backoff: How long to wait between connections: more than 10 in a row, each within
            30 s of the one before, are refused.
    """

    def __init__(
        self,
        config: ConnectorConfig,
        environment: Environment,
        save_gid: Callable[[str], Awaitable[None]],
        tls: ssl.SSLContext | None,
    ) -> None:
        self.name: str = f"SENERGY platform {place(config.host, config.port)}"
        self.backoff: Backoff = Backoff(first_s=5.0, factor=1.85, cap_s=120.0)
        self._config = config
        self._environment = environment
        self._save_gid = save_gid
        self.gid: str = config.gid
        self._tls = tls
        # How many sessions in a row did not live for long.
        self._brief = 0

    def check_event(
        self,
        device_id: str,
        service: str,
        *,
        is_held: bool,  # noqa: ARG002 - see there
        was_held: bool,
    ) -> None:
        """Refuse an event that cannot be published; see `Platform.check_event`.

        A device that was disconnected may tell, as the platform has it still.
        """
        check_id("device", device_id)
        check_id("service", service)
        if not was_held:
            raise no_such_device()

    @asynccontextmanager
    async def session(
        self,
        on_command: Callable[[Incoming], None],
        on_authenticating: Callable[[], None],
    ) -> AsyncGenerator[SenergySession]:
        """Log in, find or make the hub, and connect as it; see `Platform.session`.

        User and password are refused by the token end point, in words. A broker that
        refuses them after that has another reason, and is `RateLimited`.
        """
        config, environment = self._config, self._environment
        async with AsyncExitStack() as stack:
            api = await stack.enter_async_context(
                open_senergy_api(config, environment, self._tls)
            )
            await api.token()
            on_authenticating()
            hub = await self._hub(api)
            client = await self._connected(stack, hub["id"])
            session = SenergySession(api, client, hub, on_command, environment)
            stack.callback(session.close)
            tg = await stack.enter_async_context(service_group())
            tg.start_soon(session.run)
            began = anyio.current_time()
            try:
                yield session
            except LinkLost:
                session.check()
                raise
            finally:
                self._ended_after(anyio.current_time() - began)

    def _ended_after(self, lived_s: float) -> None:
        """Say once what may be behind sessions that end again and again."""
        self._brief = self._brief + 1 if lived_s < _BRIEF_S else 0
        if self._brief == _MOST_BRIEF:
            text = (
                "%s: lost soon %d times in a row; is another program the hub %s, too?"
            )
            _log.warning(text, self.name, self._brief, printable(self.gid))

    async def _hub(self, api: SenergyApi) -> JsonObject:
        """Find the hub; make one if there is none (any more)."""
        if self.gid:
            try:
                hub = await api.find_hub(self.gid)
            except PlatformRefused as exc:
                if exc.status != HTTPStatus.FORBIDDEN:
                    raise
                told = printable(self.gid)
                message = f"the hub {told} is somebody else's: take it out of gid"
                raise ConfigError(message) from exc
            if hub is not None:
                return hub
            _log.warning("the hub %s is gone: there will be another", self.gid)
        hub = await api.make_hub(self._config.hub_name)
        with anyio.CancelScope(shield=True):
            # Bounded by who writes a file; else a hub would be left over.
            await self._save_gid(hub["id"])
        self.gid = hub["id"]
        return hub

    async def _connected(self, stack: AsyncExitStack, hub_id: str) -> MqttClient:
        config = self._config
        settings = MqttConfig(
            username=config.user,
            password=config.password,
            protocol="3.1.1",
            keep_alive=_KEEP_ALIVE_S,
            auto_reconnect=False,
            offline_qos0="raise",
            max_packet_bytes=_MAX_PACKET_BYTES,
            ssl_context=self._tls,
        )
        scheme = "mqtts" if config.encryption else "mqtt"
        opening = open_mqttclient(
            f"{scheme}://{place(config.host, config.port)}",
            hub_id,
            settings,
            environment=self._environment,
        )
        try:
            return await stack.enter_async_context(opening)
        except AuthRefused as exc:
            message = (
                "the broker refuses user and password, which the platform itself has just "
                "taken: too many connections in a short time, or it wants something else"
            )
            raise RateLimited(message, retry_after_s=_REST_S) from exc
        except MqttConnectRefused as exc:
            message = f"no connection to the broker: {exc}"
            raise ConnectFailed(message, host=config.host, port=config.port) from exc
