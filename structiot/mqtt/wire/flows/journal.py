"""What of a session has changed since it was last written down.

`Outgoing` and `Incoming` note their changes here when a store is in use. The shell
takes the changes and writes them down before the bytes leave that depend on them, so
that a killed process finds a session that is never behind what its peer was told.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from structiot.mqtt.wire.flows.flow import PUBLISHED, RELEASED, WAITING, Flow
from structiot.mqtt.wire.properties import PublishProperties

__all__ = ["Changes", "Journal", "StoredFlow"]

# Stages that mean something without a connection; all others are "published".
KEPT = (WAITING, PUBLISHED, RELEASED)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFlow:
    """One outgoing message as it is written down.

    Attributes:
        number: Its place in the order of acceptance.
        stage: Waiting, published or released, as in `wire.flows.flow`.
        expires_at: When it is not worth sending any more, by the clock of the loop;
            None if it was sent, or does not expire.
    """

    number: int
    stage: int
    packet_id: int
    flags: int
    topic: str
    payload: bytes
    properties: PublishProperties | None = None
    expires_at: float | None = None


@dataclass(slots=True)
class Changes:
    """What is to be written down in one transaction.

    Attributes:
        flows: Own messages that are not finished.
        ended: Numbers of those that are.
        taken: Ids of QoS 2 deliveries that were taken and not acknowledged.
        received: Ids of those that were acknowledged and not released.
        released: Ids that are free again.
        forgot_received: Whether all ids that were written down before are.
    """

    flows: list[StoredFlow] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    forgot_received: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.flows
            or self.ended
            or self.taken
            or self.received
            or self.released
            or self.forgot_received
        )


class Journal:
    """Collects changes; several changes of one flow become one."""

    def __init__(self, *, next_number: int = 1) -> None:
        self._next_number = next_number
        self._flows: dict[int, Flow] = {}
        self._numbers: dict[Flow, int] = {}
        self._received: dict[int, str] = {}
        self._forgot_received = False

    def __bool__(self) -> bool:
        return bool(self._flows or self._received or self._forgot_received)

    def adopt(self, flow: Flow, number: int) -> None:
        """Know a flow that is written down already."""
        self._numbers[flow] = number
        self._next_number = max(self._next_number, number + 1)

    def flow(self, flow: Flow) -> None:
        """A flow was accepted, sent, released or ended."""
        number = self._numbers.get(flow)
        if number is None:
            number = self._numbers[flow] = self._next_number
            self._next_number += 1
        self._flows[number] = flow

    def taken(self, packet_id: int) -> None:
        """A QoS 2 delivery was taken; its acknowledgement waits for earlier ones."""
        self._received[packet_id] = "taken"

    def received(self, packet_id: int) -> None:
        """A QoS 2 delivery is ours; its id is known until it is released."""
        self._received[packet_id] = "received"

    def released(self, packet_id: int) -> None:
        """The peer has released a QoS 2 delivery."""
        self._received[packet_id] = "released"

    def forget_received(self) -> None:
        """The peer's session is gone, and with it all ids."""
        self._received.clear()
        self._forgot_received = True

    def take(self) -> Changes:
        """Give what has changed since the last call."""
        changes = Changes(forgot_received=self._forgot_received)
        flows, self._flows = self._flows, {}
        for number, flow in flows.items():
            if flow.is_done:
                changes.ended.append(number)
                del self._numbers[flow]
            else:
                changes.flows.append(
                    StoredFlow(
                        number=number,
                        stage=flow.stage if flow.stage in KEPT else PUBLISHED,
                        packet_id=flow.packet_id,
                        flags=flow.flags,
                        topic=flow.topic,
                        payload=flow.payload,
                        properties=flow.properties,
                        expires_at=_expires_at(flow),
                    )
                )
        stages = {
            "taken": changes.taken,
            "received": changes.received,
            "released": changes.released,
        }
        received, self._received = self._received, {}
        for packet_id, stage in received.items():
            stages[stage].append(packet_id)
        self._forgot_received = False
        return changes


def _expires_at(flow: Flow) -> float | None:
    # Some kinds of flows have an end of life, and it counts until they are sent.
    return getattr(flow, "expires_at", None) if flow.stage == WAITING else None
