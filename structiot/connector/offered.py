"""Keeps the platform where the devices are: all at first, then each change.

A change is made here and then there, by whoever asks for it. One that was broken off, or
that the platform refuses, leaves a device unsettled: what is committed is then without
it, so that the next connection finds it missing, and this one asks again. A change costs
what that device costs, however many there are.

The device manager may be anybody's code. Who asks for a change gets what it raises; where
nobody asks, that is said in the log, and what it had before is offered.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from functools import partial
from random import Random
from types import MappingProxyType
from typing import Final

import anyio

from structiot._kit.flow.backoff import Backoff
from structiot._kit.rare_lines import RareLines
from structiot._kit.text import error_text, fault_text, printable
from structiot.connector.device import Device, check_device, device_id_of
from structiot.connector.device_manager import ManagedDevices
from structiot.connector.errors import PlatformRefused
from structiot.connector.platform import Session
from structiot.errors import TransportError

__all__ = ["OfferedDevices"]

# When a device is offered again that the platform has refused.
_AGAIN: Final = Backoff(first_s=15.0, cap_s=600.0)
# A connection waits no longer for the device manager.
_MANAGER_S: Final = 30.0

_log: Final = logging.getLogger("structiot.connector")


class OfferedDevices:
    """The devices of a gateway, here and on the platform.

    Args:
        manager: Whose devices they are.
        random: For waiting times.

    Attributes:
        known: Ids of those that it had at any time, and has not had deleted.
        unsettled: Of which the platform may think otherwise than we do; with why, where it
            refuses one.
    """

    def __init__(self, manager: ManagedDevices, random: Random) -> None:
        self.known: set[str] = set()
        self.unsettled: dict[str, PlatformRefused | None] = {}
        self._manager = manager
        self._random = random
        # As the manager had them last, and what was shown of that.
        self._devices: dict[str, Device] = {}
        self._shown: Mapping[str, Device] | None = None
        # One question to the manager at a time, so that no answer is older than the one
        # before.
        self._reading = anyio.Lock()
        # Set once the first attempt to connect has led to something, or to nothing.
        self._attempted = anyio.Event()
        self._is_connected = False
        self._session: Session | None = None
        # One change at a time.
        self._changing = anyio.Lock()
        self._is_urgent = False
        self._to_settle = anyio.Event()
        self._warnings = RareLines(_log, anyio.current_time)

    def __len__(self) -> int:
        return len(self._devices)

    def get(self, device_id: str) -> Device | None:
        """Give a device as the manager had it last; None if there is none."""
        return self._devices.get(device_id)

    @property
    def devices(self) -> Mapping[str, Device]:
        """All of them by id; what is given does not change any more."""
        if self._shown is None:
            self._shown = MappingProxyType(self._devices.copy())
        return self._shown

    # -- the device manager ----------------------------------------------------------

    async def read(self) -> None:
        """Ask the device manager what there is."""
        async with self._reading:
            await self._read_all()

    async def _read_all(self) -> None:
        devices = await self._manager.devices()
        self._devices, self._shown = {one.id: one for one in devices}, None
        self.known.update(self._devices)

    async def _look_up(self, device_id: str) -> None:
        """Ask it for one device; for all if it cannot tell of one."""
        async with self._reading:
            try:
                device = await self._manager.get(device_id)
            except Exception as exc:  # noqa: BLE001 - it may be anybody's
                text = "the device manager is asked for all devices, as get fails: %s"
                self._warnings.say(text, fault_text(exc))
                await self._read_all()
                return
            self._shown = None
            if device is None:
                self._devices.pop(device_id, None)
            else:
                self._devices[device_id] = device
                self.known.add(device_id)

    async def _was_asked(self, ask: Callable[[], Awaitable[None]]) -> bool:
        """Ask it what nobody waits for; whether it could tell."""
        why = f"no answer within {_MANAGER_S:g} s"
        with anyio.move_on_after(_MANAGER_S):
            try:
                await ask()
            except Exception as exc:  # noqa: BLE001 - as above
                why = fault_text(exc)
            else:
                return True
        text = "the device manager fails, and what it had before is offered: %s"
        self._warnings.say(text, why)
        return False

    # -- a connection --------------------------------------------------------------

    async def synchronise(self, session: Session) -> None:
        """Bring the platform to where we are; whoever changes something meanwhile waits."""
        self._is_connected = True
        self._attempted.set()
        async with self._changing:
            before, self.unsettled = self.unsettled, {}
            if not await self._was_asked(self.read):
                # What has become of these is still to be found out.
                self.unsettled = {**dict.fromkeys(before), **self.unsettled}
            refused = await session.synchronise(list(self._devices.values()))
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
            await session.put(self._devices.get(device.id, device))

        return await self._change(device.id, lambda: keep(device), tell)

    async def withdraw(self, device: Device | str, *, delete: bool) -> bool:
        """Have a device forgotten here, and there if it is to be deleted."""
        device_id = device_id_of(device)
        was_held = device_id in self._devices

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
                await session.commit()
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
        try:
            await make()
            await self._look_up(device_id)
            await self._attempted.wait()
            # If there is none, the next connection tells it.
            return self._is_connected and await self._was_told(device_id, tell)
        except BaseException:
            # Whatever the manager has of it now is to be found out.
            self._leave_unsettled(device_id)
            raise

    async def _was_told(
        self, device_id: str, tell: Callable[[Session], Awaitable[None]]
    ) -> bool:
        try:
            async with self._changing:
                if (session := self._session) is None:
                    return False
                await tell(session)
                await session.commit()
                self.unsettled.pop(device_id, None)
                return True
        except PlatformRefused as exc:
            self._refused(device_id, exc)
        except TransportError as exc:
            self._leave_unsettled(device_id)
            reason = error_text(exc)
            _log.info("a change of a device is to be told again: %s", reason)
        return False

    def _leave_unsettled(self, device_id: str) -> None:
        self.unsettled[device_id] = None
        self._is_urgent = True
        self._to_settle.set()

    def _refused(self, device_id: str, refusal: PlatformRefused) -> None:
        named = printable(device_id)
        self.unsettled[device_id] = refusal = refusal.named(f"device {named}")
        self._to_settle.set()
        self._warnings.say("%s", error_text(refusal), about=named)

    # -- what is unsettled -----------------------------------------------------------

    async def _settle_all(self, session: Session) -> None:
        """Ask at once for what was broken off, now and then for what was refused."""
        schedule, again_at = _AGAIN.start(self._random), math.inf
        while True:
            now = anyio.current_time()
            if self._is_urgent or now >= again_at:
                self._is_urgent = False
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
        is_changed = False
        for device_id, before in list(self.unsettled.items()):
            if not await self._was_asked(partial(self._look_up, device_id)):
                # So it is with the others.
                break
            try:
                await self._settle(session, device_id)
            except PlatformRefused as exc:
                self.unsettled[device_id] = exc
                if before is None or before.text != exc.text:
                    self._refused(device_id, exc)
            else:
                self.unsettled.pop(device_id, None)
                is_changed = True
        if is_changed:
            with suppress(PlatformRefused):
                await session.commit()

    async def _settle(self, session: Session, device_id: str) -> None:
        device = self._devices.get(device_id)
        if device is not None:
            await session.put(device)
            return
        # One that is not there is as good.
        with suppress(PlatformRefused):
            await session.disconnect(device_id)
