"""Which message it is at which a broker hangs up.

A broker may end each connection on which a certain message is sent; sent again after each
reconnect, it would keep all others waiting for ever. But a DISCONNECT names no packet,
and a broker may only be crash-looping. So a message is given up only after a trial.

* No suspicion: all is sent as always. A message becomes a suspect when five connections
  in a row broke off soon with it as the oldest that was not acknowledged (a network that is
  bad breaks them off at any message, and the others would overtake it); or one did, for
  a reason that only certain messages can be the cause of (`_candidates`).
* Trial: on the next connection the suspects are withheld, and the rest goes on, one
  message at a time, so that whichever ends this connection is known and becomes a suspect,
  too. When the connection has lived twice as long as any that broke off with a suspect,
  and nothing else is under way, the oldest suspect is sent, alone.
    * It is acknowledged: no suspect any more.
    * The connection breaks off: one round against it. After three in a row (one, if the
      broker gives the reason for which it was suspected) it ends with an error.
    * The connection breaks off with nothing of ours under way, or there are too many
      suspects: it is the broker, and all are free again.
* 0x97, quota exceeded: at first the next connection only comes later, and goes on with
  one message at a time until everything is acknowledged.

What breaks off for a reason that has nothing to do with messages, or is ended from here,
proves nothing. Suspects stay in the session, and in the store, until they are given up.
"""

from __future__ import annotations

import logging
from collections.abc import Callable

import anyio

from structiot._kit.net.network import LOST
from structiot.errors import (
    CommandRefused,
    LinkLost,
    ProtocolViolation,
    StructiotError,
)
from structiot.mqtt.errors import MqttGoodbye
from structiot.mqtt.wire.flows.flow import MAX_PACKET_ID, Flow
from structiot.mqtt.wire.messages import RETAIN
from structiot.mqtt.wire.protocol import ClientProtocol
from structiot.mqtt.wire.reasons import ReasonCode

__all__ = [
    "LIVES_LONG_S",
    "LIVES_S",
    "MOST_SUSPECTS",
    "OF_SUBSCRIPTIONS",
    "ROUNDS",
    "SOON_S",
    "SUSPICIOUS",
    "UNRELATED",
    "PoisonMessages",
    "is_broken_off",
]

ROUNDS = 3
# Connections in a row that make something a suspect.
SUSPICIOUS = 5
MOST_SUSPECTS = 8
# A connection has broken off soon after something was sent.
SOON_S = 10.0
# How long a connection without the suspects has to live, at least and at most.
LIVES_S = 2.0
LIVES_LONG_S = 60.0
# How much time is given to a broker whose quota is exceeded.
QUOTA_DELAY_S = 10.0

_Filter = Callable[[list[Flow]], list[Flow]]

_log = logging.getLogger(__name__)


def _largest(flows: list[Flow]) -> list[Flow]:
    most = max((len(flow.payload) + len(flow.topic) for flow in flows), default=0)
    return [flow for flow in flows if len(flow.payload) + len(flow.topic) == most]


def _of_highest_qos(flows: list[Flow]) -> list[Flow]:
    highest = max((flow.flags & 6 for flow in flows), default=0)
    return [flow for flow in flows if flow.flags & 6 == highest]


def _retained(flows: list[Flow]) -> list[Flow]:
    return [flow for flow in flows if flow.flags & RETAIN]


def _with_format(flows: list[Flow]) -> list[Flow]:
    return [
        flow for flow in flows if flow.properties and flow.properties.payload_format
    ]


