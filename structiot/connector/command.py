"""A command of the platform, for the user to answer."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType, TracebackType
from typing import Final, Protocol, Self

import anyio

from structiot._kit.text import error_text, printable
from structiot.connector.device import Device
from structiot.connector.platform import Incoming
from structiot.connector.wire.parts import DATA, METADATA, part_text
from structiot.errors import UsageError

__all__ = ["Answering", "Command"]

# What is spent on saying that nothing was done, also by who is cancelled.
_GOODBYE_S: Final = 2.0


class Answering(Protocol):
    """Takes answers to the platform, by whichever connection there is."""

    async def respond(
        self, incoming: Incoming, data: str | None, metadata: str | None
    ) -> bool:
        """Answer a command; tell whether the platform took it."""
        ...

    async def fail(self, incoming: Incoming, text: str) -> bool:
        """Say that a command has failed; tell whether the platform took it."""
        ...


class Command:
    """What the platform asks of a device; made by `connector.commands()`.

        async with command:
            await command.respond(switch(command.service, command.data))

    As a block it is answered in any case: what the block raises, or that it has given no
    answer, is what the platform is told, and the exception goes on. A command that is
    answered by nobody has the platform's task run into its time limit.

    Attributes:
        device_id: Of which device.
        device: That device, as the device manager had it last; None if it has none of
            this id any more.
        service: Which of its services.
        protocol_parts: What is asked, by the names of the protocol's parts; a value is
            None where the platform says nothing.
        data: The part of that name, None without one.
        metadata: The part of that name, None without one.
        received_at: When it came, as `anyio.current_time()` tells: the platform waits no
            longer than a minute or so.
        size_bytes: What it takes in memory, about.
    """

    def __init__(
        self, incoming: Incoming, device: Device | None, answering: Answering
    ) -> None:
        self.device_id: str = incoming.device_id
        self.device: Device | None = device
        self.service: str = incoming.service
        self.protocol_parts: Mapping[str, str | None] = MappingProxyType(
            dict(incoming.parts)
        )
        self.data: str | None = incoming.parts.get(DATA)
        self.metadata: str | None = incoming.parts.get(METADATA)
        self.received_at: float = incoming.received_at
        self.size_bytes: int = incoming.size_bytes
        self._incoming = incoming
        self._answering = answering
        self._is_answered = False

    def __repr__(self) -> str:
        told = printable(f"{self.service!r} of {self.device_id!r}")
        return f"<Command {told}>"

    @property
    def is_answered(self) -> bool:
        """Whether it has had its answer, whatever became of that."""
        return self._is_answered

    async def respond(self, data: object, metadata: object = None) -> bool:
        """Answer it, once.

        Where the connection is lost meanwhile, it is answered by the next one if that
        comes within 10 s. Cancelled, the answer may have been sent.

        Args:
            data: A text as it is; any other value as JSON.
            metadata: Likewise; None for none.

        Returns:
            Whether the platform took it; why not is in the log.

        Raises:
            UsageError: It has been answered already, or that is no JSON.
        """
        texts = part_text(data), part_text(metadata, "metadata")
        self._answer()
        return await self._answering.respond(self._incoming, *texts)

    async def fail(self, text: str) -> bool:
        """Answer it, once, by saying that it has failed, and why.

        Over SEPL the platform gets the metadata `error: <text>`, as there is no other
        word for it; over SENERGY it is an error of the command.

        Args:
            text: Why, for whoever looks at the process.

        Returns:
            Whether the platform took it; why not is in the log.

        Raises:
            UsageError: It has been answered already.
        """
        self._answer()
        return await self._answering.fail(self._incoming, printable(str(text)))

    def _answer(self) -> None:
        if self._is_answered:
            raise UsageError(f"{self!r} has been answered already")
        self._is_answered = True

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._is_answered:
            return
        if exc is None:
            text = "no answer was given"
        else:
            is_error = isinstance(exc, Exception)
            text = error_text(exc) if is_error else "it was cancelled"
        with anyio.move_on_after(_GOODBYE_S, shield=True):
            await self.fail(text)
