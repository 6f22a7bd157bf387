"""What Mosquitto itself says it did with each message of QoS 2.

A receiver forgets a message once PUBREL has come, so a sender must not send its PUBLISH
after that (5.0 section 4.3.3). Mosquitto does when a connection breaks after PUBREL and
the next one before it has sent PUBREL again. Its log, with `log_type debug`, shows each
packet and tells such a repetition from one that is our own fault.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

LINE = re.compile(
    r"\d+: (?:"
    r"Sending (?P<sent>PUBLISH|PUBREL) to (?P<to>\S+) \((?:d\d, q2, r\d, )?m(?P<id>\d+)"
    r"|Received PUBCOMP from (?P<by>\S+) \(Mid: (?P<done>\d+)"
    r")"
)


@dataclass(slots=True)
class Flow:
    """One message of QoS 2 on its way from the broker to a client."""

    is_released: bool = False
    sent_after_release: int = 0


def flows_to(client_id: str, log: Iterable[str]) -> Mapping[int, Sequence[Flow]]:
    """Give the flows of each packet identifier, in the order of their beginning."""
    flows: defaultdict[int, list[Flow]] = defaultdict(list)
    open_flows: dict[int, Flow] = {}
    for line in log:
        match = LINE.match(line)
        if match is None or client_id not in {match["to"], match["by"]}:
            continue
        if match["done"]:
            open_flows.pop(int(match["done"]), None)
            continue
        packet_id = int(match["id"])
        flow = open_flows.get(packet_id)
        if flow is None:
            flow = open_flows[packet_id] = Flow()
            flows[packet_id].append(flow)
        if match["sent"] == "PUBREL":
            flow.is_released = True
        elif flow.is_released:
            flow.sent_after_release += 1
    return flows


def unexplained(
    deliveries: Iterable[tuple[int, int]], flows: Mapping[int, Sequence[Flow]]
) -> list[int]:
    """Give the numbers that came more often than the broker's own log explains.

    Args:
        deliveries: Number and packet identifier of each message that was handed out.
        flows: What the broker did, by packet identifier.
    """
    begun: Counter[int] = Counter()
    home: dict[int, int] = {}
    left: dict[int, int] = {}
    at_fault = []
    for number, packet_id in deliveries:
        if number not in home:
            # The broker begins its flows in the order in which they reach us.
            flow = flows[packet_id][begun[packet_id]]
            begun[packet_id] += 1
            home[number], left[number] = packet_id, flow.sent_after_release
        elif home[number] != packet_id or left[number] == 0:
            at_fault.append(number)
        else:
            left[number] -= 1
    return at_fault