# Which of the messages under way can be the cause of a goodbye for these reasons.
_CAUSES: dict[int, _Filter] = {
    ReasonCode.PACKET_TOO_LARGE: _largest,
    ReasonCode.RETAIN_NOT_SUPPORTED: _retained,
    ReasonCode.QOS_NOT_SUPPORTED: _of_highest_qos,
    ReasonCode.PAYLOAD_FORMAT_INVALID: _with_format,
}
# What a broker says to subscriptions.
OF_SUBSCRIPTIONS = {
    ReasonCode.TOPIC_FILTER_INVALID,
    ReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
    ReasonCode.SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
    ReasonCode.WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
}
# A broker that says one of these has not been hurt by a message.
UNRELATED = {
    *OF_SUBSCRIPTIONS,
    ReasonCode.NORMAL_DISCONNECTION,
    ReasonCode.SERVER_BUSY,
    ReasonCode.SERVER_SHUTTING_DOWN,
    ReasonCode.KEEP_ALIVE_TIMEOUT,
    ReasonCode.SESSION_TAKEN_OVER,
    ReasonCode.ADMINISTRATIVE_ACTION,
    ReasonCode.USE_ANOTHER_SERVER,
    ReasonCode.SERVER_MOVED,
    ReasonCode.CONNECTION_RATE_EXCEEDED,
    ReasonCode.MAXIMUM_CONNECT_TIME,
}


def is_broken_off(error: StructiotError | None) -> bool:
    """Whether it was the peer that has ended a connection, by its words or deeds."""
    if isinstance(error, MqttGoodbye | ProtocolViolation):
        return True
    return isinstance(error, LinkLost) and isinstance(error.__cause__, LOST)


