"""Limits and rules of a broker."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from structiot.errors import ConfigError

__all__ = ["BrokerLimits"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokerLimits:
    """Everything a client could have too much of.

    Attributes:
        connections: Clients at once.
        connect_s: Longest time from the connection to a whole CONNECT.
        keep_alive_max_s: Longest keep-alive granted; a longer one is lowered in 5.0.
        packet_bytes: Longest packet taken.
        receive_maximum: Deliveries of QoS 1 and 2 a client may leave open.
        topic_alias_maximum: Topic aliases a client may use.
        topic_levels: Most levels of a topic or filter.
        subscriptions: Filters of one client.
        retained: Retained messages in all.
        retained_bytes: What they may hold.
        sessions: Sessions kept without a connection.
        session_expiry_max_s: Longest time a session is kept.
        queued: Messages of QoS 1 and 2 that wait for one client.
        queued_bytes: What these may hold.
        queue_policy: Which message of a full queue is dropped.
        write_bytes: What may wait to be written to one client before QoS 0 is dropped.
        stall_s: How long a client may take nothing before it is cut off.
    """

    connections: int = 10_000
    connect_s: float = 10.0
    keep_alive_max_s: int = 65_535
    packet_bytes: int = 16 * 1024 * 1024
    receive_maximum: int = 1000
    topic_alias_maximum: int = 64
    topic_levels: int = 128
    subscriptions: int = 10_000
    retained: int = 100_000
    retained_bytes: int = 256 * 1024 * 1024
    sessions: int = 10_000
    session_expiry_max_s: int = 0xFFFF_FFFF
    queued: int = 10_000
    queued_bytes: int = 64 * 1024 * 1024
    queue_policy: Literal["drop_oldest", "drop_newest"] = "drop_newest"
    write_bytes: int = 1024 * 1024
    stall_s: float = 30.0

    def __post_init__(self) -> None:
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if isinstance(value, int | float) and value <= 0:
                raise ConfigError(f"the broker's limit {name} is above 0, not {value}")
        if self.packet_bytes > 268_435_460 or self.receive_maximum > 65_535:
            raise ConfigError(
                "packet_bytes ends at 268435460, receive_maximum at 65535"
            )
        if self.queue_policy not in {"drop_oldest", "drop_newest"}:
            raise ConfigError("queue_policy is 'drop_oldest' or 'drop_newest'")
