"""One simulated strip on the network: `sim_maxsmart` and what it gives."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import ClassVar

import anyio
from anyio.abc import TaskGroup

from structiot._kit.arguments import check_argument, check_items
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.net.network import Address, UdpSocket
from structiot.errors import TransportError
from structiot.maxsmart.wire.codec import V3_PREFIX
from structiot.maxsmart.wire.messages import DiscoveryRequest, Request
from structiot.sim.maxsmart.families import Family, family_named
from structiot.sim.maxsmart.http_server import StripHttp
from structiot.sim.maxsmart.named_faults import NAMED_FAULTS
from structiot.sim.maxsmart.response_faults import MaxSmartFaults
from structiot.sim.maxsmart.responses import (
    Channel,
    Question,
    answer,
    question_of_datagram,
)
from structiot.sim.maxsmart.strip import PortSwitches, Strip
from structiot.sim.shared.clock import SimClock
from structiot.sim.shared.fault_names import FaultNames
from structiot.sim.shared.faults import Fault, FaultKind, framed
from structiot.sim.shared.host import SimHost, Sockets
from structiot.sim.shared.loads import Load, seeded_fraction

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


class MaxSmartSim(SimHost[MaxSmartFaults]):
    """A simulated strip, for the one who tests with it; made by `sim_maxsmart`.

    Attributes:
        family: Its firmware family.
        udp_port: UDP port for discovery and V3.
        http_port: TCP port for HTTP; None if the family has none.
        ports: Its relays by number, from 1; setting one is pressing its button.
        requests: The latest requests that reached it.
    """

    named_faults: ClassVar[FaultNames] = NAMED_FAULTS

    def __init__(
        self,
        strip: Strip,
        *,
        host: str,
        udp_port: int,
        http_port: int | None,
        clock: SimClock,
        requests_kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(host, MaxSmartFaults(), clock=clock, environment=environment)
        self.family: Family = strip.family
        self.udp_port: int = udp_port
        self.http_port: int | None = http_port
        self.ports: PortSwitches = PortSwitches(strip)
        self.requests: deque[MaxSmartRequest] = deque(maxlen=requests_kept)
        self._strip = strip
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
    def label(self) -> str:
        """Its serial."""
        return self.serial

    def power_w(self, port: int) -> float:
        """Give the power that a port delivers at this moment, in watts."""
        return self._strip.power_w(self._strip.outlet(port))

    def energy_wh(self, port: int) -> float:
        """Give the energy that a port has delivered so far, in watt-hours."""
        return self._strip.outlet(port).energy_wh

    def set_load(self, port: int, load: Load | float) -> None:
        """Plug a load, or one of exactly so many watts, into a port."""
        self._strip.outlet(port).plug(load)

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

    def rename(self, port: int, name: str) -> bool:
        """Name the strip (port 0) or a port as another client does; False if refused."""
        return self._strip.rename(port, name)

    def become(self, serial: str) -> None:
        """Be another device at the same address: other identifiers, factory's names."""
        self._strip.become(serial)

    async def press(self, port: int) -> None:
        """Press the button of a port: on becomes off, off becomes on."""
        self.ports[port] = not self.ports[port]
        await anyio.lowlevel.checkpoint()

    # ------------------------------------------------------------ mains and network

    async def start(self, sockets: Sockets) -> None:
        """Listen for datagrams and, where the family does, for HTTP."""
        self._udp = await sockets.open_udp(self.udp_port)
        self.udp_port = self._udp.address[1]
        if self.http_port is not None:
            http = StripHttp(self._strip, self.faults, self._note)
            self.http_port = await sockets.listen(self.http_port, http.serve)
        self._late = sockets.tasks
        sockets.tasks.start_soon(self._hear_all, self._udp)

    def set_mains(self, *, is_on: bool) -> None:
        """Be without mains, or have it again; every relay is then as it was."""
        self._strip.set_mains(is_on=is_on)

    def lose_clock(self) -> None:
        """Begin in the year 2000, until a discovery sets the clock.

        Whether a clock survives a power cut is not known of any family.
        """
        self._strip.lose_clock()

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

    async def _hear_all(self, udp: UdpSocket) -> None:
        while True:
            await self.hear(*await udp.receive())

    async def hear(self, data: bytes, peer: Address) -> None:
        """Treat a datagram as if it had reached the strip, by broadcast for instance."""
        if not self.is_plugged_in:
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
        datagram = _datagram(question, fault, content)
        copies = 2 if fault is not None and fault.kind is FaultKind.DUPLICATE else 1
        delay_s = self.faults.delay_for(fault)
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
                        self.environment.network.open_udp(
                            self.faults.reply_from, self.udp_port
                        )
                    )
                for _ in range(copies):
                    if udp is not None:
                        await udp.send(datagram, *peer)
        except TransportError as exc:
            _log.warning("%s: reply to %s:%d lost: %s", self.serial, *peer, exc)


def _datagram(question: Question, fault: Fault | None, content: bytes) -> bytes:
    prefix = V3_PREFIX if question.channel == "v3" else b""
    datagram = framed(fault, content, lambda right: prefix + right)
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
            fridges and the like by default, see `household`; `MaxSmartSim.set_load`
            changes it.
        seed: Which household.
        clock: The clock it lives by; wall time by default.
        utc_offset_h: The time zone its own clock is set to at first, in hours.
        history: How long it has been drawing power when the block begins.
        requests_kept: How many of the latest requests `MaxSmartSim.requests` holds.
        environment: Where its sockets are, and which time it is; the system's by default.

    Raises:
        ConnectFailed: The address or a port cannot be bound.
        UsageError: No such family, a wrong number of loads, or an argument of another
            class.
    """
    check_argument("host", host, str)
    check_argument("family", family, Family, str)
    check_argument("serial", serial, str, None)
    check_argument("name", name, str, None)
    check_argument("http_port", http_port, int)
    check_argument("udp_port", udp_port, int)
    if loads is not None:
        check_items("loads", loads, Load, float, write="loads=[60, 0, 5.5]")
    check_argument("seed", seed, int)
    check_argument("clock", clock, SimClock, None)
    check_argument("utc_offset_h", utc_offset_h, int)
    check_argument("history", history, timedelta, write="timedelta(days=1)")
    check_argument("requests_kept", requests_kept, int)
    check_argument("environment", environment, Environment)
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
    sim = MaxSmartSim(
        strip,
        host=host,
        udp_port=udp_port,
        http_port=http_port if row.has_http else None,
        clock=clock,
        requests_kept=requests_kept,
        environment=environment,
    )
    async with sim:
        yield sim
