"""What a method of authentication has to do."""

from __future__ import annotations

from typing import Protocol, runtime_checkable

__all__ = ["Authentication"]


@runtime_checkable
class Authentication(Protocol):
    """How a client shows who it is, by a method that its broker knows; given as `auth`.

    One object serves one client for all its connections. `AuthRefused`, or any other
    error of structiot that a method raises, ends the connection; what else it raises
    ends the client's block as itself.
    """

    @property
    def method(self) -> str:
        """The name of the method, as the broker knows it."""
        ...

    async def begin(self) -> bytes | None:
        """Give the data that goes with the CONNECT, or that begins another exchange."""
        ...

    async def answer(self, data: bytes | None) -> bytes | None:
        """Answer one challenge of the broker."""
        ...

    def finish(self, data: bytes | None) -> None:
        """Look at what the broker gives when it accepts us; raise if it is not enough."""
        ...
