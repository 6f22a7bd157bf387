"""What the log says of lost connections: each cause, and what many in a row may mean."""

from __future__ import annotations

import logging

from structiot.errors import LinkLost, StructiotError
from structiot.mqtt.errors import MqttGoodbye
from structiot.mqtt.link.poison_messages import is_broken_off

__all__ = ["LossLog"]

# So many connections in a row that the broker breaks off without a word are no chance.
# More than make a message or a subscription a suspect, which explains it better.
SUSPICIOUS = 6
# One that lived for longer is none of them, whatever the schedule of the other client.
STABLE_S = 60.0

_log = logging.getLogger(__name__)


class LossLog:
    """Writes why there is no connection."""

    def __init__(self, peer: str) -> None:
        self._peer = peer
        self._in_a_row = 0

    def lost(
        self,
        error: StructiotError,
        retry_in_s: float,
        *,
        is_news: bool,
        lived_s: float | None,
        client_id: str | None,
    ) -> None:
        """A connection has ended, or an attempt failed; another follows.

        Args:
            error: Why.
            retry_in_s: When the next attempt follows.
            is_news: Whether who reads nothing but warnings shall know it as well.
            lived_s: How long the connection lived; None if there was none.
            client_id: Under which another client may have come; None if something else
                is known to be the cause.
        """
        level = logging.WARNING if is_news else logging.INFO
        text = "no MQTT broker: %s; next attempt in %.1f s"
        _log.log(level, text, error, retry_in_s)
        if lived_s is None:
            return
        is_silent = isinstance(error, LinkLost) and not isinstance(error, MqttGoodbye)
        if not is_silent or not is_broken_off(error) or lived_s >= STABLE_S:
            self._in_a_row = 0
        elif client_id is not None:
            self._in_a_row += 1
            if self._in_a_row == SUSPICIOUS:
                # In 3.1.1 a broker cannot say that another client has taken over.
                question = "does another client use the same client id?"
                _log.warning(
                    "%s; so ended %d connections in a row of client %r that %s had "
                    "accepted: %s",
                    error,
                    SUSPICIOUS,
                    client_id,
                    self._peer,
                    question,
                )
