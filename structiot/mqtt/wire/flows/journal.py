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
        stage: Waiting, published or released, as in `wire.flows.sending`.
    """

    number: int
    stage: int
    packet_id: int
    flags: int
    topic: str
    payload: bytes
    properties: PublishProperties | None = None


@dataclass(slots=True)
class Changes:
    """What is to be written down in one transaction."""

    flows: list[StoredFlow] = field(default_factory=list)
    ended: list[int] = field(default_factory=list)
    received: list[int] = field(default_factory=list)
    released: list[int] = field(default_factory=list)
    forgot_received: bool = False

    def __bool__(self) -> bool:
        return bool(
            self.flows
            or self.ended
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
        self._received: dict[int, bool] = {}
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

    def received(self, packet_id: int) -> None:
        """A QoS 2 delivery is ours; its id is known until it is released."""
        self._received[packet_id] = True

    def released(self, packet_id: int) -> None:
        """The peer has released a QoS 2 delivery."""
        self._received[packet_id] = False

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
                    )
                )
        received, self._received = self._received, {}
        for packet_id, is_open in received.items():
            (changes.received if is_open else changes.released).append(packet_id)
        self._forgot_received = False
        return changes
