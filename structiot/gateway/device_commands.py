"""What one device is told from the broker: each command ends as done or as refused."""

from __future__ import annotations

from collections.abc import Callable

import anyio

from structiot._kit.text import error_text
from structiot.errors import CommandRefused, LinkLost, StructiotError, UsageError
from structiot.gateway.commanding import (
    CommandRequest,
    CommandWorker,
    shown,
    tell_refused,
)
from structiot.gateway.context import GatewayContext
from structiot.gateway.device_topics import DeviceTopics
from structiot.gateway.entities.commands import parse_command, takes_commands
from structiot.gateway.events import CommandDone
from structiot.gateway.isolation import as_ours
from structiot.gateway.retrying import Retrying
from structiot.model import Command, Device, Entity

__all__ = ["DeviceCommands"]


class DeviceCommands:
    """Takes the commands of one device, and tells how each of them ended.

    Args:
        label: Whose commands they are, for messages.
        context: The gateway's.
        topics: The device on the broker.
        retrying: See `CommandWorker`.

    Attributes:
        is_open: Whether the device takes them.
    """

    def __init__(
        self,
        label: str,
        context: GatewayContext,
        topics: DeviceTopics,
        *,
        retrying: Callable[[], Retrying],
    ) -> None:
        self.is_open: bool = False
        self._label = label
        self._context = context
        self._topics = topics
        self._worker = CommandWorker(
            label, context, retrying=retrying, report=self._ended
        )

    def request(self, entity: str, *, topic: str, payload: bytes) -> None:
        """Take a command from the broker; what cannot be done is told at once."""
        command: Command = None
        error: StructiotError | None = None
        try:
            command = parse_command(self._commanded(entity), payload)
        # What an entity is, is somebody else's word.
        except Exception as exc:  # noqa: BLE001
            error = as_ours(exc)
        request = CommandRequest(
            device=self._topics.slug or "",
            entity=entity,
            command=command,
            topic=topic,
            payload=shown(payload, entity, self._topics.entities),
        )
        if error is None:
            self._worker.submit(request)
        else:
            self._ended(request, error_text(error))

    async def carry_out(self, entity: str, payload: bytes) -> None:
        """Carry out a command that did not come from the broker, in its turn.

        Raises:
            UsageError: There is no such entity, or it takes no such command.
            LinkLost: The device is not available.
            CommandRefused: It was not carried out; the message says why.
        """
        try:
            command = parse_command(self._commanded(entity), payload)
        # As above.
        except Exception as exc:  # noqa: BLE001
            raise as_ours(exc) from None
        has_ended, errors = anyio.Event(), list[str]()

        def ended(error: str | None) -> None:
            errors.extend(filter(None, [error]))
            has_ended.set()

        self._worker.submit(
            CommandRequest(
                device=self._topics.slug or "",
                entity=entity,
                command=command,
                topic="",
                payload=shown(payload, entity, self._topics.entities),
                ended=ended,
            )
        )
        await has_ended.wait()
        if errors:
            raise CommandRefused(errors[0])

    async def work(self, device: Device) -> None:
        """Carry out what was requested until cancelled."""
        await self._worker.work(device)

    def close(self, reason: str) -> None:
        """Take no more, and refuse what waits."""
        self.is_open = False
        self._worker.reject_waiting(f"{self._label} is not available: {reason}")

    def _commanded(self, key: str) -> Entity:
        topics = self._topics
        if not self.is_open:
            reason = topics.availability.reason
            raise LinkLost(f"{self._label} is not available: {reason}", reason=reason)
        entity = topics.entities.get(key)
        if entity is None:
            known = [e.key for e in topics.entities.values() if takes_commands(e)]
            choice = (
                f"there are {', '.join(known)}" if known else "it takes no commands"
            )
            raise UsageError(f"{self._label} has no {key!r}; {choice}")
        return entity

    def _ended(self, request: CommandRequest, error: str | None) -> None:
        if request.ended is not None:
            request.ended(error)
            return
        if error is None:
            self._context.emit(
                CommandDone(
                    device=request.device,
                    entity=request.entity,
                    payload=request.payload,
                )
            )
            return
        tell_refused(
            self._context,
            device=request.device,
            entity=request.entity,
            topic=request.topic,
            payload=request.payload,
            error=error,
        )
