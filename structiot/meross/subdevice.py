"""A subdevice of a hub as a device of the model: a valve, a sensor, a sprinkler."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

import anyio

from structiot._device.poller import Poller
from structiot._kit.environment import Environment
from structiot.meross.features.feature import Request, Update
from structiot.meross.features.subdevice import Subdevice
from structiot.meross.turning import Turning
from structiot.model import Availability, Command, DeviceInfo

__all__ = ["HubDevice", "MerossSubdevice"]

# On batteries it tells its hub in its own time, however often that is asked.
_TELLS_EVERY_S: Final = 1200.0


class HubDevice(Protocol):
    """What a subdevice needs of its hub."""

    @property
    def info(self) -> DeviceInfo:
        """Who it is."""
        ...

    @property
    def poller(self) -> Poller:
        """Who polls it, and all that hangs on it."""
        ...

    async def order(self, requests: Sequence[Request]) -> None:
        """Send the requests of a command."""
        ...


class MerossSubdevice(Turning):
    """A device that is reached through a hub, and polled with it.

    Args:
        hub: Its hub.
        subdevice: What is known of it, and what it can.
        environment: As the hub's.
    """

    def __init__(
        self, hub: HubDevice, subdevice: Subdevice, environment: Environment
    ) -> None:
        self._hub = hub
        self._subdevice = subdevice
        super().__init__(
            _info_of(hub, subdevice),
            subdevice.entities,
            poller=hub.poller,
            is_available=subdevice.is_online is not False,
            environment=environment,
        )

    @property
    def hub(self) -> HubDevice:
        """The hub that it hangs on."""
        return self._hub

    def updated(self, update: Update, every_s: float | None) -> None:
        """Take what one of the hub's payloads has told of it, and how often one does."""
        at_utc = self._environment.now_utc()
        if update.entities_changed:
            self.described(self._subdevice)
        own_s = None if every_s is None else max(every_s, _TELLS_EVERY_S)
        self._tell_update(update, at_utc, own_s)
        if update.look_again_s is not None:
            self._hub.poller.poll_by(anyio.current_time() + update.look_again_s)

    def described(self, subdevice: Subdevice) -> None:
        """Take it that it is described anew."""
        self._subdevice = subdevice
        self._describe(_info_of(self._hub, subdevice), subdevice.entities)

    def came_or_went(self, *, is_online: bool) -> None:
        """Take the hub's word for whether it is there."""
        reason = "" if is_online else f"{self._hub.info.name} does not reach it"
        self._tell_availability(is_available=is_online, reason=reason)

    def hub_told(self, availability: Availability) -> None:
        """Take it that the hub is there, or why not; it is away with its hub."""
        if availability.is_available:
            self.came_or_went(is_online=self._subdevice.is_online is not False)
        else:
            reason = f"{self._hub.info.name}: {availability.reason}"
            self._tell_availability(is_available=False, reason=reason)

    @property
    def _is_metered(self) -> bool:
        return False

    async def _command(self, key: str, command: Command) -> None:
        now_utc = self._environment.now_utc()
        await self._hub.order(self._subdevice.command(key, command, now_utc))


def _info_of(hub: HubDevice, subdevice: Subdevice) -> DeviceInfo:
    about = subdevice.about
    return DeviceInfo(
        id=about.device,
        system="meross",
        name=about.name or f"{about.kind} {about.sub_id[-4:]}",
        manufacturer="Meross",
        model=about.kind,
        firmware=about.firmware,
        hardware=about.hardware,
        serial=about.sub_id,
        via=hub.info.id,
    )
