"""When a client pings, and when its server is dead: pure arithmetic on times."""

from __future__ import annotations

__all__ = ["KeepAlive"]


class KeepAlive:
    """The keep-alive of one connection.

    A client pings when nothing was sent, or nothing was received, for a while: a
    publisher who hears nothing would not notice a dead peer otherwise.

    Args:
        ping_delay_s: How long before the end of the keep-alive an idle client pings.
        ping_reply_s: How long PINGRESP may take when there is no keep-alive.

    Attributes:
        last_sent_at: When anything was written.
        last_received_at: When anything came.
        after_s: Idle time after which to ping; None for never.
        reply_s: How long PINGRESP may take.
        pauses: How many times we ourselves have stopped reading.
    """

    __slots__ = (
        "_default_reply_s",
        "_delay_s",
        "_is_paused",
        "_pinged_at",
        "after_s",
        "last_received_at",
        "last_sent_at",
        "pauses",
        "reply_s",
    )

    def __init__(self, *, ping_delay_s: float, ping_reply_s: float) -> None:
        self.last_sent_at: float = 0.0
        self.last_received_at: float = 0.0
        self.reply_s: float = ping_reply_s
        self._default_reply_s = ping_reply_s
        self._delay_s = ping_delay_s
        self.after_s: float | None = None
        self.pauses: int = 0
        self._is_paused = False
        self._pinged_at: float | None = None

    def start(self, keep_alive_s: int, now: float) -> None:
        """Begin a connection."""
        self.last_sent_at = self.last_received_at = now
        self._pinged_at = None
        self._is_paused = False
        self.agree(keep_alive_s)

    def agree(self, keep_alive_s: int) -> None:
        """Use this keep-alive, ours or the one the server has set; 0 is none."""
        # Half the time is soon enough even when the delay is set too long; a reply
        # within one more keep-alive has a dead peer noticed within two.
        self.after_s = max(keep_alive_s - self._delay_s, keep_alive_s / 2) or None
        self.reply_s = float(keep_alive_s) or self._default_reply_s

    def ping(self, now: float) -> bool:
        """Tell whether a PINGREQ is to be written; one is outstanding at most.

        While we do not read, answers are not seen, and the server still wants a sign.
        """
        if self.is_waiting:
            return False
        self._pinged_at = now
        return True

    def pong(self) -> bool:
        """Tell whether the server's answer is one: nobody may have asked."""
        was_asked, self._pinged_at = self._pinged_at is not None, None
        return was_asked

    def pause(self) -> None:
        """We stop reading: the server's silence does not count."""
        self.pauses += 1
        self._is_paused = True

    def resume(self, now: float) -> None:
        """We read again: the server's time begins anew."""
        self._is_paused = False
        self.last_received_at = now
        if self._pinged_at is not None:
            self._pinged_at = now

    @property
    def is_paused(self) -> bool:
        """Whether we do not read at present."""
        return self._is_paused

    @property
    def is_waiting(self) -> bool:
        """Whether a ping is unanswered that could have been answered."""
        return self._pinged_at is not None and not self._is_paused

    def next_deadline(self) -> float | None:
        """Give the time at which to ping, or to give up; None for never."""
        if self.is_waiting and self._pinged_at is not None:
            return self._pinged_at + self.reply_s
        if self.after_s is None:
            # Not for ever: after the pause there may be a ping to be answered.
            return None if self._pinged_at is None else self._pinged_at + self.reply_s
        if self._is_paused:
            return max(self.last_sent_at, self._pinged_at or 0.0) + self.after_s
        return min(self.last_sent_at, self.last_received_at) + self.after_s
