"""Commands of one device: one after the other, bounded, each with a deadline.

Every device has a worker of its own, so a device that hangs delays nobody else's
commands, and its own for no longer than the longest time for one. A command whose own
deadline passes while it waits is given up at once. A peer that has had enough of us
(`RateLimited`) is left alone for as long as it asks: commands are refused meanwhile.
"""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

import anyio

from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.flow.tasks import service_group
from structiot._kit.redact import HIDDEN
from structiot._kit.text import printable
from structiot.errors import (
    CommandRefused,
    InternalError,
    LinkLost,
    RateLimited,
    StructiotError,
)
from structiot.gateway.context import GatewayContext
from structiot.gateway.entities.orders import Order
from structiot.gateway.entities.topics import is_level
from structiot.gateway.errors import CommandExpired
from structiot.gateway.events import CommandFailed
from structiot.gateway.isolation import failure_of
from structiot.gateway.retrying import Retrying
from structiot.model import Command, Device, Entity, Text

__all__ = ["CommandRequest", "CommandWorker", "shown", "tell_refused"]

_MAX_WAITING = 32
# One message for several entities of a device may have more; it is as long as it is.
_MAX_AT_ONCE = 8192
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
    order: Order | None = None,
) -> None:
    """Tell in the log, on the error topic and as an event what was not carried out.

    The device, the entity and the topic are as somebody has published them. A device
    that cannot be a level of a topic has no error topic.
    """
    device_shown, entity_shown = (printable(one, most=100) for one in (device, entity))
    what = f"command {entity_shown}" if entity_shown else "a command for several"
    _log.warning("%s: %s refused: %s", device_shown, what, error)
    if is_level(device):
        told: dict[str, object] = {
            "error": error,
            "topic": printable(topic),
            "payload": payload,
            "at": context.clock().isoformat(timespec="milliseconds"),
        }
        if order is not None and order.id is not None:
            told["id"] = order.id
        text = json.dumps(told, ensure_ascii=False)
        context.sink.tell(context.topics.error(device), text)
    context.emit(
        CommandFailed(
            device=device_shown,
            entity=entity_shown,
            payload=payload,
            error=error,
            id=None if order is None else order.shown_id,
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


@dataclass(slots=True, kw_only=True, eq=False)
class CommandRequest:
    """A command that was understood and waits for its turn.

    Attributes:
        device: The device's level in topics, as it was then.
        entity: Key of the entity.
        topic: Where it was published; empty if it did not come from the broker.
        payload: What was published, as it may be shown.
        command: What it shall do.
        deadline: The time of the loop at which it is not worth doing any more.
        order: The same as JSON, if it was published so.
        ended: Told how it ended: with None, or with why it failed.
        is_over: It has ended, and is not carried out.
    """

    device: str
    entity: str
    topic: str
    payload: str
    command: Command = None
    deadline: float = math.inf
    order: Order | None = None
    ended: Callable[[StructiotError | None], None] | None = None
    is_over: bool = False


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
        report: Callable[[CommandRequest, StructiotError | None], None],
    ) -> None:
        self._label = label
        self._context = context
        self._retrying = retrying
        self._report = report
        self._box: Mailbox[CommandRequest] = Mailbox(
            _MAX_AT_ONCE, policy="drop_newest", name=f"commands of {label}"
        )
        self._waiting: dict[CommandRequest, None] = {}
        self._has_more = anyio.Event()

    def submit(self, *requests: CommandRequest) -> None:
        """Take requests, all of them or none; what is too much is refused at once."""
        waiting, now = len(self._box), anyio.current_time()
        is_too_much = waiting and waiting + len(requests) > _MAX_WAITING
        for request in requests:
            if request.deadline <= now:
                self._end(request, self._expired("it came too late"))
            elif not is_too_much and self._box.put(request):
                self._waiting[request] = None
                self._has_more.set()
            else:
                why = f"{waiting} commands wait for {self._label} already"
                self._end(request, CommandRefused(why))

    def drop(self, request: CommandRequest) -> None:
        """Forget a request that nobody waits for any more; what is begun, goes on."""
        request.is_over = True
        self._waiting.pop(request, None)

    def reject_waiting(self, reason: str) -> None:
        """Refuse what waits."""
        while self._box:
            lost = LinkLost(f"{self._label} is not available: {reason}", reason=reason)
            self._end(self._box.receive_nowait(), lost)

    async def work(self, device: Device) -> None:
        """Carry out requests until cancelled."""
        async with service_group() as tasks:
            tasks.start_soon(self._expire, name="structiot.gateway.deadlines")
            async for request in self._box:
                if request.is_over:
                    continue
                self._waiting.pop(request, None)
                error: StructiotError | None = LinkLost(
                    f"{self._label} was closed meanwhile"
                )
                try:
                    error = await self._carried_out(device, request)
                finally:
                    self._end(request, error)

    async def _expire(self) -> None:
        """Give up what waits for too long."""
        while True:
            self._has_more = anyio.Event()
            first = min((one.deadline for one in self._waiting), default=math.inf)
            with anyio.move_on_after(first - anyio.current_time()):
                await self._has_more.wait()
            now = anyio.current_time()
            for request in [one for one in self._waiting if one.deadline <= now]:
                self._end(request, self._expired("it has waited for too long"))

    def _expired(self, why: str) -> CommandExpired:
        return CommandExpired(f"{self._label} was not told: {why}")

    def _end(self, request: CommandRequest, error: StructiotError | None) -> None:
        self._waiting.pop(request, None)
        if not request.is_over:
            request.is_over = True
            self._report(request, error)

    async def _carried_out(
        self, device: Device, request: CommandRequest
    ) -> StructiotError | None:
        peer, limit_s = self._retrying(), self._context.command_s
        if (left_s := peer.left_alone_s) > 0:
            why = f"has had enough for now; ask again in {left_s:.0f} s"
            return CommandRefused(f"{self._label} {why}")
        limit_s = min(limit_s, request.deadline - anyio.current_time())
        with anyio.move_on_after(limit_s) as patience:
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
            return error
        if patience.cancelled_caught:
            why = f"did not carry it out within {limit_s:.3g} s"
            return CommandExpired(f"{self._label} {why}", was_begun=True)
        return None
