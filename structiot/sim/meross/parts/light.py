"""Lamps and dimmers: `Control.Light`, and the effects of newer ones."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from structiot._kit.json_text import integer_of
from structiot.meross.wire.payloads import items_of
from structiot.sim.meross.parts.toggle import ToggleX
from structiot.sim.meross.records import Range, Records, merge
from structiot.sim.meross.stage import Item, Malformed, Part, Stage

__all__ = ["Effects", "Light"]

_RGB: Final = 1
_TEMPERATURE: Final = 2
_LUMINANCE: Final = 4
_EFFECT: Final = 8
_RANGES: Final[dict[str, Range]] = {
    "rgb": (0, 0xFFFFFF),
    "temperature": (1, 100),
    "luminance": (0, 100),
    "onoff": (0, 1),
}


class Light(Records):
    """A lamp that can do what the bits of `capacity` say.

    Args:
        stage: The device.
        capacity: 1 colour, 2 colour temperature, 4 luminance, 8 effects.
        channel: Its channel; fans have their lamp at 1.
        has_onoff: Whether it is switched here, for want of a relay.
    """

    def __init__(
        self, stage: Stage, *, capacity: int, channel: int = 0, has_onoff: bool = False
    ) -> None:
        is_white = capacity & _TEMPERATURE or not capacity & _RGB
        item: Item = {
            "capacity": capacity & (~_RGB if is_white else ~_TEMPERATURE) & ~_EFFECT,
            "channel": channel,
        }
        if capacity & _RGB:
            item["rgb"] = 0xFF8000
        if capacity & _TEMPERATURE:
            item["temperature"] = 55
        item.update(luminance=100, transform=0)
        if has_onoff:
            item["onoff"] = 1
        if capacity & _EFFECT:
            item["effect"] = 0
        super().__init__(
            stage,
            "Appliance.Control.Light",
            [item],
            is_list=False,
            digest=("light",),
            is_digest_list=False,
            ranges=_RANGES,
            acks_state=has_onoff,
        )
        self._capacity = capacity

    def apply(self, wanted: Mapping[str, Any]) -> list[Item]:
        """Be as the bits of `capacity` say; that switches a lamp on."""
        if self.stage.faults.is_stuck:
            return []
        bits = integer_of(wanted.get("capacity")) or 0
        changed = super().apply({**wanted, "capacity": self.items[0]["capacity"]})
        for item in changed:
            if bits & _RGB:
                item["capacity"] = self._capacity & (_RGB | _LUMINANCE)
            elif bits & _TEMPERATURE:
                item["capacity"] = self._capacity & (_TEMPERATURE | _LUMINANCE)
            if bits and "onoff" not in wanted:
                self._switch_on(item)
        return changed

    def show_effect(self, index: int | None) -> None:
        """Show an effect, or none any more."""
        item = self.items[0]
        if index is None:
            item["capacity"] &= ~_EFFECT
        else:
            item["capacity"] |= _EFFECT
            item["effect"] = index
        self.tell([item])

    def _switch_on(self, item: Item) -> None:
        if "onoff" in item:
            item["onoff"] = 1
        for relay in self.stage.parts_of(ToggleX):
            if not relay.is_on(item["channel"]):
                relay.tell(relay.apply({"channel": item["channel"], "onoff": 1}))


class Effects(Part):
    """`Control.Light.Effect`: a list of which at most one is enabled."""

    namespaces: tuple[str, ...] = ("Appliance.Control.Light.Effect",)

    def __init__(self, stage: Stage) -> None:
        self._stage = stage
        self._effects: list[Item] = [
            {
                "Id": f"{number:016d}",
                "effectName": name,
                "iconName": f"icon{number}",
                "enable": 0,
                "mode": number % 3,
                "speed": 50,
                "member": [{"rgb": rgb, "luminance": 100} for rgb in colours],
            }
            for number, (name, colours) in enumerate(
                {
                    "Night": (0x200000, 0x400000),
                    "Rainbow": (0xFF0000, 0x00FF00, 0x0000FF),
                    "Candle": (0xFF8000, 0xFF6000),
                }.items()
            )
        ]

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with all of them."""
        return {"effect": [dict(effect) for effect in self._effects]}

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Change some, and show the one that is enabled."""
        wanted = items_of(payload, "effect")
        if not wanted:
            raise Malformed(namespace)
        for item in wanted:
            for effect in self._effects:
                if effect["Id"] == item.get("Id"):
                    merge(effect, {k: v for k, v in item.items() if k != "Id"})
                elif integer_of(item.get("enable")) == 1:
                    effect["enable"] = 0
        shown = [i for i, effect in enumerate(self._effects) if effect["enable"] == 1]
        for light in self._stage.parts_of(Light):
            light.show_effect(shown[0] if shown else None)
        self._stage.push(namespace, self.get(namespace, {}))
        return {}

    def digest(self) -> Item:
        """Give the one that is shown, in short."""
        shown = [e for e in self._effects if e["enable"] == 1]
        return {"light.effect": [{"Id": e["Id"], "enable": 1} for e in shown]}
