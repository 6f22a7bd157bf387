"""Commands of one device: one after the other, bounded, each with a deadline.

Every device has a worker of its own, so a device that hangs delays nobody else's
commands, and its own for no longer than the deadline.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.text import error_text
from structiot.errors import InternalError
from structiot.gateway.isolation import failure_of
from structiot.model import Command, Device

__all__ = ["CommandRequest", "CommandWorker", "error_payload", "shown"]

_MAX_WAITING = 32
_SHOWN_BYTES = 200

_log = logging.getLogger(__name__)


def error_payload(error: str, *, topic: str, payload: str, at_utc: datetime) -> str:
    """Write what stands on an error topic; the payload is fit to be shown."""
    return json.dumps(
        {
            "error": error,
            "topic": topic,
            "payload": payload,
            "at": at_utc.isoformat(timespec="milliseconds"),
        },
        ensure_ascii=False,
    )


def shown(payload: bytes) -> str:
    """Make a payload from anybody fit to be shown."""
    return payload[:_SHOWN_BYTES].decode(errors="replace")


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandRequest:
    """A command that was understood and waits for its turn.

    Attributes:
        entity: Key of the entity.
        command: What it shall do.
        topic: Where it was published.
        payload: What was published.
    """

    entity: str
    command: Command
    topic: str
    payload: bytes


class CommandWorker:
    """Carries out the commands of one device.

    Args:
        label: Whose commands they are, for messages.
        command_s: Longest time for one command.
        report: Told how each request ended: with None, or with why it failed.
    """

    def __init__(
        self,
        label: str,
        *,
        command_s: float,
        report: Callable[[CommandRequest, str | None], None],
    ) -> None:
        self._label = label
        self._command_s = command_s
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
        with anyio.move_on_after(self._command_s) as patience:
            error = await failure_of(
                partial(device.command, request.entity, request.command)
            )
            if isinstance(error, InternalError):
                _log.error(
                    "%s: command %s failed",
                    self._label,
                    request.entity,
                    exc_info=error.__cause__,
                )
            return None if error is None else error_text(error)
        if patience.cancelled_caught:
            return f"{self._label} did not carry it out within {self._command_s:g} s"
        return None
