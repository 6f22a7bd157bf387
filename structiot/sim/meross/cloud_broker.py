"""One of the cloud's MQTT brokers: who may connect, and what happens to messages.

Every message of a client is kept back by the broker and handed to the relay, which says
where it goes, counts it and lets it meet its fault. Facts: reference 2.1, 2.2, 2.7, 2.8.
"""

from __future__ import annotations

import re
import ssl
from typing import ClassVar, Final

import anyio
from anyio.abc import TaskStatus

from structiot._kit.environment import Environment
from structiot.errors import AuthRefused
from structiot.meross.wire.mqtt import DEFAULT_PORT, user_topic
from structiot.mqtt import BrokerServer, open_broker
from structiot.mqtt.broker import AuthExchange, BrokerLimits, Identity, Permission
from structiot.sim.meross.cloud_account import CloudAccount, MerossCloudDevice
from structiot.sim.meross.cloud_faults import MerossCloudFaults
from structiot.sim.meross.cloud_relay import CloudRelay
from structiot.sim.shared.fault_names import HOST_FAULTS, FaultNames
from structiot.sim.shared.host import SimHost, Sockets

__all__ = ["MerossBrokerSim"]

_APP: Final = re.compile(r"app:([A-Za-z0-9]{1,64})")
_LIMITS: Final = BrokerLimits(packet_bytes=131_072)


class MerossBrokerSim(SimHost[MerossCloudFaults]):
    """A broker of a simulated cloud, made by `sim_meross_cloud`: `MerossCloudSim.brokers`.

    Whoever unplugs it lets its clients forget their sessions, as after a restart.

    Attributes:
        port: Its port.
    """

    named_faults: ClassVar[FaultNames] = FaultNames(HOST_FAULTS)

    def __init__(
        self,
        account: CloudAccount,
        index: int,
        *,
        host: str,
        port: int,
        ssl_context: ssl.SSLContext | None,
        faults: MerossCloudFaults,
        environment: Environment,
    ) -> None:
        super().__init__(host, faults, clock=account.clock, environment=environment)
        self.port: int = port
        self._account = account
        self._index = index
        self._ssl_context = ssl_context
        self._server: BrokerServer | None = None
        self._relay: CloudRelay | None = None

    @property
    def domain(self) -> str:
        """What `devList` calls it: a host, with a port if that is not 443."""
        is_usual = self.port == DEFAULT_PORT
        return self.host if is_usual else f"{self.host}:{self.port}"

    @property
    def uri(self) -> str:
        """Where MQTT clients connect."""
        return f"mqtt{'s' if self.is_tls else ''}://{self.host}:{self.port}"

    @property
    def is_tls(self) -> bool:
        """Whether it is encrypted."""
        return self._ssl_context is not None

    @property
    def clients(self) -> list[str]:
        """The ids of the clients that are connected."""
        return [] if self._server is None else self._server.clients

    async def start(self, sockets: Sockets) -> None:
        """Run the broker."""
        self.port = await sockets.tasks.start(self._serve)

    async def _serve(self, *, task_status: TaskStatus[int]) -> None:
        try:
            async with open_broker(
                self.uri,
                authenticators={"": self._identify},
                permissions=self._permissions(),
                limits=_LIMITS,
                ssl_context=self._ssl_context,
                sys_interval_s=None,
                environment=self.environment,
            ) as self._server:
                self._relay = relay = CloudRelay(
                    self._account, self._server, self.faults, self.environment.random
                )
                self._server.core.onlooker = relay
                task_status.started(
                    int(self._server.uri.rstrip("/").rpartition(":")[2])
                )
                await relay.run()
        finally:
            self._server = self._relay = None

    # ------------------------------------------------------------ who is let in

    async def _identify(self, exchange: AuthExchange) -> Identity:
        """Let in the account's apps and devices; each gets topics of its own by name."""
        await anyio.lowlevel.checkpoint()
        account, name = self._account, exchange.username or ""
        password = exchange.password or b""
        app = _APP.fullmatch(exchange.client_id)
        if app is not None and account.is_app(name, password):
            if account.is_banned:
                raise AuthRefused("the account is banned", account=name)
            return Identity(username=f"{account.user_id}-{app[1]}")
        for uuid in _uuids_in(exchange.client_id):
            device = account.device_of(uuid, name, password)
            if device is not None and device.broker == self._index:
                return Identity(username=uuid)
        raise AuthRefused("wrong name, password or client id", account=name)

    def _permissions(self) -> list[Permission]:
        own = ["/app/%u/subscribe", "/appliance/%u/subscribe"]
        everybodys = [user_topic(self._account.user_id)]
        hearing = self._account.rules.apps_hear
        if hearing != "own":
            everybodys.append("/appliance/+/subscribe")
        if hearing == "answers":
            everybodys.append("/app/+/subscribe")
        # The relay looks closer at what is published.
        publish = [
            "/appliance/+/subscribe",
            "/appliance/%u/publish",
            "/app/+/subscribe",
        ]
        return [Permission(publish=publish, subscribe=own + everybodys)]

    # ------------------------------------------------------------ for the cloud

    def unbind(self, device: MerossCloudDevice) -> None:
        """Tell apps and the device that it is not the account's any more."""
        if self._relay is not None:
            self._relay.unbind(device)

    def drop_apps(self) -> None:
        """End the connections of all apps."""
        if self._relay is not None:
            self._relay.drop_apps()


def _uuids_in(client_id: str) -> list[str]:
    """Give what the uuid in a device's client id may be: its suffix is free, or missing."""
    if not client_id.startswith("fmware:"):
        return []
    rest = client_id.removeprefix("fmware:")
    return [rest, rest.rpartition("_")[0], rest.partition("_")[0]]
