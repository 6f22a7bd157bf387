"""The way of a command from the broker to the device that it is for."""

from __future__ import annotations

from itertools import islice

from structiot._kit.text import printable
from structiot.gateway.commanding import shown, tell_refused
from structiot.gateway.context import GatewayContext
from structiot.gateway.directory import DeviceDirectory
from structiot.mqtt import Message

__all__ = ["CommandRouter"]

_NAMED = 20


class CommandRouter:
    """Gives each command to its device; what has none is answered here."""

    def __init__(self, context: GatewayContext, directory: DeviceDirectory) -> None:
        self._context = context
        self._directory = directory

    def take(self, message: Message) -> None:
        """Take whatever somebody has published on a topic of commands."""
        target = self._context.topics.command_of(message.topic)
        if target is None:
            return
        device = self._directory.by_slug.get(target.device)
        entities = {} if device is None else device.entities
        if message.retain:
            error = (
                "a retained command is not obeyed, because it would be repeated at "
                "each start; publish it without retain"
            )
        elif device is None:
            name = printable(target.device, most=40)
            error = f"there is no device {name!r}; devices: {self._known()}"
        else:
            device.request(target.entity, topic=message.topic, payload=message.payload)
            return
        # What was retained may be for a device that has not come yet.
        is_hidden = device is not None or message.retain
        payload = shown(message.payload, target.entity, entities if is_hidden else None)
        tell_refused(
            self._context,
            device=target.device,
            entity=target.entity,
            topic=message.topic,
            payload=payload,
            error=error,
        )

    def _known(self) -> str:
        devices = self._directory.by_slug
        known = ", ".join(islice(devices, _NAMED)) or "none yet"
        more = len(devices) - _NAMED
        return f"{known} and {more} more" if more > 0 else known
