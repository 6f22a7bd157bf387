"""One strip over time: polled, known to be the same, and asked what a user asks.

The official app asks every 5 seconds, and after a command every 2 seconds for four
cycles (*captured* by the authors of the original package); we do the same. A strip is
away after several failures in a row (*experience* of the Home Assistant integration).
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial

from structiot._device.polled import PolledDevice
from structiot._device.schedule import PollSchedule
from structiot._kit.environment import Environment
from structiot._kit.text import printable
from structiot.energy import EnergyMeter
from structiot.errors import (
    DeviceReplaced,
    ProtocolViolation,
    ReplyTimeout,
    TransportError,
    UnsupportedDevice,
)
from structiot.maxsmart.entities import entities_of, states_of
from structiot.maxsmart.errors import MaxSmartRefused
from structiot.maxsmart.info import StripInfo, info_from
from structiot.maxsmart.link.replacement import ReplacementCheck
from structiot.maxsmart.link.strip import StripLink, is_hang_up
from structiot.maxsmart.readings import StripData, readings_from
from structiot.maxsmart.wire.capabilities import Capabilities, Capability
from structiot.maxsmart.wire.codec_data import read_port_data
from structiot.maxsmart.wire.messages import (
    Command,
    DiscoveryReply,
    PortData,
    ReadData,
    Reply,
    Transport,
    WattUnit,
)
from structiot.maxsmart.wire.protocol import is_other_kind, suspicion_of

__all__ = ["PolledStrip"]

# A strip that was not heard of for longer than this may be another one by now.
_FRESH_S = 60.0
_BRIDGED_S = 30.0
_BRIDGED_POLLS = 2.5

_log = logging.getLogger(__name__)


class PolledStrip(PolledDevice[StripInfo]):
    """What stands behind a `MaxSmartStrip`; see `maxsmart_device` for the settings.

    Args:
        link: Requests to the strip.
        who: Its answer to a discovery, if it gave one.
        first: Its first data.
    """

    def __init__(
        self,
        link: StripLink,
        who: DiscoveryReply | None,
        first: Reply,
        *,
        schedule: PollSchedule,
        offline_after: int,
        attempts: int,
        identify_s: float,
        watt_unit: WattUnit | None,
        name: str | None,
        device_id: str | None,
        assume_supported: Collection[Capability],
        environment: Environment,
    ) -> None:
        self._link = link
        self._attempts = attempts
        self._watt_unit = watt_unit
        self._given_name = name
        self._given_id = device_id
        self._has_current = False
        # A lost poll is bridged; more than that leaves the time unknown.
        gap_s = max(_BRIDGED_S, _BRIDGED_POLLS * schedule.poll_s)
        self._meter = EnergyMeter(max_gap_s=gap_s)
        self._energy_wh: dict[int, float] = {}
        self._has_said_impossible: set[str] = set()
        self._identity = ReplacementCheck(link, who, identify_s=identify_s)
        self._capabilities = Capabilities(
            transport=link.transport,
            has_port_names=self._identity.has_port_names,
            assumed=assume_supported,
        )
        self._identity.heard(first)
        self._ports = read_port_data(first, watt_unit=watt_unit)
        info = self._info_now()
        super().__init__(
            info,
            entities_of(info, has_current=False),
            schedule=schedule,
            offline_after=offline_after,
            environment=environment,
        )
        self._accept(self._ports)

    @property
    def _label(self) -> str:
        return self.info.label

    # ------------------------------------------------------------ polling

    async def _opening(self) -> None:
        """Its first data are known."""

    async def _refreshed(self, attempts: int | None = None) -> StripData:
        """Read the strip's data and give them to all who watch."""
        self._check_open()
        poll = partial(self._poll, attempts=attempts or self._attempts)
        return await self._poller.refresh(poll)

    async def _poll(self, attempts: int = 1) -> StripData:
        reply = await self._link.ask(ReadData(), attempts=attempts)
        if self._identity.heard(reply):
            self._describe_anew()
        ports = read_port_data(reply, watt_unit=self._watt_unit)
        is_other = is_other_kind(self._ports, ports)
        must_identify = is_other or self._may_be_another()
        # A command of ours makes nothing strange.
        is_still = not self._poller.is_commanding
        suspicion = suspicion_of(self._ports, ports) if is_still else "none"
        if self._identity.is_due(suspicion) or must_identify:
            await self._identity.check(is_required=must_identify)
            self._describe_anew()
        if len(ports.switches) != self.info.port_count:
            message = (
                f"{len(ports.switches)} ports reported, {self.info.port_count} exist"
            )
            raise ProtocolViolation(f"{self._link.host}: {message}", data=reply.excerpt)
        return self._accept(ports)

    def _accept(self, ports: PortData) -> StripData:
        self._ports = ports
        self._say_impossible("figures", ports.impossible)
        at_utc = self._environment.now_utc()
        readings = readings_from(ports, device=self.info.id, at_utc=at_utc)
        if not self._has_current and any(c is not None for c in ports.current_ma):
            self._has_current = True
            self._describe_as(self.info, reason="the strip reports current")
        energy_wh = self._energy_wh
        for reading in readings:
            port, gained_wh = reading.channel, self._meter.add(reading)
            if port in energy_wh or reading.power_w is not None:
                energy_wh[port] = energy_wh.get(port, 0.0) + gained_wh
        states = states_of(readings, energy_wh, has_current=self._has_current)
        self._tell(states, readings, at_utc=at_utc)
        return StripData(readings=readings)

    def _say_impossible(self, what: str, impossible: Sequence[str]) -> None:
        """Say once what the strip tells that cannot be."""
        if impossible and what not in self._has_said_impossible:
            self._has_said_impossible.add(what)
            _log.warning(
                "%s tells %s that cannot be and are not counted: %s",
                printable(self._label),
                what,
                printable(", ".join(impossible)),
            )

    def _may_be_another(self) -> bool:
        """Whether it was silent: ask who it is before trusting its data."""
        fresh_s = max(_FRESH_S, 2 * self._poller.schedule.poll_s)
        return self._poller.is_in_doubt or self._poller.silent_s > fresh_s

    # ------------------------------------------------------------ who it is

    def _describe_anew(self) -> None:
        """Tell what the device says about itself, where that is new."""
        self._capabilities.has_port_names = self._identity.has_port_names
        info = self._info_now()
        if not self.info.is_provisional:
            info = replace(info, id=self.info.id, is_provisional=False)
        if info != self.info:
            self._describe_as(info, reason="the strip describes itself anew")

    def _describe_as(self, info: StripInfo, *, reason: str) -> None:
        entities = entities_of(info, has_current=self._has_current)
        self._describe(info, entities, reason=reason)

    def _info_now(self) -> StripInfo:
        return info_from(
            self._identity.who,
            host=self._link.host,
            # Data with another number of ports are never accepted.
            port_count=len(self._ports.switches),
            name=self._given_name,
            device_id=self._given_id,
        )

    async def _identify(self) -> None:
        """Ask the strip by discovery who it is and what it and its ports are called."""
        self._check_open()
        # In turn with the polls, which ask as well: no old answer comes after a new.
        async with self._poller.turn:
            with self._noticing():
                await self._identity.ask_anew()
            self._describe_anew()

    @contextmanager
    def _noticing(self) -> Generator[None]:
        """Tell who watches when another device answers."""
        try:
            yield
        except DeviceReplaced as exc:
            self._poller.failed(exc)
            raise

    # ------------------------------------------------------------ asking

    async def _ask(
        self,
        command: Command,
        *,
        capability: Capability | None = None,
        transport: Transport | None = None,
    ) -> Reply:
        """Send a command of the user's; a lost one is sent again, see `attempts`.

        Args:
            command: What is asked.
            capability: What a device needs for that, where not every one has it; the
                answer tells whether this one has.
            transport: How it is sent; as all are, by default.

        Raises:
            UnsupportedDevice: Its firmware does not know the command; nothing was
                sent if that was known before.
            MaxSmartRefused: The strip refused it, by code or by hanging up.
        """
        self._require(capability)
        if self._may_be_another():
            await self._refreshed()
        firmware = self.info.firmware
        is_unknown = capability is not None and self.supports(capability) is None
        try:
            with self._noticing():
                reply = await self._link.ask(
                    command, attempts=self._attempts, transport=transport
                )
        except TransportError as exc:
            has_hung_up = is_hang_up(exc)
            if not has_hung_up and not (is_unknown and isinstance(exc, ReplyTimeout)):
                raise
            lost = exc
        else:
            if capability is not None:
                self._capabilities.show(capability, firmware, is_supported=True)
            return reply
        # So devices answer what they do not know. Or is it no longer there?
        await self._link.ask(ReadData())
        if capability is None:
            what = type(command).__name__
            message = f"{self._label} hung up on {what}"
            raise MaxSmartRefused(message, host=self._link.host, command=what) from lost
        if has_hung_up:
            # Silence is not remembered: requests do get lost.
            self._capabilities.show(capability, firmware, is_supported=False)
        raise self._missing(capability) from lost

    def supports(self, capability: Capability) -> bool | None:
        """Whether the strip can do this, by its firmware and what it has shown so far.

        * `"statistics"`: `get_statistics`.
        * `"rename"`: `change_port_name`.
        * `"port_names"`: tells the names of its ports.
        * `"clock"`: `get_device_time`. Setting it works on every device.
        * `"identifiers"`: tells its CPU id and server.

        Returns:
            True or False; None where nobody knows of this firmware. What is unknown
            is tried when it is called for, and the outcome remembered. What is known
            not to work raises `UnsupportedDevice`, and nothing is sent; see
            `assume_supported` of `maxsmart_device`.

        Raises:
            UsageError: No such capability.
        """
        return self._capabilities.of(capability, self.info.firmware)

    def _require(self, capability: Capability | None) -> None:
        """Refuse what the strip is known not to be capable of, before anything is sent."""
        self._check_open()
        if capability and self.supports(capability) is False:
            raise self._missing(capability)

    def _missing(self, capability: Capability) -> UnsupportedDevice:
        return self._capabilities.missing(capability, self._label, self.info)
