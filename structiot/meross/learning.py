"""What devices can and where they are: asked once, and remembered for the next program.

A device that is remembered is asked for no more than its state, at the address that it had
in the local network if that is allowed. With another firmware it may have learnt
something, and is asked again what it can.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Final, TypeAlias

import anyio

from structiot._kit.environment import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.redact import Secret
from structiot._kit.text import error_text
from structiot.errors import AuthRefused, PeerError, TransportError
from structiot.meross.account_state import AccountState
from structiot.meross.device import MerossDevice
from structiot.meross.errors import CallDropped
from structiot.meross.features.feature import About
from structiot.meross.link.lan import LanLink
from structiot.meross.link.router import Router
from structiot.meross.listing import with_the_cloud_or_without
from structiot.meross.wire.device_list import (
    CloudDevice,
    CloudSubdevice,
    item_of,
    item_of_subdevice,
    read_devices,
    read_subdevices,
)
from structiot.meross.wire.envelope import Envelope, Method
from structiot.meross.wire.payloads import items_of, object_of
from structiot.meross.wire.system import (
    ABILITY,
    ALL,
    Abilities,
    SystemAll,
    max_batch_of,
    payload_of,
    read_abilities,
    read_all,
)

__all__ = ["Learning"]

_AGAIN_S: Final = 300.0
# How long the budget takes to have room again, if it does not say.
_DROPPED_S: Final = 10.0
# Devices that are asked at once; those that are off take ten seconds.
_MOST_AT_ONCE: Final = 8
_KEPT: Final = "device/"
_LISTED: Final = "listed"
_SUBDEVICES: Final = "subdevices"

_log = logging.getLogger("structiot.meross")

_Told: TypeAlias = tuple[SystemAll, Abilities, Envelope]


class Learning:
    """Asks the devices of an account what they can; `run` is its background task.

    Args:
        state: Where it is remembered.
        key: The account's key.
        lan_ports: TCP ports that are not 80, by host.
        environment: Network, clock and chance.
    """

    def __init__(
        self,
        state: AccountState,
        key: Secret,
        lan_ports: Mapping[str, int],
        environment: Environment,
    ) -> None:
        self._state = state
        self._key = key
        self._lan_ports = lan_ports
        self._environment = environment
        self._kept: dict[str, dict[str, object]] = {}
        # When each device is to be asked.
        self._due_at: dict[str, float] = {}
        self._wanted: set[str] = set()
        self._asking: set[str] = set()
        # Hubs of which the cloud has not said what hangs on them.
        self._unlisted: set[str] = set()
        self._is_due = anyio.Event()

    async def begin(self) -> None:
        """Read what the program before has learnt."""
        self._kept = await self._state.kept(_KEPT)

    def use_key(self, key: Secret, devices: Iterable[MerossDevice]) -> bool:
        """Speak to devices by this key; tell if it is another, as with a new password."""
        if key == self._key:
            return False
        self._key = key
        for device in devices:
            if device.route.lan is not None:
                device.route.lan.use_key(key.reveal())
            device.refresh_soon()
            self.soon(device.route.uuid)
        return True

    def remembered(self, about: About) -> About:
        """Add what is remembered of a device."""
        kept = self._kept.get(about.device, {})
        system = read_all(kept)
        if system.uuid != about.device:
            return about
        return replace(
            about,
            model=system.model or about.model,
            system=system,
            abilities=read_abilities(kept),
        )

    def soon(self, uuid: str, *, after_s: float = 0.0) -> None:
        """Ask a device before long."""
        at = anyio.current_time() + after_s
        if at < self._due_at.get(uuid, math.inf):
            self._due_at[uuid] = at
            self._is_due.set()

    def want(self, device: MerossDevice) -> None:
        """Ask a device now, as somebody waits for it; once the budget lets us."""
        uuid = device.route.uuid
        self._wanted.add(uuid)
        if device.not_known is None:
            self.soon(uuid)

    def is_asking(self, uuid: str) -> bool:
        """Whether a device has not answered yet."""
        return uuid in self._due_at

    def listed(self) -> tuple[CloudDevice, ...]:
        """Give the devices as the cloud has listed them before."""
        rows = (object_of(kept, _LISTED) for kept in self._kept.values())
        return read_devices(row for row in rows if row)

    async def remember_list(self, listed: Mapping[str, CloudDevice]) -> None:
        """Remember the list, and nothing of devices that are not in it any more."""
        told: dict[str, dict[str, object] | None] = dict.fromkeys(self._kept)
        told |= {uuid: {_LISTED: item_of(one)} for uuid, one in listed.items()}
        await self._keep(told)
        for hub in self._unlisted & listed.keys():
            self.soon(hub)

    async def subdevices_of(
        self, hub: str, ask: Callable[[str], Awaitable[Sequence[CloudSubdevice]]]
    ) -> Sequence[CloudSubdevice] | None:
        """Ask the cloud what hangs on a hub; if it does not answer, what it said before.

        Args:
            hub: Its uuid.
            ask: Asks the cloud.
        """
        self._unlisted.add(hub)
        with with_the_cloud_or_without(f"subdevices of {hub}"):
            items = [*map(item_of_subdevice, await ask(hub))]
            self._unlisted.discard(hub)
            await self._keep({hub: {_SUBDEVICES: items}})
        kept = self._kept.get(hub, {})
        return (
            read_subdevices(items_of(kept, _SUBDEVICES))
            if _SUBDEVICES in kept
            else None
        )

    async def _keep(self, told: Mapping[str, dict[str, object] | None]) -> None:
        """Remember more of some devices, or nothing any more."""
        news: dict[str, dict[str, object] | None] = {}
        for uuid, more in told.items():
            before = self._kept.pop(uuid, None)
            if more is not None:
                self._kept[uuid] = {**(before or {}), **more}
            if self._kept.get(uuid) != before:
                news[f"{_KEPT}{uuid}"] = self._kept.get(uuid)
        await self._state.keep_all(news)

    async def run(
        self,
        devices: Callable[[], Mapping[str, MerossDevice]],
        router: Router,
        learnt: Callable[[MerossDevice], Awaitable[object]],
    ) -> None:
        """Ask devices when they are due, until cancelled.

        Args:
            devices: Gives all of the account, by uuid.
            router: Who sends requests.
            learnt: Is told of each that has answered.
        """

        async def ask(device: MerossDevice) -> None:
            uuid = device.route.uuid
            try:
                told = await self._answer_of(device, router)
            finally:
                self._asking.discard(uuid)
                self._is_due.set()
            # It may have been removed meanwhile, and be another one now.
            if told is not None and devices().get(uuid) is device:
                await self._learnt(device, *told)
                await learnt(device)

        async with service_group() as tg:
            while True:
                with anyio.CancelScope(deadline=self._next_at()):
                    await self._is_due.wait()
                self._is_due = anyio.Event()
                for uuid in self._due(devices()):
                    device = devices().get(uuid)
                    if device is None:
                        del self._due_at[uuid]
                    else:
                        self._due_at[uuid] = anyio.current_time() + _AGAIN_S
                        self._asking.add(uuid)
                        tg.start_soon(ask, device)

    def _next_at(self) -> float:
        """Tell when to look again; who ends asking has it looked at before."""
        if len(self._asking) >= _MOST_AT_ONCE:
            return math.inf
        others = self._due_at.keys() - self._asking
        return min((self._due_at[uuid] for uuid in others), default=math.inf)

    def _due(self, devices: Mapping[str, MerossDevice]) -> list[str]:
        """Give whom to ask now: whom somebody waits for first, those that are off last."""
        now = anyio.current_time()
        due = [uuid for uuid, at in self._due_at.items() if at <= now]

        def last(uuid: str) -> tuple[bool, bool]:
            is_off = uuid in devices and not devices[uuid].is_available
            return uuid not in self._wanted, is_off

        others = [uuid for uuid in due if uuid not in self._asking]
        return sorted(others, key=last)[: _MOST_AT_ONCE - len(self._asking)]

    async def _answer_of(self, device: MerossDevice, router: Router) -> _Told | None:
        uuid = device.route.uuid
        try:
            return await self._told_by(device, router)
        except CallDropped as exc:
            if device.not_known is None and uuid in self._wanted:
                _log.warning("%s: its states have to wait: %s", device.info.name, exc)
            device.not_known = exc
            self.soon(uuid, after_s=exc.retry_after_s or _DROPPED_S)
        except (TransportError, PeerError) as exc:
            _log.debug("%s: not asked: %s", device.info.name, error_text(exc))
            device.not_known = None
            if isinstance(exc, AuthRefused):
                device.refused(exc)
                self._due_at.pop(uuid, None)
            elif isinstance(exc, TransportError):
                # There is no way to it.
                device.poller.failed(exc, is_certain=True)
        return None

    async def _learnt(
        self,
        device: MerossDevice,
        system: SystemAll,
        abilities: Abilities,
        state: Envelope,
    ) -> None:
        route, uuid = device.route, device.route.uuid
        self._due_at.pop(uuid, None)
        self._wanted.discard(uuid)
        # Before anybody knows of it, who may end the program with that.
        await self._keep({uuid: {**payload_of(system), "ability": dict(abilities)}})
        device.not_known = None
        about = replace(
            device.about,
            model=system.model or device.about.model,
            system=system,
            abilities=abilities,
        )
        route.batches.max_requests = max_batch_of(abilities, system)
        device.described(about, device.info.name)
        device.take(ALL, state.payload)
        # What it can is asked in full, and in the local network if it is there.
        device.poller.poll_by(anyio.current_time())

    async def _told_by(self, device: MerossDevice, router: Router) -> _Told:
        """Ask for its state, and for what it can if that is not known."""
        route, about, uuid = device.route, device.about, device.route.uuid
        ask = partial(
            router.request, route, Method.GET, is_command=uuid in self._wanted
        )
        abilities, state = about.abilities, await ask(ALL)
        system = read_all(state.payload)
        if route.lan is None and system.lan_host and system.uuid == uuid:
            route.lan = self.lan_link(system)
        if (
            not abilities
            or system.firmware != read_all(self._kept.get(uuid, {})).firmware
        ):
            abilities = read_abilities((await ask(ABILITY)).payload)
        return system, abilities, state

    def lan_link(
        self, system: SystemAll, abilities: Abilities | None = None
    ) -> LanLink:
        """Make the way to a device in the local network."""
        host = system.lan_host or ""
        return LanLink(
            host,
            self._lan_ports.get(host, 80),
            key=self._key.reveal(),
            uuid=system.uuid,
            mac=system.mac,
            abilities=abilities,
            environment=self._environment,
        )
