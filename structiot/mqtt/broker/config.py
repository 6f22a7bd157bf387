"""Limits and rules of a broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from structiot._kit.arguments import check_argument
from structiot.errors import ConfigError
from structiot.mqtt.wire.codec import SMALLEST_FIRST_BYTES
from structiot.mqtt.wire.messages import QOS_BITS, RETAIN

__all__ = ["BrokerLimits"]

LARGEST_PACKET_BYTES = 268_435_460
MAY_BE_ZERO = {"topic_alias_maximum", "maximum_qos"}
LONGEST_PREFIX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """Everything a client could have too much of.

    Raises:
        ConfigError: A limit that cannot be.
        UsageError: A limit of another class, such as a number as text.

    Attributes:
        connections: Clients at once; the last 32nd is for addresses that have fewer.
        connect_s: Longest time from the connection to a whole CONNECT, and from there
            to the end of an enhanced authentication.
        keep_alive_max_s: Longest keep-alive granted; a longer one is lowered in 5.0.
        connect_bytes: Longest packet taken that is no PUBLISH; at least 16,386.
        packet_bytes: Longest PUBLISH taken, announced in 5.0; a longer one ends the
            connection (0x95).
        payload_bytes: Longest payload taken; a message with a longer one is refused
            (0x97), as a will it refuses the connection (0x95).
        packet_filters: Most topic filters in one SUBSCRIBE or UNSUBSCRIBE.
        packet_properties: Most properties in one packet, each user property counted.
        logins_waiting: Clients that may wait for their passwords to be checked; of one
            address a quarter as many.
        receive_maximum: Messages of QoS 2 that a client may leave open.
        topic_alias_maximum: Topic aliases that a client may use, and that are used
            towards it if it takes as many.
        topic_levels: Most levels of a topic or filter.
        subscriptions: Filters of one client.
        subscription_bytes: What they may weigh: their characters, 250 bytes for each
            and 400 for each level.
        retained: Retained messages in all.
        retained_bytes: What they may weigh: payloads, properties, and topics as above;
            one that does not fit is refused (0x97).
        sessions: Sessions kept without a connection; of more those of the address that
            has most end, and those in which there is nothing before all others.
        session_expiry_max_s: Longest time a session is kept.
        inflight: Deliveries of QoS 1 and 2 under way to one client.
        inflight_bytes: What these may weigh, as below, before the next has to wait.
        queued: Deliveries of QoS 1 and 2 that wait for one client.
        queued_bytes: What those that wait and those under way may weigh: payloads,
            topics and properties, and 500 bytes for each.
        all_bytes: What all that clients make the broker hold may weigh: connections,
            sessions, what is above, and what is not yet written. Beyond three quarters
            only a client that holds less than 64 kB, or less than half of what the
            heaviest holds, gets more; beyond seven eighths the heaviest sessions of the
            address that holds most end, connected or not; and then nobody gets more.
        queue_policy: Which message of a full queue is dropped.
        queues_qos_0: Whether QoS 0 waits, too, for a client that is away.
        write_bytes: What may wait to be written to one client before QoS 0 is dropped.
        stall_s: How long a client may take nothing before it is cut off.
        maximum_qos: Highest QoS; announced in 5.0. A message above it ends the
            connection (0x9B), a will above it refuses it, a subscription gets less.
        retain_available: Whether messages are retained; announced in 5.0. One that is to
            be ends the connection (0x9A), such a will refuses it.
        check_retain_source: Whether a retained message is told only as long as the one
            who has published it might still do so.
        allows_empty_client_id: Whether a client may leave its id to the broker.
        client_id_prefix: How the ids begin that the broker makes up.
        allows_control_characters: Whether topics may hold control characters and
            noncharacters, which the standard advises against; otherwise a message is
            refused (0x90), and so is a filter (0x8F).
    """

    connections: int = 10_000
    connect_s: float = 10.0
    keep_alive_max_s: int = 65_535
    connect_bytes: int = 256 * 1024
    packet_bytes: int = 16 * 1024 * 1024
    payload_bytes: int = LARGEST_PACKET_BYTES
    packet_filters: int = 1000
    packet_properties: int = 1000
    logins_waiting: int = 1000
    receive_maximum: int = 1000
    topic_alias_maximum: int = 64
    topic_levels: int = 128
    subscriptions: int = 10_000
    subscription_bytes: int = 8 * 1024 * 1024
    retained: int = 100_000
    retained_bytes: int = 64 * 1024 * 1024
    sessions: int = 10_000
    session_expiry_max_s: int = 0xFFFF_FFFF
    inflight: int = 1000
    inflight_bytes: int = 32 * 1024 * 1024
    queued: int = 10_000
    queued_bytes: int = 32 * 1024 * 1024
    all_bytes: int = 256 * 1024 * 1024
    queue_policy: Literal["drop_oldest", "drop_newest"] = "drop_newest"
    queues_qos_0: bool = False
    write_bytes: int = 1024 * 1024
    stall_s: float = 30.0
    maximum_qos: int = 2
    retain_available: bool = True
    check_retain_source: bool = True
    allows_empty_client_id: bool = True
    client_id_prefix: str = "auto"
    allows_control_characters: bool = False

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value, usual = getattr(self, name), self.__dataclass_fields__[name].default
            check_argument(f"the broker's limit {name}", value, type(usual))
            if isinstance(value, bool | str) or value > 0:
                continue
            # Written so that NaN is refused, too.
            if not value >= 0 or name not in MAY_BE_ZERO:
                raise ConfigError(f"the broker's limit {name} is above 0, not {value}")
        for name, most in (
            ("packet_bytes", LARGEST_PACKET_BYTES),
            ("receive_maximum", 65_535),
            ("topic_alias_maximum", 65_535),
            ("keep_alive_max_s", 65_535),
            ("inflight", 65_535),
            ("session_expiry_max_s", 0xFFFF_FFFF),
            ("maximum_qos", 2),
        ):
            if getattr(self, name) > most:
                raise ConfigError(f"the broker's limit {name} ends at {most}")
        if self.connect_bytes < SMALLEST_FIRST_BYTES:
            raise ConfigError(
                f"the broker's limit connect_bytes begins at {SMALLEST_FIRST_BYTES}"
            )
        if self.queue_policy not in {"drop_oldest", "drop_newest"}:
            raise ConfigError("queue_policy is 'drop_oldest' or 'drop_newest'")
        prefix = self.client_id_prefix
        if len(prefix) > LONGEST_PREFIX or not prefix.isprintable():
            raise ConfigError(
                f"client_id_prefix is {LONGEST_PREFIX} printable characters at most"
            )

    @property
    def refused_flags(self) -> int:
        """The bits of QoS and RETAIN in a PUBLISH that this broker does not take."""
        above = QOS_BITS & -(2 << self.maximum_qos)
        return above if self.retain_available else above | RETAIN
