"""Commands of one device: one after the other, bounded, each with a deadline.

Every device has a worker of its own, so a device that hangs delays nobody else's
commands, and its own for no longer than the deadline. A peer that has had enough of us
(`RateLimited`) is left alone for as long as it asks: commands are refused meanwhile.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.redact import HIDDEN
from structiot._kit.text import error_text, printable
from structiot.errors import InternalError, RateLimited
from structiot.gateway.context import GatewayContext
from structiot.gateway.entities.topics import is_level
from structiot.gateway.events import CommandFailed
from structiot.gateway.isolation import failure_of
from structiot.gateway.retrying import Retrying
from structiot.model import Command, Device, Entity, Text

__all__ = ["CommandRequest", "CommandWorker", "shown", "tell_refused"]

_MAX_WAITING = 32
_SHOWN_BYTES = 200

_log = logging.getLogger(__name__)


def tell_refused(
    context: GatewayContext,
    *,
    device: str,
    entity: str,
    topic: str,
    payload: str,
    error: str,
) -> None:
    """Tell in the log, on the error topic and as an event what was not carried out.

    The device, the entity and the topic are as somebody has published them. A device
    that cannot be a level of a topic has no error topic.
    """
    device_shown, entity_shown = (printable(one, most=100) for one in (device, entity))
    _log.warning("%s: command %s refused: %s", device_shown, entity_shown, error)
    if is_level(device):
        told = {
            "error": error,
            "topic": printable(topic),
            "payload": payload,
            "at": context.clock().isoformat(timespec="milliseconds"),
        }
        text = json.dumps(told, ensure_ascii=False)
        context.sink.tell(context.topics.error(device), text)
    context.emit(
        CommandFailed(
            device=device_shown,
            entity=entity_shown,
            payload=payload,
            error=error,
        )
    )


def shown(payload: bytes, key: str, entities: Mapping[str, Entity] | None) -> str:
    """Make a payload from anybody fit to be shown, unless it may be a secret.

    Args:
        payload: What was published.
        key: The entity that it is for.
        entities: Those that the device is known to have; None if it is nobody's.
    """
    if entities is None:
        return _cut(payload)
    meant = [entities[key]] if key in entities else list(entities.values())
    if not meant or any(isinstance(one, Text) and one.is_secret for one in meant):
        return HIDDEN
    return _cut(payload)


def _cut(payload: bytes) -> str:
    return printable(
        payload[: _SHOWN_BYTES + 1].decode(errors="replace"), most=_SHOWN_BYTES
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """A command that was understood and waits for its turn.

    Attributes:
        device: The device's level in topics, as it was then.
        entity: Key of the entity.
        command: What it shall do.
        topic: Where it was published; empty if it did not come from the broker.
        payload: What was published, as it may be shown.
        ended: Told how it ended in place of everybody else: with None, or with why it
            failed.
    """

    device: str
    entity: str
    command: Command
    topic: str
    payload: str
    ended: Callable[[str | None], None] | None = None


class CommandWorker:
    """Carries out the commands of one device.

    Args:
        label: Whose commands they are, for messages.
        context: The gateway's; it knows the longest time for one command.
        retrying: Gives the attempts of what the device is reached by, which know when
            it may be asked again.
        report: Told how each request ended: with None, or with why it failed.
    """

    def __init__(
        self,
        label: str,
        context: GatewayContext,
        *,
        retrying: Callable[[], Retrying],
        report: Callable[[CommandRequest, str | None], None],
    ) -> None:
        self._label = label
        self._context = context
        self._retrying = retrying
        self._report = report
        self._box: Mailbox[CommandRequest] = Mailbox(
            _MAX_WAITING, policy="drop_newest", name=f"commands of {label}"
        )

    def submit(self, request: CommandRequest) -> None:
        """Take a request; one too many is refused at once."""
        if not self._box.put(request):
            self._report(
                request, f"{_MAX_WAITING} commands wait for {self._label} already"
            )

    def reject_waiting(self, reason: str) -> None:
        """Refuse what waits."""
        while self._box:
            self._report(self._box.receive_nowait(), reason)

    async def work(self, device: Device) -> None:
        """Carry out requests until cancelled."""
        async for request in self._box:
            is_settled = False
            try:
                error = await self._carried_out(device, request)
                is_settled = True
                self._report(request, error)
            finally:
                if not is_settled:
                    self._report(request, f"{self._label} was closed meanwhile")

    async def _carried_out(self, device: Device, request: CommandRequest) -> str | None:
        peer, command_s = self._retrying(), self._context.command_s
        if (left_s := peer.left_alone_s) > 0:
            return f"{self._label} has had enough for now; ask again in {left_s:.0f} s"
        with anyio.move_on_after(command_s) as patience:
            error = await failure_of(
                partial(device.command, request.entity, request.command)
            )
            if isinstance(error, RateLimited) and not error.is_own_limit:
                peer.leave_alone(error)
            if isinstance(error, InternalError):
                _log.error(
                    "%s: command %s failed",
                    self._label,
                    request.entity,
                    exc_info=error.__cause__,
                )
            return None if error is None else error_text(error)
        if patience.cancelled_caught:
            return f"{self._label} did not carry it out within {command_s:g} s"
        return None
