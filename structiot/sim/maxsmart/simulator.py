"""One simulated strip on the network: `sim_maxsmart` and what it gives."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

import anyio
from anyio.abc import TaskGroup, TaskStatus

from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.network import (
    Address,
    Network,
    TcpListener,
    UdpSocket,
)
from structiot.errors import TransportError, UsageError
from structiot.maxsmart.wire.codec import V3_PREFIX
from structiot.maxsmart.wire.messages import DiscoveryRequest, Request
from structiot.sim._clock import SimClock
from structiot.sim._faults import Fault, FaultKind, spoiled
from structiot.sim._loads import Load, seeded_fraction, steady
from structiot.sim.maxsmart.families import Family, family_named
from structiot.sim.maxsmart.http_server import HttpSide
from structiot.sim.maxsmart.response_faults import MaxSmartFaults
from structiot.sim.maxsmart.responses import (
    Channel,
    Question,
    answer,
    question_of_datagram,
)
from structiot.sim.maxsmart.strip import PortSwitches, Strip

__all__ = ["MaxSmartRequest", "MaxSmartSim", "sim_maxsmart"]

_log = logging.getLogger(__name__)

_DATAGRAM_BYTES = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class MaxSmartRequest:
    """One request that reached a simulated strip.

    Attributes:
        channel: `"discovery"`, `"v3"` or `"http"`.
        asked: What it means; None if the strip does not understand it.
        number: The number of the command, where it has one.
        data: The bytes.
        peer: Who sent it.
        at_utc: When, by the simulator's clock.
    """

    channel: Channel
    asked: Request | DiscoveryRequest | None
    number: int | None
    data: bytes
    peer: Address
    at_utc: datetime


class MaxSmartSim:
    """A simulated strip, for the one who tests with it.

    Attributes:
        family: Its firmware family.
        host: Its address.
        udp_port: UDP port for discovery and V3.
        http_port: TCP port for HTTP; None if the family has none.
        ports: Its relays by number, from 1; setting one is pressing its button.
        faults: What it gets wrong.
        requests: The latest requests that reached it.
        clock: The clock it lives by.
    """

    def __init__(
        self,
        strip: Strip,
        *,
        host: str,
        udp_port: int,
        http_port: int | None,
        clock: SimClock,
        requests_kept: int,
        network: Network,
        tasks: TaskGroup,
    ) -> None:
        self.family: Family = strip.family
        self.host: str = host
        self.udp_port: int = udp_port
        self.http_port = http_port
        self.ports: PortSwitches = PortSwitches(strip)
        self.faults: MaxSmartFaults = MaxSmartFaults()
        self.requests: deque[MaxSmartRequest] = deque(maxlen=requests_kept)
        self.clock = clock
        self._strip = strip
        self._network = network
        self._tasks = tasks
        self._mains: anyio.CancelScope | None = None
        self._is_off = anyio.Event()
        self._udp: UdpSocket | None = None
        self._late: TaskGroup | None = None

    # ------------------------------------------------------------ the device

    @property
    def serial(self) -> str:
        """Its serial."""
        return self._strip.serial

    @property
    def name(self) -> str:
        """Its name, which clients may change."""
        return self._strip.name

    @property
    def port_names(self) -> tuple[str, ...]:
        """The names of its ports, in order."""
        return tuple(self._strip.port_names)

    @property
    def is_plugged_in(self) -> bool:
        """Whether it is on the network."""
        return self._udp is not None

    def power_w(self, port: int) -> float:
        """Give the power that a port delivers at this moment, in watts."""
        return self._strip.power_w(self._strip.index(port))

    def energy_wh(self, port: int) -> float:
        """Give the energy that a port has delivered so far, in watt-hours."""
        return self._strip.energy_wh(self._strip.index(port))

    def set_load(self, port: int, load: Load | float) -> None:
        """Plug a load, or one of exactly so many watts, into a port."""
        plugged = steady(load) if isinstance(load, int | float) else load
        self._strip.set_load(self._strip.index(port), plugged)

    def set_tariff(self, price: str, currency: int) -> None:
        """Set the price of a kilowatt-hour that statistics report."""
        self._strip.price, self._strip.currency = price, currency

    def local_time(self) -> datetime:
        """Give what the strip's own clock shows."""
        return self._strip.local_time()

    def set_local_time(self, local: datetime) -> None:
        """Set the strip's own clock."""
        self._strip.set_clock(local, self._strip.zone_h)

    def jump_clock(self, seconds: float) -> None:
        """Let the strip's own clock jump, ahead or back."""
        self.set_local_time(self.local_time() + timedelta(seconds=seconds))

    def forget_energy(self) -> None:
        """Empty its statistics, as a reset to factory settings does."""
        self._strip.forget_energy()

    def become(self, serial: str) -> None:
        """Be another device at the same address: other identifiers, factory's names."""
        self._strip.become(serial)

    async def press(self, port: int) -> None:
        """Press the button of a port: on becomes off, off becomes on."""
        self.ports[port] = not self.ports[port]
        await anyio.lowlevel.checkpoint()

    # ------------------------------------------------------------ mains and network

    async def unplug(self) -> None:
        """Take it off the network; returns when its sockets are closed."""
        if self._mains is not None:
            self._mains.cancel()
            await self._is_off.wait()

    async def plug_in(self, host: str | None = None) -> None:
        """Put it back on the network, at its old ports and at this address.

        Raises:
            ConnectFailed: The address or a port is taken.
        """
        if self._mains is not None:
            message = f"{self.serial} is plugged in"
            raise UsageError(message)
        self.host = self.host if host is None else host
        await self._tasks.start(self._run, name=f"structiot.sim {self.serial}")

    async def reboot(self, down_s: float = 3.0) -> None:
        """Be off the network for a while, with every relay and load as it was."""
        await self.unplug()
        await anyio.sleep(down_s)
        await self.plug_in()

    async def power_cut(self, down_s: float, *, loses_clock: bool = True) -> None:
        """Be without mains for a while: neither there nor drawing anything.

        Every relay is then as it was. Whether a clock survives is not known of any
        family; one that does not begins in the year 2000, until a discovery sets it.
        """
        await self.unplug()
        self._strip.set_mains(is_on=False)
        await anyio.sleep(down_s)
        self._strip.set_mains(is_on=True)
        if loses_clock:
            self._strip.lose_clock()
        await self.plug_in()

    async def _run(self, *, task_status: TaskStatus[None]) -> None:
        self._is_off = anyio.Event()
        try:
            with anyio.CancelScope() as self._mains:
                async with AsyncExitStack() as sockets:
                    udp = await sockets.enter_async_context(
                        self._network.open_udp(self.host, self.udp_port)
                    )
                    self.udp_port = udp.address[1]
                    listener = await self._bound_listener(sockets)
                    async with service_group() as tasks:
                        self._udp, self._late = udp, tasks
                        if listener is not None:
                            http = HttpSide(self._strip, self.faults, self._note)
                            tasks.start_soon(listener.serve, http.serve)
                        task_status.started()
                        while True:
                            await self.hear(*await udp.receive())
        finally:
            self._mains = self._udp = self._late = None
            self._is_off.set()

    async def _bound_listener(self, sockets: AsyncExitStack) -> TcpListener | None:
        if self.http_port is None:
            return None
        listener = await sockets.enter_async_context(
            self._network.listen_tcp(self.host, self.http_port)
        )
        self.http_port = listener.address[1]
        return listener

    def _note(self, question: Question, data: bytes, peer: Address) -> None:
        self.requests.append(
            MaxSmartRequest(
                channel=question.channel,
                asked=question.asked,
                number=question.number,
                data=data,
                peer=peer,
                at_utc=self.clock.utc(),
            )
        )

    # ------------------------------------------------------------ datagrams

    async def hear(self, data: bytes, peer: Address) -> None:
        """Treat a datagram as if it had reached the strip, by broadcast for instance."""
        if self._udp is None:
            return
        question = question_of_datagram(data)
        self._note(question, data, peer)
        fault = self.faults.take(question.words)
        if fault is not None and fault.kind in {FaultKind.DROP, FaultKind.HANG_UP}:
            return
        is_refused = fault is not None and fault.kind is FaultKind.REFUSE
        content = answer(self._strip, question, self.faults, is_refused=is_refused)
        if content is None or (
            fault is not None and fault.kind is FaultKind.LOSE_REPLY
        ):
            return
        datagram = _framed(question, fault, content)
        copies = 2 if fault is not None and fault.kind is FaultKind.DUPLICATE else 1
        delay_s = self.faults.delay_s + (fault.delay_s if fault is not None else 0.0)
        if delay_s > 0 and self._late is not None:
            self._late.start_soon(self._send, datagram, peer, copies, delay_s)
        else:
            await self._send(datagram, peer, copies)

    async def _send(
        self, datagram: bytes, peer: Address, copies: int, delay_s: float = 0.0
    ) -> None:
        await anyio.sleep(delay_s)
        try:
            async with AsyncExitStack() as sockets:
                udp = self._udp
                if self.faults.reply_from is not None:
                    udp = await sockets.enter_async_context(
                        self._network.open_udp(self.faults.reply_from, self.udp_port)
                    )
                for _ in range(copies):
                    if udp is not None:
                        await udp.send(datagram, *peer)
        except TransportError as exc:
            _log.warning("%s: reply to %s:%d lost: %s", self.serial, *peer, exc)


