"""Sprinklers (mst100, mst200 with two zones), on a msh450.

Facts: reference 12. On is 1 and off is 2. `Hub.ToggleX` is acknowledged and moves
nothing, so that it is never used.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import ClassVar, Final

from structiot.meross.features.feature import Request, Update
from structiot.meross.features.fields import Adjustable, Flag, Setting, Switched
from structiot.meross.features.subdevice import (
    DIGEST_HUB,
    SubPoll,
    TableSubFeature,
    joined,
)
from structiot.meross.features.table import MAX_CHANNELS
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.payloads import Item, items_of, key_of, object_of
from structiot.model import Command

__all__ = ["SPRINKLERS", "Sprinkler"]

SPRINKLERS: Final = ("mst100", "mst200")

_WATER: Final = "Appliance.Control.Water"
_CONFIG: Final = "Appliance.Config.DeviceCfg"
# Not a namespace: what the digest says of the flow.
_FLOW: Final = "flow"
_A_DAY_S: Final = 86_400


def _duration(key: str, name: str, path: tuple[str, ...]) -> Adjustable:
    return Adjustable(
        key=key,
        path=path,
        name=name,
        category="config",
        device_class="duration",
        lowest=0,
        highest=_A_DAY_S,
        minimum=1,
        maximum=_A_DAY_S,
        step=1,
        unit="s",
        ends=("", ""),
    )


class Sprinkler(TableSubFeature):
    """Water on and off by zone, whether it flows, and for how long it does by default."""

    name = "water"
    namespaces: ClassVar[frozenset[str]] = frozenset({DIGEST_HUB, _WATER, _CONFIG})
    polls: ClassVar[tuple[SubPoll, ...]] = (
        SubPoll(namespace=_WATER, by_channel=True),
        SubPoll(namespace=_CONFIG, pace="slow", by_channel=True),
    )
    settings: ClassVar[tuple[Setting, ...]] = (
        Setting(
            namespace=_WATER,
            fields=(Switched(key="water", path=("onoff",), name="Water", off=2),),
        ),
        Setting(
            namespace=_CONFIG,
            fields=(_duration("water_duration", "Duration", ("mstCfg", "dura")),),
        ),
        Setting(
            namespace=_FLOW,
            fields=(
                Flag(
                    key="water_flow",
                    path=("wflow",),
                    name="Water flows",
                    device_class="running",
                ),
            ),
        ),
    )

    @property
    def channels(self) -> tuple[int, ...]:
        """Its zones, as far as they have been told."""
        return self.table.channels

    def take_item(self, namespace: str, item: Item, at_utc: datetime) -> Update:  # noqa: ARG002
        """Read the zone of an item; of the digest, all zones."""
        if namespace != DIGEST_HUB:
            return self.table.take(namespace, item)
        zones = items_of(item, "waDet")[:MAX_CHANNELS] or (object_of(item, "mst"),)
        return joined([self.table.take(_FLOW, zone) for zone in zones])

    def command(
        self,
        key: str,
        command: Command,
        at_utc: datetime,  # noqa: ARG002
    ) -> Sequence[Request] | None:
        """Turn a zone on, for as long as is set for it, or off; or set how long."""
        if not self.table.has(key):
            return None
        change = self.table.change(key, command)
        members = dict(change.members)
        if change.namespace == _WATER and command:
            suffix = key.removeprefix("water")
            duration_s = self.table.known(f"water_duration{suffix}")
            if duration_s is not None:
                members["dura"] = duration_s
        item = {"subId": self.about.sub_id, "channel": change.channel, **members}
        return [
            Request(
                method=Method.SET,
                namespace=change.namespace,
                payload={key_of(change.namespace): [item]},
            )
        ]
