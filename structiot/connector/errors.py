"""What can go wrong with a platform, beyond the common errors."""

from __future__ import annotations

from structiot.errors import CommandRefused

__all__ = ["PlatformRefused"]


class PlatformRefused(CommandRefused):
    """The platform has understood what it was asked, and says no; or it is sure to.

    What a platform is sure to refuse is not sent.

    Attributes:
        status: 400 or 500 as the platform has it: the first is our fault or the
            device's, the second its own. Of what was not sent, what it would have said.
        text: Its own words, or why it was not sent.
        about: What is refused, such as the device; empty if nothing of the user's.
        was_sent: Whether it was the platform that has refused.
    """

    def __init__(
        self, status: int, text: str, *, about: str = "", was_sent: bool = True
    ) -> None:
        why = text or "it does not say why"
        who = f"the platform refuses with status {status}" if was_sent else "not sent"
        whose = f"{about}: " if about else ""
        super().__init__(f"{whose}{who}: {why}", code=status, peer_text=text)
        self.status: int = status
        self.text: str = text
        self.about: str = about
        self.was_sent: bool = was_sent

    def named(self, about: str) -> PlatformRefused:
        """Give the same with what it is about."""
        return PlatformRefused(
            self.status, self.text, about=about, was_sent=self.was_sent
        )
