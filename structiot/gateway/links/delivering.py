"""The way from a link to its target: a command of a device, or a message on a topic."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import anyio

from structiot._kit.text import error_text, printable
from structiot.errors import LinkLost, ReplyTimeout, StructiotError, UsageError
from structiot.gateway.config.links import TOGGLE
from structiot.gateway.drivers.driver import GatewayView, ServedDevice
from structiot.gateway.entities.handing_on import (
    handed_on,
    is_so,
    opposite,
    word_of,
)
from structiot.gateway.entities.states import state_payload
from structiot.gateway.links.running_link import Deed, Place, RunningLink

__all__ = ["Delivery"]

# A device that takes too long is told the present state again, so often.
_TRIES: Final = 3
_AGAIN_S: Final = 5.0
_PAUSE_S: Final = 0.2


class Delivery:
    """Carries out what links have to do.

    Args:
        gateway: What is in the gateway's care.
        command_s: Gives the longest time for one command.
        mark: Told before a link changes something: what, and which links are behind it.
    """

    def __init__(
        self,
        gateway: GatewayView,
        command_s: Callable[[], float],
        mark: Callable[[Place | str, tuple[RunningLink, ...]], None],
    ) -> None:
        self._gateway = gateway
        self._command_s = command_s
        self._mark = mark

    async def carry_out(self, link: RunningLink) -> None:
        """Carry out what a link has to do, until there is no more."""
        try:
            with anyio.CancelScope() as link.life:
                while (todo := link.next()) is not None:
                    await self._try(link, *todo)
        finally:
            link.is_busy = False

    async def _try(self, link: RunningLink, target: str, deed: Deed) -> None:
        try:
            await self._do(link, target, deed)
        except StructiotError as exc:
            why = error_text(exc)
            if deed.payload is None and isinstance(exc, LinkLost):
                # What is not there yet is told when it comes.
                link.wait_for(why)
            else:
                link.fail(why)
            await self._again(link, target, deed, exc)

    async def _do(self, link: RunningLink, target: str, deed: Deed) -> None:
        """Do it.

        Raises:
            StructiotError: Why it was not done.
        """
        left_s = min(deed.expires_at - anyio.current_time(), self._command_s())
        if left_s <= 0:
            message = "its turn came too late: it is not done any more"
            raise ReplyTimeout(message, request="command", after_s=self._command_s())
        if deed.payload is None and not link.takes_turn():
            link.is_late()
            # Meanwhile only the latest state waits.
            await anyio.sleep(_PAUSE_S)
            while not link.takes_turn():  # noqa: ASYNC110 - of time alone
                await anyio.sleep(_PAUSE_S)
        if link.section.what == "publish":
            payload = self._published(link, deed)
            if payload is not None:
                self._mark(target, deed.origin)
                topics, keeps = self._gateway.foreign_topics, link.section.retain
                await topics.publish(target, payload, retain=keeps, within_s=left_s)
                link.works()
            return
        level, served, key = self._target(link)
        payload = self._commanded(link, deed, served, key)
        if payload is not None:
            self._mark((level, key), deed.origin)
            data = payload.encode(errors="replace")
            await served.carry_out(key, data, within_s=left_s)
            self._mark((level, key), deed.origin)
        if payload is not None or link.waits_for:
            link.works()

    async def _again(
        self, link: RunningLink, target: str, deed: Deed, error: StructiotError
    ) -> None:
        """Try once more to hand a present state on, if that may help."""
        if deed.payload is not None or not isinstance(error, ReplyTimeout):
            return
        if link.is_due or link.tries >= _TRIES:
            return
        tries = link.tries + 1
        await anyio.sleep(_AGAIN_S * tries)
        if not link.is_due:
            link.hand_on(target, deed)
            link.tries = tries

    # ------------------------------------------------------------ what is said

    def _target(self, link: RunningLink) -> tuple[str, ServedDevice, str]:
        end = link.section.target
        for level, served in self._gateway.devices.items():
            if not end.fits_device(level, served.name):
                continue
            name = printable(served.name, most=100)
            if not served.is_available:
                reason = served.availability.reason
                raise LinkLost(f"{name} is not available: {reason}", reason=reason)
            if end.entity not in served.entities:
                raise UsageError(f"{name} has no {end.entity!r}")
            return level, served, end.entity
        reason = f"there is no device {printable(end.device, most=60)!r}"
        raise LinkLost(reason, reason=reason)

    def _commanded(
        self, link: RunningLink, deed: Deed, served: ServedDevice, key: str
    ) -> str | None:
        """Give what a device is told; None if it is so already, or nothing is known."""
        entity, state = served.entities[key], served.states.get(key)
        if deed.payload is not None:
            is_toggle = deed.payload.upper() == TOGGLE
            return opposite(entity, state) if is_toggle else deed.payload
        device, source_key = deed.source
        source = self._gateway.devices.get(device)
        if source is None or source_key not in source.states:
            return None
        source_entity = source.entities.get(source_key)
        if source_entity is None:
            return None
        now = source.states[source_key]
        payload = handed_on(source_entity, now, entity)
        if payload is not None and link.section.values is not None:
            payload = link.told(word_of(source_entity, now) or "")
        if payload is None or is_so(entity, state, payload):
            return None
        return payload

    def _published(self, link: RunningLink, deed: Deed) -> str | None:
        """Give what is published."""
        device, key = deed.source
        source = self._gateway.devices.get(device)
        entity = None if source is None else source.entities.get(key)
        if deed.payload is not None:
            # `TOGGLE` as well: who hears it toggles by itself, as Tasmota does.
            return deed.payload
        if source is None or entity is None or key not in source.states:
            return None
        state = source.states[key]
        if link.section.values is not None:
            word = word_of(entity, state)
            return None if word is None else link.told(word)
        return state_payload(entity, state)