def _framed(question: Question, fault: Fault | None, content: bytes) -> bytes:
    if fault is not None and fault.kind is FaultKind.FRAME and fault.change is not None:
        return fault.change(content)
    content = spoiled(fault, content)
    if fault is not None and fault.kind is FaultKind.CUT:
        content = content[: len(content) // 2]
    datagram = V3_PREFIX + content if question.channel == "v3" else content
    # A device has a buffer of this size; only a fault may ask for more.
    return datagram if fault is not None else datagram[:_DATAGRAM_BYTES]


@asynccontextmanager
async def sim_maxsmart(
    host: str = "127.0.0.1",
    *,
    family: Family | str = "mh_strip_130",
    serial: str | None = None,
    name: str | None = None,
    http_port: int = 80,
    udp_port: int = 8888,
    loads: Sequence[Load | float] | None = None,
    seed: int = 0,
    clock: SimClock | None = None,
    utc_offset_h: int = 1,
    history: timedelta = timedelta(0),
    requests_kept: int = 1000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MaxSmartSim]:
    """Simulate a MaxSmart or Revogi strip or plug for the length of the block.

    It answers discovery, HTTP commands and V3 frames as its firmware family does, all
    relays on at first. Loads vary over time, the energy of every hour, day and month
    agrees with the power that was drawn, and the same arguments give the same
    figures at the same time. The ports below 1024 need a privilege of the system.

    Broadcasts reach only a strip whose host is the wildcard address; use
    `sim_maxsmart_broadcast` or `sim_maxsmart_fleet` beside strips with their own.

    Args:
        host: Address it has; on Linux all of 127.0.0.0/8 is free to use.
        family: Firmware family, or the name of one in `FAMILIES`.
        serial: Its serial; made from family, seed and host by default.
        name: Its name; what the factory gave it by default.
        http_port: TCP port; 0 takes a free one, see `MaxSmartSim.http_port`.
        udp_port: UDP port; 0 takes a free one, see `MaxSmartSim.udp_port`.
        loads: What is plugged in, port by port: loads or watts. A household of lamps,
            fridges and the like by default.
        seed: Which household.
        clock: The clock it lives by; wall time by default.
        utc_offset_h: The time zone its own clock is set to at first, in hours.
        history: How long it has been drawing power when the block begins.
        requests_kept: How many of the latest requests `MaxSmartSim.requests` holds.
        environment: Where its sockets are, and which time it is; the system's by default.

    Raises:
        ConnectFailed: The address or a port cannot be bound.
        UsageError: No such family, or a wrong number of loads.
    """
    row = family_named(family)
    clock = SimClock(environment.now_utc()) if clock is None else clock
    number = int(seeded_fraction("serial", row.name, seed, host) * 10**12)
    strip = Strip(
        row,
        serial=f"{row.serial_head}{number:012d}" if serial is None else serial,
        name=row.device_name if name is None else name,
        loads=loads,
        seed=seed,
        clock=clock,
        utc_offset_h=utc_offset_h,
        history_s=history.total_seconds(),
    )
    async with service_group() as tasks:
        sim = MaxSmartSim(
            strip,
            host=host,
            udp_port=udp_port,
            http_port=http_port if row.has_http else None,
            clock=clock,
            requests_kept=requests_kept,
            network=environment.network,
            tasks=tasks,
        )
        await sim.plug_in()
        yield sim
