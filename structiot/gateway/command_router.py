"""The way of a command from the broker to the device that it is for."""

from __future__ import annotations

from itertools import islice

from structiot._kit.text import printable
from structiot.errors import CommandRefused
from structiot.gateway.asking import Asked
from structiot.gateway.commanding import shown, tell_refused
from structiot.gateway.context import GatewayContext
from structiot.gateway.device_commands import outcome
from structiot.gateway.directory import DeviceDirectory
from structiot.gateway.entities.orders import device_order, entity_order
from structiot.gateway.entities.topics import is_level
from structiot.mqtt import Message

__all__ = ["CommandRouter"]

_NAMED = 20


class CommandRouter:
    """Gives each command to its device; what has none is answered here."""

    def __init__(self, context: GatewayContext, directory: DeviceDirectory) -> None:
        self._context = context
        self._directory = directory

    def take(self, message: Message) -> None:
        """Take whatever somebody has published on an entity's topic of commands."""
        target = self._context.topics.command_of(message.topic)
        if target is not None:
            self._take(message, target.device, target.entity)

    def take_several(self, message: Message) -> None:
        """Take whatever somebody has published on a device's topic of commands."""
        device = self._context.topics.device_command_of(message.topic)
        if device is not None:
            self._take(message, device, None)

    def _take(self, message: Message, slug: str, entity: str | None) -> None:
        asked = Asked.of(message, self._context)
        device = self._directory.by_slug.get(slug)
        if message.retain:
            error = (
                "a retained command is not obeyed, because it would be repeated at "
                "each start; publish it without retain"
            )
        elif device is None:
            name = printable(slug, most=40)
            error = f"there is no device {name!r}; devices: {self._known()}"
        else:
            device.take_command(entity, asked)
            return
        # What was retained may be for a device that has not come yet.
        is_hidden = device is not None or message.retain
        entities = {} if device is None else device.entities
        payload = shown(message.payload, entity or "", entities if is_hidden else None)
        is_several = entity is None
        order = (device_order if is_several else entity_order)(message.payload)
        tell_refused(
            self._context,
            device=slug,
            entity=entity or "",
            topic=message.topic,
            payload=payload,
            error=error,
            order=order,
        )
        has_topic = is_level(slug) and (is_several or is_level(entity or ""))
        is_answered = has_topic and order is not None and order.is_answered
        told = outcome(CommandRefused(error))
        if order is not None and order.id is not None:
            told = {"id": order.id, **told}
        topic = self._context.topics.result(slug, entity or "") if is_answered else ""
        asked.answer(self._context, told, topic=topic)

    def _known(self) -> str:
        devices = self._directory.by_slug
        known = ", ".join(islice(devices, _NAMED)) or "none yet"
        more = len(devices) - _NAMED
        return f"{known} and {more} more" if more > 0 else known