class PoisonMessages:
    """The suspects of one session, and the trial.

    Attributes:
        is_slow: Whether messages go out one at a time.
    """

    def __init__(self, protocol: ClientProtocol, peer: str) -> None:
        self.is_slow: bool = False
        self._is_quota_exceeded = False
        self._protocol = protocol
        self._outgoing = protocol.outgoing
        self._full_window = protocol.send_window
        self._peer = peer
        # The suspects with the rounds against them, the oldest first.
        self._suspects: dict[Flow, int] = {}
        self._codes: dict[Flow, int | None] = {}
        self._oldest: Flow | None = None
        self._in_a_row = 0
        self._opened_at: float | None = None
        self._tried: Flow | None = None
        self._tried_at = 0.0
        self._may_try = False
        self._lived_s = 0.0

    @property
    def trial_after_s(self) -> float | None:
        """How long a connection has to live before a suspect is sent; None without any."""
        if not self._suspects:
            return None
        return min(max(LIVES_S, 2 * self._lived_s), LIVES_LONG_S)

    def delay_s(self, usual_s: float) -> float:
        """Give the wait before the next attempt: longer when the broker wants time."""
        return max(usual_s, QUOTA_DELAY_S) if self._is_quota_exceeded else usual_s

    # -- what happens to a connection ----------------------------------------------

    def opened(self, now: float) -> None:
        """The broker has accepted us."""
        self._opened_at = now
        self._may_try = False
        self._tried = None
        self._is_quota_exceeded = False

    def lost(self, error: StructiotError | None, now: float) -> None:
        """A connection has ended, or an attempt to have one."""
        opened_at, self._opened_at = self._opened_at, None
        tried, self._tried = self._tried, None
        if opened_at is not None and is_broken_off(error):
            code = error.code if isinstance(error, MqttGoodbye) else None
            if code not in UNRELATED:
                self._judge(error, code, tried, opened_at, now)
        self._prepare()

    def _judge(
        self,
        error: StructiotError | None,
        code: int | None,
        tried: Flow | None,
        opened_at: float,
        now: float,
    ) -> None:
        under_way = self._outgoing.under_way()
        can_be = _CAUSES[code](under_way) if code in _CAUSES else under_way
        first = can_be[0] if can_be else None
        sent_at = opened_at if tried is None else self._tried_at
        was_slow = self.is_slow
        if code == ReasonCode.QUOTA_EXCEEDED:
            self.is_slow = self._is_quota_exceeded = True
        is_soon = now - sent_at <= max(SOON_S, self._lived_s)
        if tried is not None and not tried.is_done:
            if first is tried and is_soon:
                self._lived_s = max(self._lived_s, now - opened_at)
                self._count(tried, error, code)
        elif self._suspects:
            if first is None or len(self._suspects) >= MOST_SUSPECTS:
                _log.info("%s breaks off by itself, it is no message", self._peer)
                self._suspects.clear()
            else:
                self._suspect(first, code, error)
        elif code == ReasonCode.QUOTA_EXCEEDED and not was_slow:
            pass
        elif first is not None and is_soon:
            self._in_a_row = self._in_a_row + 1 if first is self._oldest else 1
            if code in _CAUSES or self._in_a_row >= SUSPICIOUS:
                self._lived_s = now - opened_at
                self._suspect(first, code, error)
        self._oldest = first

    def _suspect(
        self, flow: Flow, code: int | None, error: StructiotError | None
    ) -> None:
        self._suspects[flow] = 0
        self._codes[flow] = code
        _log.warning(
            "%s; a message to %r (%d bytes, QoS %d) may be the cause: the others go first",
            error,
            flow.topic,
            len(flow.payload),
            flow.flags >> 1 & 3,
        )

    def _count(
        self, flow: Flow, error: StructiotError | None, code: int | None
    ) -> None:
        self._suspects[flow] += 1
        is_said = code in _CAUSES and code == self._codes[flow]
        if not is_said and self._suspects[flow] < ROUNDS:
            return
        text = (
            f"{self._peer} ends each connection on which a message to {flow.topic!r} "
            f"({len(flow.payload)} bytes, QoS {flow.flags >> 1 & 3}) is sent: {error}"
        )
        self._outgoing.give_up(flow, CommandRefused(text, code=code))

    def _prepare(self) -> None:
        """Say what the next connection withholds, and how fast it goes."""
        self._suspects = {
            flow: rounds for flow, rounds in self._suspects.items() if not flow.is_done
        }
        if self._oldest is not None and self._oldest.is_done:
            self._oldest = None
        self._codes = {flow: self._codes[flow] for flow in self._suspects}
        self._outgoing.withheld = set(self._suspects)
        is_slow = bool(self._suspects) or self.is_slow
        self._protocol.send_window = 1 if is_slow else self._full_window

    # -- the trial, while there is a connection --------------------------------------

    async def run_trial(self, wake: Callable[[], None]) -> None:
        """Try the suspects on a connection that lives without them."""
        await anyio.sleep(self.trial_after_s or 0.0)
        self._may_try = True
        self._outgoing.window = 0
        self.go_on(anyio.current_time())
        wake()
        while self._suspects:
            await anyio.sleep(SOON_S)
            self._acquit()
            self.go_on(anyio.current_time())
            wake()

    def _acquit(self) -> None:
        """It lives with a suspect that was sent some time ago, answered or not."""
        if self._tried is not None:
            self._suspects.pop(self._tried, None)
            self._tried = None
        if self._outgoing.on_wire:
            # Nothing else can be tried alone.
            self._suspects.clear()

    def go_on(self, now: float) -> bool:
        """Look at what has become of the trial; True if there is something to write."""
        outgoing = self._outgoing
        if self._opened_at is None:
            return False
        if self._tried is not None and self._tried.is_done:
            self._suspects.pop(self._tried, None)
            self._tried = None
        if self._may_try and self._suspects and self._tried is None:
            if outgoing.on_wire:
                return False
            self._tried, self._tried_at = next(iter(self._suspects)), now
            outgoing.send_withheld(
                self._tried, self._protocol.flow_out, self._protocol.version
            )
            return True
        if self._suspects or (self.is_slow and len(outgoing)):
            return False
        return self._hurry()

    def hold(self) -> bool:
        """Begin no message for a while; False if one is on trial itself."""
        if not self.is_busy:
            self._outgoing.window = 0
        return not self.is_busy

    def release(self) -> None:
        """Go on with the messages."""
        if self._opened_at is not None and not self.is_busy:
            self._hurry()

    def _hurry(self) -> bool:
        self.is_slow = self._may_try = False
        self._oldest, self._lived_s = None, 0.0
        protocol = self._protocol
        protocol.send_window = self._full_window
        self._outgoing.window = min(
            self._full_window, protocol.limits.receive_maximum or MAX_PACKET_ID
        )
        for flow in list(self._outgoing.withheld):
            self._outgoing.send_withheld(flow, protocol.flow_out, protocol.version)
        self._outgoing.pump(protocol.flow_out, protocol.version)
        return True

    @property
    def is_busy(self) -> bool:
        """Whether `go_on` has something to look at."""
        return bool(self._suspects) or self.is_slow
