"""What of the broker has changed since it was last written down."""

from __future__ import annotations

from structiot.mqtt.broker.core.sessions import Session

__all__ = ["BrokerJournal"]


class BrokerJournal:
    """Collects changes."""

    def session(self, session: Session) -> None:
        """A session was begun, resumed or left, or its will has changed."""

    def ended(self, session: Session) -> None:
        """A session is over."""

    def subscription(self, session: Session, topic_filter: str) -> None:
        """A session's subscription was made, changed or removed."""

    def retained(self, topic: str) -> None:
        """The retained message of a topic has changed."""
