"""When a link tries again, and when it gives up: no clock, no network."""

from __future__ import annotations

import logging
from random import Random

from structiot._kit.flow.backoff import Backoff, Schedule
from structiot.errors import LinkLost, StructiotError
from structiot.mqtt.config import MqttConfig
from structiot.mqtt.errors import ConnectException
from structiot.mqtt.link.broker_address import Address
from structiot.mqtt.link.refusals import connect_error, is_final, is_refusal

__all__ = ["Retries"]

# A broker that restarts is often back at once; this attempt does not count.
FIRST_RETRY_S = 0.2
STABLE_S = 60.0
# So many connections in a row that lived no longer are no chance.
SHORT_S = 1.0
SUSPICIOUS = 3

_log = logging.getLogger(__name__)


class Retries:
    """The attempts of one link, and what is made of their failures.

    Attributes:
        attempts: How many attempts in a row have failed, the present one included.
        was_open: Whether the broker has ever accepted us.
    """

    def __init__(self, address: Address, config: MqttConfig, random: Random) -> None:
        self.attempts: int = 0
        self.was_open: bool = False
        self._address = address
        self._config = config
        self._schedule: Schedule = Backoff(
            cap_s=config.reconnect_max_interval, stable_s=STABLE_S
        ).start(random)
        self._has_hurried = False
        self._short_lives = 0

    def begin(self) -> None:
        """An attempt begins."""
        self.attempts += 1

    def succeed(self) -> int:
        """The broker has accepted us; tell how many attempts it took."""
        self.was_open = True
        attempts, self.attempts = self.attempts, 0
        return attempts

    def ended(self, lived_s: float) -> None:
        """A connection has ended after this time; a stable one resets the schedule."""
        self._schedule.succeeded(lived_s)
        self._short_lives = self._short_lives + 1 if lived_s < SHORT_S else 0
        if lived_s >= STABLE_S:
            self._has_hurried = False

    def delay_after(self, error: StructiotError) -> float | None:
        """Give the time until the next attempt; None for no more."""
        config = self._config
        if not config.auto_reconnect or (
            is_final(error) and not (config.retry_refused and is_refusal(error))
        ):
            return None
        if 0 <= config.reconnect_retries < self.attempts:
            return None
        if self.attempts == 0 and self._short_lives == SUSPICIOUS:
            # In 3.1.1 a broker cannot say that another client has taken over.
            _log.warning(
                "%s has ended %d connections in a row within a second; "
                "does another client use the same client id?",
                self._address.uri,
                SUSPICIOUS,
            )
        if self.attempts == 0 and not self._has_hurried:
            # Once only: a broker that accepts us and hangs up is not to be hammered.
            self._has_hurried = True
            return FIRST_RETRY_S
        return self._schedule.next_delay_s()

    def final(self, error: StructiotError) -> StructiotError:
        """Make of the last failure what the block ends with."""
        if not self.was_open:
            if isinstance(error, ConnectException):
                return error
            return connect_error(error, self._address.uri, attempts=self.attempts)
        if is_final(error) or not self.attempts:
            return error
        final = LinkLost(
            f"{error}; gave up after {self.attempts} attempts", reason=str(error)
        )
        final.__cause__ = error
        return final
