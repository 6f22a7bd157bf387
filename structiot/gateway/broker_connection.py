"""The gateway's client of its broker, one after another.

    opening --- first client ---> served <--- change, try_again ---+
                                    |                              |
                                    +--- a final refusal ---> parked
    served, parked --- leave ---> over

While it is served, the client itself heals what is lost. What a retry cannot cure (a
refused login, a certificate that is not trusted) parks the connection, and the devices go
on without it; other settings or a word to try again open another client. One task, `run`,
goes from state to state; it is shielded, as a goodbye needs a connection, so `leave` is
always called.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TypeAlias

import anyio

from structiot._kit.environment import Environment
from structiot.errors import InternalError, StructiotError
from structiot.gateway.config import GatewayConfig
from structiot.gateway.entities.topics import OFFLINE, Topics
from structiot.mqtt import MqttClient, MqttConfig, Will, open_mqttclient

__all__ = ["BrokerConnection", "BrokerSettings", "settings_of"]

_RETRY_MAX_S = 30.0
# Our own goodbye has been acknowledged when the client says its.
_CLIENT_GOODBYE_S = 1.0
# What was published while we were away for longer is not done late.
_SESSION_S = 15

# Serves a client until the event is set, says goodbye, and returns.
Serve: TypeAlias = Callable[[MqttClient, anyio.Event], Awaitable[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerSettings:
    """How the broker is reached."""

    uri: str = field(repr=False)
    client_id: str
    config: MqttConfig


def settings_of(config: GatewayConfig, topics: Topics, uri: str) -> BrokerSettings:
    """Give how a broker at an address is reached under a configuration."""
    mqtt = config.mqtt
    client = MqttConfig(
        username=mqtt.username,
        password=mqtt.password,
        cafile=mqtt.ca_file,
        certfile=mqtt.cert_file,
        keyfile=mqtt.key_file,
        keyfile_password=mqtt.key_file_password,
        keep_alive=mqtt.keep_alive_s,
        session_expiry_s=_SESSION_S,
        will=Will(
            topic=topics.gateway_availability,
            payload=OFFLINE.encode(),
            qos=1,
            retain=True,
        ),
        reconnect_retries=-1,
        reconnect_max_interval=_RETRY_MAX_S,
        retry_refused=mqtt.retry_refused,
        goodbye_s=min(_CLIENT_GOODBYE_S, config.gateway.goodbye_s),
        offline_qos0="drop",
    )
    client_id = mqtt.client_id or f"structiot-{config.gateway.id}"
    return BrokerSettings(uri=uri, client_id=client_id, config=client)


class BrokerConnection:
    """Keeps a client of the broker.

    Attributes:
        settings: How the broker is reached.
        client: The present client; None while there is none.
        is_parked: It is not tried again before a change or a word.
        is_leaving: It is over, for good.
    """

    def __init__(self, settings: BrokerSettings, environment: Environment) -> None:
        self.settings: BrokerSettings = settings
        self.client: MqttClient | None = None
        self.is_parked: bool = False
        self._environment = environment
        self._has_opened = anyio.Event()
        self._next = anyio.Event()
        self.is_leaving: bool = False
        self._uri = settings.uri

    @property
    def is_connected(self) -> bool:
        """Whether the broker has accepted the gateway."""
        return self.client is not None and self.client.is_connected

    @property
    def comes_back(self) -> bool:
        """Whether the next client, if there is one, is of the same broker."""
        return not self.is_leaving and self.settings.uri == self._uri

    def change(self, settings: BrokerSettings) -> None:
        """Say goodbye to the broker and go to another, or to the same otherwise."""
        if settings != self.settings:
            self.settings = settings
            self._next.set()

    def try_again(self) -> None:
        """Connect again if it is parked."""
        if self.is_parked:
            self._next.set()

    def leave(self) -> None:
        """Say goodbye and end."""
        self.is_leaving = True
        self._next.set()

    async def opened(self) -> None:
        """Wait until there has been a client, connected or not."""
        await self._has_opened.wait()

    async def run(self, serve: Serve, parked: Callable[[StructiotError], None]) -> None:
        """Keep a client until `leave` is called.

        Args:
            serve: What is done with each client.
            parked: Told why there is none for now.

        Raises:
            ConfigError: The first client cannot be opened with such settings.
        """
        with anyio.CancelScope(shield=True):
            while not self.is_leaving:
                self._next = anyio.Event()
                try:
                    async with self._opened() as client:
                        self._has_opened.set()
                        await serve(client, self._next)
                except StructiotError as exc:
                    # An InternalError is nobody's refusal.
                    is_first = not self._has_opened.is_set()
                    if is_first or isinstance(exc, InternalError):
                        raise
                    self.is_parked = True
                    parked(exc)
                    await self._next.wait()
                    self.is_parked = False

    @asynccontextmanager
    async def _opened(self) -> AsyncGenerator[MqttClient]:
        settings = self.settings
        self._uri = settings.uri
        async with open_mqttclient(
            settings.uri,
            settings.client_id,
            settings.config,
            wait_connected=False,
            environment=self._environment,
        ) as client:
            self.client = client
            try:
                yield client
            finally:
                self.client = None
