"""What a hub is asked for its subdevices.

Facts: reference 3.4 and 4.12. An answer about more subdevices than fit into 4 kB comes
cut in two: what many are to be asked is asked in chunks.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from structiot.meross.features.feature import Poll, Request
from structiot.meross.features.subdevice import Subdevice, SubPoll
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import key_of
from structiot.meross.wire.system import Abilities

__all__ = ["IDS_AT_ONCE", "hub_polls"]

IDS_AT_ONCE: Final = 8

_VERSION: Final = SubPoll(namespace="Appliance.Hub.SubDevice.Version", pace="once")


def hub_polls(abilities: Abilities, subdevices: Iterable[Subdevice]) -> list[Poll]:
    """Give the questions to a hub that has these abilities and subdevices.

    An empty list of ids asks for all; a hub with more than eight subdevices of a sort
    is asked for eight at once.
    """
    items: dict[SubPoll, list[dict[str, object]]] = {}
    for subdevice in subdevices:
        for feature in subdevice.features:
            for poll in feature.polls:
                items.setdefault(poll, []).extend(
                    {"subId": subdevice.about.sub_id, "channel": channel}
                    if poll.by_channel
                    else {"id": subdevice.about.sub_id}
                    for channel in (feature.channels if poll.by_channel else (0,))
                )
        items.setdefault(_VERSION, []).append({"id": subdevice.about.sub_id})
    return [
        _poll(poll, chunk)
        for poll, asked in items.items()
        if poll.namespace in abilities
        for chunk in _chunks(poll, asked)
    ]


def _chunks(
    poll: SubPoll, asked: list[dict[str, object]]
) -> list[list[dict[str, object]]]:
    if len(asked) <= IDS_AT_ONCE and not poll.by_channel:
        return [[]]
    starts = range(0, len(asked), IDS_AT_ONCE)
    return [asked[start : start + IDS_AT_ONCE] for start in starts]


def _poll(poll: SubPoll, items: list[dict[str, object]]) -> Poll:
    request = Request(
        method=Method.GET,
        namespace=poll.namespace,
        payload={key_of(poll.namespace): items},
    )
    return Poll(request=request, pace=poll.pace)
