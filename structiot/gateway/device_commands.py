"""What one device is told: each command ends as done, as refused or as expired."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from functools import partial

import anyio

from structiot._kit.text import error_text
from structiot.errors import (
    CommandRefused,
    LinkLost,
    ReplyTimeout,
    StructiotError,
    TransportError,
    UsageError,
)
from structiot.gateway.asking import Asked
from structiot.gateway.commanding import (
    CommandRequest,
    CommandWorker,
    shown,
    tell_refused,
)
from structiot.gateway.context import GatewayContext
from structiot.gateway.device_topics import DeviceTopics
from structiot.gateway.entities.commands import parse_command, takes_commands
from structiot.gateway.entities.orders import (
    Order,
    device_order,
    entity_order,
    value_payload,
)
from structiot.gateway.entities.topics import is_level
from structiot.gateway.errors import CommandExpired, UnknownEntity
from structiot.gateway.events import CommandDone
from structiot.gateway.isolation import as_ours
from structiot.gateway.retrying import Retrying
from structiot.model import Command, Device, Entity

__all__ = ["DeviceCommands", "outcome"]

Ended = Callable[[StructiotError | None], None]


def outcome(error: StructiotError | None) -> dict[str, object]:
    """Say how a command ended, as its answer does."""
    if error is None:
        return {"status": "done"}
    told: dict[str, object] = {"status": "refused", "error": error_text(error)}
    if isinstance(error, ReplyTimeout):
        told["status"] = "expired"
        told["was_begun"] = getattr(error, "was_begun", True)
    return told


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

    # ------------------------------------------------------------ from the broker

    def request(self, entity: str, asked: Asked) -> None:
        """Take a command for an entity; what cannot be done is told at once."""
        order = entity_order(asked.payload)
        topic = self._context.topics.result(self._topics.slug or "", entity)

        def answer(error: StructiotError | None) -> None:
            is_wanted = order is not None and is_level(entity)
            told = outcome(error)
            if order is not None and order.id is not None:
                told = {"id": order.id, **told}
            asked.answer(self._context, told, topic=topic if is_wanted else "")

        def parse() -> Command:
            payload = asked.payload if order is None else order.payload()
            return parse_command(self._commanded(entity), payload)

        self._submit(parse, self._request_for(entity, asked, order, answer))

    def request_several(self, asked: Asked) -> None:
        """Take a command for several entities; if one cannot be, none is carried out."""
        order = device_order(asked.payload)
        topic = self._context.topics.result(self._topics.slug or "", "")
        topic = topic if order.is_answered else ""
        head: dict[str, object] = {} if order.id is None else {"id": order.id}
        try:
            wanted = self._parsed_all(order)
        except StructiotError as exc:

            def refused(error: StructiotError | None) -> None:
                asked.answer(self._context, head | outcome(error), topic=topic)

            self._ended(self._request_for("", asked, order, refused), exc)
            return
        ends: dict[str, StructiotError | None] = {}

        def answer(entity: str, error: StructiotError | None) -> None:
            ends[entity] = error
            if len(ends) == len(wanted):
                told = head | _outcome_of_several(ends)
                asked.answer(self._context, told, topic=topic)

        requests = []
        for key, command in wanted.items():
            request = self._request_for(key, asked, order, partial(answer, key))
            request.command = command
            requests.append(request)
        self._worker.submit(*requests)

    def _parsed_all(self, order: Order) -> dict[str, Command]:
        """Read a command for several entities.

        Raises:
            StructiotError: One of them cannot be.
        """
        if order.fault:
            raise UsageError(order.fault)
        wanted = order.value if isinstance(order.value, dict) else {}
        try:
            return {
                key: parse_command(self._commanded(key), value_payload(value))
                for key, value in wanted.items()
            }
        # What an entity is, is somebody else's word.
        except Exception as exc:  # noqa: BLE001
            raise as_ours(exc) from None

    def _request_for(
        self, entity: str, asked: Asked, order: Order | None, end: Ended
    ) -> CommandRequest:
        left_s = asked.expires_in_s
        if order is not None:
            left_s = min(left_s, order.left_s(self._context.clock()))
        return CommandRequest(
            device=self._topics.slug or "",
            entity=entity,
            topic=asked.topic,
            payload=shown(asked.payload, entity, self._topics.entities),
            deadline=anyio.current_time() + left_s,
            order=order,
            ended=end,
        )

    def _submit(self, parse: Callable[[], Command], request: CommandRequest) -> None:
        try:
            request.command = parse()
        # As above.
        except Exception as exc:  # noqa: BLE001
            self._ended(request, as_ours(exc))
        else:
            self._worker.submit(request)

    # ------------------------------------------------------------ from elsewhere

    async def carry_out(
        self, entity: str, payload: bytes, *, within_s: float | None = None
    ) -> None:
        """Carry out a command that did not come from the broker, in its turn.

        Raises:
            UnknownEntity: There is no such entity.
            UsageError: It takes no such command.
            LinkLost: The device is not available.
            CommandRefused: It was not carried out; the message says why.
            CommandExpired: It was not in time, or the device has not confirmed it.
        """
        try:
            command = parse_command(self._commanded(entity), payload)
        # As above.
        except Exception as exc:  # noqa: BLE001
            raise as_ours(exc) from None
        has_ended, errors = anyio.Event(), list[StructiotError]()

        def ended(error: StructiotError | None) -> None:
            errors.extend(filter(None, [error]))
            has_ended.set()

        left_s = math.inf if within_s is None else within_s
        asked = Asked(payload=payload, expires_in_s=left_s)
        request = self._request_for(entity, asked, None, ended)
        request.command = command
        self._worker.submit(request)
        try:
            await has_ended.wait()
        finally:
            self._worker.drop(request)
        if errors:
            raise _for_callers(errors[0]) from None

    # ------------------------------------------------------------ its life

    async def work(self, device: Device) -> None:
        """Carry out what was requested until cancelled."""
        await self._worker.work(device)

    def close(self, reason: str) -> None:
        """Take no more, and refuse what waits."""
        self.is_open = False
        self._worker.reject_waiting(reason)

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
            raise UnknownEntity(f"{self._label} has no {key!r}; {choice}")
        return entity

    def _ended(self, request: CommandRequest, error: StructiotError | None) -> None:
        order = request.order
        if request.topic and error is None:
            self._context.emit(
                CommandDone(
                    device=request.device,
                    entity=request.entity,
                    payload=request.payload,
                    id=None if order is None else order.shown_id,
                )
            )
        elif request.topic and error is not None:
            tell_refused(
                self._context,
                device=request.device,
                entity=request.entity,
                topic=request.topic,
                payload=request.payload,
                error=error_text(error),
                order=order,
            )
        if request.ended is not None:
            request.ended(error)


def _outcome_of_several(
    ends: Mapping[str, StructiotError | None],
) -> dict[str, object]:
    """Say how a command for several entities ended: as the worst of them did."""
    told = {key: outcome(error) for key, error in ends.items()}
    failed = [(key, one) for key, one in told.items() if one["status"] != "done"]
    if not failed:
        return {"status": "done", "entities": told}
    refused = [one for one in failed if one[1]["status"] == "refused"]
    key, worst = (refused or failed)[0]
    error = f"{key}: {worst['error']}"
    return {"status": worst["status"], "error": error, "entities": told}


def _for_callers(error: StructiotError) -> StructiotError:
    """Give the error that tells a caller what can be done."""
    if isinstance(error, CommandExpired | LinkLost | CommandRefused):
        return error
    text = error_text(error)
    if isinstance(error, ReplyTimeout):
        return CommandExpired(text, was_begun=True)
    if isinstance(error, TransportError):
        return LinkLost(text)
    return CommandRefused(text)
