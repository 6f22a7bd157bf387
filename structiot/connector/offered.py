"""Keeps the platform where the devices are: all at first, then each change.

A change is made here and then there, by whoever asks for it. One that was broken off, or
that the platform refuses, leaves a device unsettled: what is committed is then without
it, so that the next connection finds it missing, and this one asks again.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from random import Random
from types import MappingProxyType
from typing import Final

import anyio

from structiot._kit.flow.backoff import Backoff
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text, printable
from structiot.connector.device import Device, check_device, device_id_of
from structiot.connector.device_manager import ManagedDevices
from structiot.connector.errors import PlatformRefused
from structiot.connector.platform import Session
from structiot.errors import TransportError

__all__ = ["OfferedDevices"]

# When a device is offered again that the platform has refused.
_AGAIN: Final = Backoff(first_s=15.0, cap_s=600.0)

_log: Final = logging.getLogger("structiot.connector")


class OfferedDevices:
    """The devices of a gateway, here and on the platform.

    Args:
        manager: Whose devices they are.
        random: For waiting times.

    Attributes:
        devices: They by id, as the manager had them last.
        known: Ids of those that it had at any time, and has not had deleted.
        unsettled: Of which the platform may think otherwise than we do; with why, where it
            refuses one.
    """

    def __init__(self, manager: ManagedDevices, random: Random) -> None:
        self.devices: Mapping[str, Device] = MappingProxyType({})
        self.known: set[str] = set()
        self.unsettled: dict[str, PlatformRefused | None] = {}
        self._manager = manager
        self._random = random
        # Set once the first attempt to connect has led to something, or to nothing.
        self._attempted = anyio.Event()
        self._is_connected = False
        self._session: Session | None = None
        # One change at a time; whose it is, and of whom others wait for theirs.
        self._changing = anyio.Lock()
        self._under_way: list[str] = []
        self._to_settle = anyio.Event()
        self._warnings = RareLines(_log, anyio.current_time)

    async def read(self) -> None:
        """Ask the device manager what there is."""
        devices = await self._manager.devices()
        self.devices = MappingProxyType({device.id: device for device in devices})
        self.known.update(self.devices)

    # -- a connection --------------------------------------------------------------

    async def synchronise(self, session: Session) -> None:
        """Bring the platform to where we are; whoever changes something meanwhile waits."""
        self._is_connected = True
        self._attempted.set()
        async with self._changing:
            self.unsettled.clear()
            await self.read()
            refused = await session.synchronise(list(self.devices.values()))
            for device_id, refusal in refused.items():
                self._refused(device_id, refusal)
            self._session = session

    def disconnected(self) -> None:
        """The connection is lost: the next one synchronises."""
        self._is_connected, self._session = False, None
        self._attempted.set()

    async def keep_settled(self, session: Session) -> None:
        """Ask for what is unsettled, until the session ends or this is cancelled."""
        # The session tells it to who waits for its end.
        with suppress(TransportError):
            await self._settle_all(session)

    # -- changes -------------------------------------------------------------------

    async def add(self, device: Device) -> bool:
        """Have a device kept and offered; tell whether the platform took it."""
        return await self._put(check_device(device), self._manager.add)

    async def update(self, device: Device) -> bool:
        """Have a device's change kept and told; tell whether the platform took it."""
        return await self._put(check_device(device), self._manager.update)

    async def _put(
        self, device: Device, keep: Callable[[Device], Awaitable[None]]
    ) -> bool:
        async def tell(session: Session) -> None:
            await session.put(self.devices.get(device.id, device))

        return await self._change(device.id, lambda: keep(device), tell)

    async def withdraw(self, device: Device | str, *, delete: bool) -> bool:
        """Have a device forgotten here, and there if it is to be deleted."""
        device_id = device_id_of(device)
        was_held = device_id in self.devices

        async def tell(session: Session) -> None:
            refusal: PlatformRefused | None = None
            try:
                await (session.delete if delete else session.disconnect)(device_id)
            except PlatformRefused as exc:
                refusal = exc
            if refusal is None:
                return
            if was_held:
                if delete:
                    await self._settle(session, device_id)
                await self._commit(session)
            raise refusal

        is_taken = await self._change(
            device_id, lambda: self._manager.remove(device_id), tell
        )
        if delete:
            self.known.discard(device_id)
        if self.unsettled.get(device_id) is not None:
            # There is nothing to be asked for again.
            del self.unsettled[device_id]
        return is_taken

    async def _change(
        self,
        device_id: str,
        make: Callable[[], Awaitable[None]],
        tell: Callable[[Session], Awaitable[None]],
    ) -> bool:
        """Make a change and tell the platform; see to it that it is told."""
        self._under_way.append(device_id)
        is_settled = False
        try:
            await make()
            await self.read()
            await self._attempted.wait()
            if not self._is_connected:
                return False
            async with self._changing:
                if (session := self._session) is None:
                    return False
                await tell(session)
                await self._commit(session, device_id)
                self.unsettled.pop(device_id, None)
                is_settled = True
                return True
        except PlatformRefused as exc:
            self._refused(device_id, exc)
            is_settled = True
        except TransportError as exc:
            reason = error_text(exc)
            _log.info("a change of a device is to be told again: %s", reason)
        except Exception:
            # The device manager's: nothing has changed.
            is_settled = True
            raise
        finally:
            self._under_way.remove(device_id)
            if not is_settled:
                self.unsettled[device_id] = None
            self._to_settle.set()
        return False

    async def _commit(self, session: Session, settled: str = "") -> None:
        await self.read()
        missing = {*self.unsettled, *self._under_way} - {settled}
        devices = [one for one in self.devices.values() if one.id not in missing]
        await session.commit(devices)

    def _refused(self, device_id: str, refusal: PlatformRefused) -> None:
        named = printable(device_id)
        self.unsettled[device_id] = refusal = refusal.named(f"device {named}")
        self._warnings.say("%s", error_text(refusal), about=named)

    # -- what is unsettled -----------------------------------------------------------

    async def _settle_all(self, session: Session) -> None:
        """Ask at once for what was broken off, now and then for what was refused."""
        schedule, again_at = _AGAIN.start(self._random), math.inf
        while True:
            now = anyio.current_time()
            if None in self.unsettled.values() or now >= again_at:
                async with self._changing:
                    await self._settle_each(session)
                again_at = math.inf
            elif self.unsettled and again_at == math.inf:
                again_at = now + (schedule.next_delay_s() or 0.0)
            else:
                with anyio.CancelScope(deadline=again_at):
                    await self._to_settle.wait()
                self._to_settle = anyio.Event()

    async def _settle_each(self, session: Session) -> None:
        unsettled = dict(self.unsettled)
        if not unsettled:
            return
        await self.read()
        for device_id, before in unsettled.items():
            try:
                await self._settle(session, device_id)
            except PlatformRefused as exc:
                self.unsettled[device_id] = exc
                if before is None or before.text != exc.text:
                    self._refused(device_id, exc)
            else:
                self.unsettled.pop(device_id, None)
        if unsettled.keys() - self.unsettled:
            with suppress(PlatformRefused):
                await self._commit(session)

    async def _settle(self, session: Session, device_id: str) -> None:
        device = self.devices.get(device_id)
        if device is not None:
            await session.put(device)
            return
        # One that is not there is as good.
        with suppress(PlatformRefused):
            await session.disconnect(device_id)
