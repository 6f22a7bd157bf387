"""One simulated Meross device on the network: `sim_meross_device` and what it gives."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar, Final

import anyio
import anyio.lowlevel
import anyio.to_thread

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.meross.wire.envelope import Envelope
from structiot.sim.meross.broker import BrokerLink, MerossBroker
from structiot.sim.meross.cloud import MerossCloudSim
from structiot.sim.meross.device import MerossDeviceSim
from structiot.sim.meross.faults import MerossFaults
from structiot.sim.meross.lan import LanHttp
from structiot.sim.meross.models import MerossModel
from structiot.sim.meross.named_faults import NAMED_FAULTS
from structiot.sim.meross.parts.subdevices import Subdevice
from structiot.sim.meross.time_rules import zone_named
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.fault_names import FaultNames
from structiot.sim.shared.host import SimHost, Sockets
from structiot.sim.shared.loads import Load

__all__ = ["MerossRequest", "MerossSim", "sim_meross_device"]

_PUSHES_KEPT: Final = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class MerossRequest:
    """One request that reached a simulated device.

    Attributes:
        transport: `"http"` or `"mqtt"`.
        asked: What it says.
        is_encrypted: Whether it came encrypted.
        at_utc: When, by the simulator's clock.
    """

    transport: str
    asked: Envelope
    is_encrypted: bool
    at_utc: datetime


class MerossSim(SimHost[MerossFaults]):
    """A simulated device, for the one who tests with it; made by `sim_meross_device`.

    Attributes:
        device: What it is, without the sockets.
        http_port: TCP port in the local network.
        requests: The latest requests that reached it.
        pushes: What it has said of itself lately, whether there was a broker or not.
    """

    named_faults: ClassVar[FaultNames] = NAMED_FAULTS

    def __init__(
        self,
        device: MerossDeviceSim,
        *,
        broker: MerossBroker | None,
        http_port: int,
        requests_kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(
            device.lan_host, device.faults, clock=device.clock, environment=environment
        )
        self.device: MerossDeviceSim = device
        self.http_port: int = http_port
        self.requests: deque[MerossRequest] = deque(maxlen=requests_kept)
        self.pushes: deque[Envelope] = deque(maxlen=_PUSHES_KEPT)
        self._changed = anyio.Event()
        self._link: BrokerLink | None = None
        if broker is not None:
            device.server, device.port = broker[0], broker[1]
            self._link = BrokerLink(device, broker, self._note_mqtt, environment)
        device.on_push = self._say
        device.on_pairing = self._connect_anew

    def __repr__(self) -> str:
        return f"<MerossSim {self.label}:{self.http_port}>"

    # ------------------------------------------------------------ the device

    @property
    def uuid(self) -> str:
        """Its identity."""
        return self.device.uuid

    @property
    def mac(self) -> str:
        """Its hardware address, lower case with colons."""
        return self.device.mac

    @property
    def key(self) -> str:
        """What it signs with; empty while it is not set up."""
        return self.device.key

    @property
    def model(self) -> MerossModel:
        """What it is."""
        return self.device.model

    @property
    def subdevices(self) -> Mapping[str, Subdevice]:
        """What is paired with it, by id, if it is a hub."""
        return self.device.subdevices

    @property
    def label(self) -> str:
        """Its model and where it is."""
        return f"{self.device.model.name} {self.host}"

    def pair(self, key: str, user_id: str) -> None:
        """Belong to an account from now on."""
        self.device.pair(key, user_id)

    def unpair(self) -> None:
        """Be as from the factory."""
        self.device.unpair()

    def set_load(self, load: Load | float, channel: int = 0) -> None:
        """Plug a load, or one of so many watts, into an outlet that is metered."""
        self.device.set_load(load, channel)

    def set_state(
        self, namespace: str, fields: Mapping[str, Any], where: object = None
    ) -> None:
        """Let something be different by a physical cause; see `MerossDeviceSim`."""
        self.device.set_state(namespace, fields, where)

    async def press(self, channel: int = 0) -> None:
        """Press the button of a relay: on becomes off, off becomes on."""
        self.device.press(channel)
        await anyio.lowlevel.checkpoint()

    async def open_door(self, channel: int | None = None) -> None:
        """Open a garage door by hand, at once."""
        self.device.move_door(channel, is_open=True)
        await anyio.lowlevel.checkpoint()

    async def close_door(self, channel: int | None = None) -> None:
        """Close a garage door by hand, at once."""
        self.device.move_door(channel, is_open=False)
        await anyio.lowlevel.checkpoint()

    # ------------------------------------------------------------ mains and network

    async def start(self, sockets: Sockets) -> None:
        """Listen in the local network, and let time pass for the device."""
        self.device.lan_host = self.host
        http = LanHttp(self.device, self._note_http)
        self.http_port = await sockets.listen(self.http_port, http.serve)
        self.device.agenda.on_change = self._changed.set
        sockets.tasks.start_soon(self._keep_time)
        if self._link is not None:
            sockets.tasks.start_soon(self._link.run)

    def set_mains(self, *, is_on: bool) -> None:
        """Be without mains, or have it again; every relay is then as it was."""
        self.device.set_mains(is_on=is_on)

    async def _keep_time(self) -> None:
        while True:
            self._changed = anyio.Event()
            self.device.agenda.on_change = self._changed.set
            self.device.settle()
            wait_s = self.device.agenda.wait_s()
            with anyio.move_on_after(wait_s):
                await self._changed.wait()

    def _say(self, message: Envelope) -> None:
        self.pushes.append(message)
        if self._link is not None and self.is_plugged_in:
            self._link.say(message)

    def _connect_anew(self) -> None:
        if self._link is not None:
            self._link.restart()

    def _note_http(self, asked: Envelope, is_encrypted: bool) -> None:  # noqa: FBT001
        self._note(asked, "http", is_encrypted=is_encrypted)

    def _note_mqtt(self, asked: Envelope) -> None:
        self._note(asked, "mqtt", is_encrypted=False)

    def _note(self, asked: Envelope, transport: str, *, is_encrypted: bool) -> None:
        self.requests.append(
            MerossRequest(
                transport=transport,
                asked=asked,
                is_encrypted=is_encrypted,
                at_utc=self.clock.utc(),
            )
        )


@asynccontextmanager
async def sim_meross_device(
    host: str = "192.168.1.60",
    *,
    model: MerossModel | str = "mss310",
    uuid: str | None = None,
    key: str = MerossDeviceSim.default_key,
    user_id: str = "123456",
    name: str | None = None,
    encrypted: bool | None = None,
    loads: Sequence[Load | float] = (),
    cloud: MerossCloudSim | None = None,
    broker: MerossBroker | None = None,
    timezone: str = "UTC",
    http_port: int = 80,
    clock: SimClock | None = None,
    requests_kept: int = 1000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossSim]:
    """Simulate a Meross device for the length of the block.

    It answers in the local network as its model does, and with a broker it is
    connected to that, as a device is to its cloud: it announces itself, answers where a
    request says, and tells whatever changes. What it does later (a door that opens, a
    valve that wakes up) it does by the event loop's clock.

    Args:
        host: Address it has; on Linux all of 127.0.0.0/8 is free to use.
        model: A model, or the name of one in `MEROSS_MODELS`.
        uuid: Its identity, of 32 characters; made from model and host by default.
        key: The key of the account that it was set up with.
        user_id: The account.
        name: What its owner calls it; the model by default.
        encrypted: Whether it is encrypted in the local network; as its model by default.
        loads: What its outlets feed, load by load or in watts.
        cloud: A simulated cloud whose account it is set up with: it is bound to that, and
            key, account and broker are the cloud's. When the block ends it is offline
            there, but still bound.
        broker: Host, port and TLS settings of its broker, these None without TLS; None
            leaves it in the local network alone.
        timezone: IANA name of its time zone, at whose midnight its days begin.
        http_port: TCP port; 0 takes a free one, see `MerossSim.http_port`.
        clock: The clock it lives by; wall time by default.
        requests_kept: How many of the latest requests `MerossSim.requests` holds.
        environment: Where its sockets are, and which time it is; the system's by default.

    Raises:
        ConnectFailed: The address or the port cannot be bound.
        UsageError: No such model or time zone, too many loads, or an argument of another
            class.
    """
    check_place(host, http_port, clock, requests_kept, environment)
    check_identity(key, user_id, broker, encrypted=encrypted)
    check_argument("model", model, MerossModel, str)
    check_argument("uuid", uuid, str, None)
    check_argument("name", name, str, None)
    check_items("loads", loads, Load, float, write="loads=[60]")
    check_argument("cloud", cloud, MerossCloudSim, None)
    check_argument("timezone", timezone, str)
    if timezone != "UTC":
        await anyio.to_thread.run_sync(zone_named, timezone)
    device = MerossDeviceSim(
        model,
        uuid=uuid,
        key=key if cloud is None else cloud.key,
        user_id=user_id if cloud is None else cloud.user_id,
        name=name,
        is_encrypted=encrypted,
        loads=loads,
        lan_host=host,
        timezone=timezone,
        clock=clock or SimClock(environment.now_utc()),
    )
    sim = MerossSim(
        device,
        broker=broker if cloud is None else _bound(device, cloud, name),
        http_port=http_port,
        requests_kept=requests_kept,
        environment=environment,
    )
    async with sim:
        yield sim


def _bound(
    device: MerossDeviceSim, cloud: MerossCloudSim, name: str | None
) -> MerossBroker:
    """Bind a device to the account, unless it is; give the broker that it belongs to."""
    model = device.model
    if device.uuid not in cloud.devices:
        cloud.register(
            uuid=device.uuid,
            name=name or model.name,
            device_type=model.type,
            sub_type=model.sub_type,
            channels=model.channels,
            firmware=model.firmware,
            hardware=model.hardware,
            mac=device.mac,
            subdevices=[
                {"subDeviceId": sub_id, "subDeviceType": kind, "subDeviceName": ""}
                for kind, sub_id in model.subdevices
            ],
        )
    broker = cloud.broker_of(device.uuid)
    return broker.host, broker.port, _trusting_any() if broker.is_tls else None


def _trusting_any() -> ssl.SSLContext:
    # As devices are: they look at no certificate.
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def check_place(
    host: object,
    http_port: object,
    clock: object,
    requests_kept: object,
    environment: object,
) -> None:
    """See that arguments that say where a device is are of the classes they should be."""
    check_argument("host", host, str)
    check_argument("http_port", http_port, int)
    check_argument("clock", clock, SimClock, None)
    check_argument("requests_kept", requests_kept, int)
    check_argument("environment", environment, Environment)


def check_identity(
    key: object, user_id: object, broker: object, *, encrypted: object
) -> None:
    """See the same of those that say whose it is."""
    check_argument("key", key, str)
    check_argument("user_id", user_id, str)
    check_argument("broker", broker, tuple, None, write='("host", 8883, ssl_context)')
    check_argument("encrypted", encrypted, bool, None)
