"""What can go wrong with a platform, beyond the common errors."""

from __future__ import annotations

from structiot.errors import CommandRefused

__all__ = ["PlatformRefused"]


class PlatformRefused(CommandRefused):
    """The platform has understood what it was asked, and says no.

    Attributes:
        status: 400 or 500 as the platform has it: the first is our fault or the
            device's, the second its own.
        text: Its own words.
    """

    def __init__(self, status: int, text: str) -> None:
        super().__init__(
            f"the platform refuses with status {status}: {text or 'it does not say why'}",
            code=status,
            peer_text=text,
        )
        self.status: int = status
        self.text: str = text
