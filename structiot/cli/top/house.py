"""What a gateway's topics say of its house. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from structiot._kit.json_text import number_of, parse_object
from structiot._kit.text import printable
from structiot.errors import ProtocolViolation
from structiot.gateway.entities.flows import WATTS, PowerFlow, flow_of

__all__ = ["Device", "House", "System", "flow_in"]

# Whoever may write to the broker may write anything.
_MOST_DEVICES = 10_000
_MOST_SYSTEMS = 100
_MOST_PAGES = 1_000
_MOST_ENTITIES = 1_000
# What is more, nothing draws, and no column has room for.
_MOST_FIGURE = 1e12


@dataclass(slots=True)
class Device:
    """One device, as its topics have it.

    Attributes:
        name: What people call it.
        system: Whose driver serves it.
        is_away: Whether it cannot be reached.
        is_stale: Whether something that it shows is old.
        states: What its entities are, by key.
        powers: How many watts a figure of power is, by key.
        names: What these figures are called, by key.
        switches: What can be commanded, by key.
    """

    name: str
    system: str = ""
    is_away: bool = False
    is_stale: bool = False
    states: Mapping[str, object] = field(default_factory=dict)
    powers: Mapping[str, float] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    switches: tuple[str, ...] = ()

    @property
    def power_w(self) -> float | None:
        """What it draws without what it produces; None as `flow` is."""
        flow = self.flow
        return None if flow is None else flow.drawn_w - flow.produced_w

    @property
    def flow(self) -> PowerFlow | None:
        """What it draws and produces; None if it does not say, or cannot be asked now."""
        if self.is_away:
            return None
        told = {
            key: figure * factor
            for key, factor in self.powers.items()
            if not isinstance(value := self.states.get(key), str)
            and (figure := number_of(value)) is not None
            and abs(figure) < _MOST_FIGURE
        }
        return flow_of(told, self.names, is_switched=bool(self.switches))

    @property
    def shown_states(self) -> Iterator[tuple[str, str]]:
        """What of it can be switched is, in words."""
        for key in self.switches:
            state = self.states.get(key)
            if isinstance(state, dict):
                state = state.get("state", state.get("mode"))
            if state is not None:
                yield (
                    printable(key, most=20),
                    printable(str(state)[:80].lower(), most=20),
                )


@dataclass(frozen=True, slots=True)
class System:
    """Whether a system is served."""

    state: str
    reason: str


def flow_in(
    devices: Iterable[Device], *, of_circuits: bool = False
) -> PowerFlow | None:
    """Add up what devices draw and what they produce; None if none says.

    Args:
        devices: All of them.
        of_circuits: What meters of circuits measure, which is drawn by other devices,
            and else what all others do.
    """
    told = [
        flow
        for one in devices
        if (flow := one.flow) is not None and flow.is_circuits == of_circuits
    ]
    if not told:
        return None
    return PowerFlow(
        drawn_w=sum(one.drawn_w for one in told),
        produced_w=sum(one.produced_w for one in told),
        is_circuits=of_circuits,
    )


class House:
    """Takes messages, and knows what they come to.

    Args:
        base: First level of the gateway's topics.
        place: Where the broker is.

    Attributes:
        heard: How many messages have come.
        is_online: Whether the gateway runs; None before it said so.
        is_connected: Whether the broker can be reached; whoever follows it says so.
        systems: Whether each system is served.
        health: What the gateway has told of itself last.
    """

    def __init__(self, base: str, place: str) -> None:
        self.base: str = base
        self.place: str = place
        self.heard: int = 0
        self.is_online: bool | None = None
        self.is_connected: bool = True
        self.systems: dict[str, System] = {}
        self.health: Mapping[str, object] = {}
        self._pages: dict[int, list[dict[str, object]]] = {}
        self._page_count = 0
        self._away: dict[str, bool] = {}
        self._states: dict[str, Mapping[str, object]] = {}

    @property
    def filters(self) -> tuple[str, ...]:
        """What is to be subscribed to."""
        base = self.base
        return (f"{base}/gateway/#", f"{base}/+/availability", f"{base}/+/state")

    @property
    def is_known(self) -> bool:
        """Whether there is, or was, a gateway."""
        return self.is_online is not None

    @property
    def is_whole(self) -> bool:
        """Whether all of its devices are known."""
        return self.is_known and 0 < self._page_count <= len(self._pages)

    @property
    def is_old(self) -> bool:
        """Whether what is shown is nobody's word any more."""
        return not (self.is_online and self.is_connected)

    def take(self, topic: str, payload: bytes) -> None:
        """Take a message; what is nonsense is passed over."""
        self.heard += 1
        levels = topic.removeprefix(f"{self.base}/").split("/")
        try:
            match levels:
                case ["gateway", *rest]:
                    self._take_report(rest, payload)
                case [slug, "availability"]:
                    if self._has_room(slug, self._away):
                        self._away[slug] = payload != b"online"
                case [slug, "state"]:
                    self._take_states(slug, payload)
        except ProtocolViolation:
            return

    def _take_states(self, slug: str, payload: bytes) -> None:
        if not payload:
            self._states.pop(slug, None)
            self._away.pop(slug, None)
        elif self._has_room(slug, self._states):
            self._states[slug] = parse_object(payload, "states")

    def _has_room(self, slug: str, known: Mapping[str, object]) -> bool:
        return slug in known or len(known) < _MOST_DEVICES

    def _take_report(self, levels: list[str], payload: bytes) -> None:
        match levels:
            case ["availability"]:
                self.is_online = payload == b"online"
            case ["health"]:
                self.health = parse_object(payload, "health") if payload else {}
            case ["drivers", system]:
                self._take_system(printable(system, most=40), payload)
            case ["devices"]:
                self._take_page(1, payload)
            case ["devices", number] if number.isdecimal() and len(number) < 6:
                self._take_page(int(number), payload)

    def _take_system(self, system: str, payload: bytes) -> None:
        if not payload:
            self.systems.pop(system, None)
        elif system in self.systems or len(self.systems) < _MOST_SYSTEMS:
            told = parse_object(payload, "driver")
            state, reason = (str(told.get(one, "")) for one in ("state", "reason"))
            self.systems[system] = System(printable(state), printable(reason))

    def _take_page(self, number: int, payload: bytes) -> None:
        if not payload or number > _MOST_PAGES:
            self._pages.pop(number, None)
            return
        told = parse_object(payload, "devices")
        devices, count = told.get("devices"), told.get("pages")
        if isinstance(devices, list) and isinstance(count, int):
            self._pages.pop(number, None)
            room = _MOST_DEVICES - sum(map(len, self._pages.values()))
            found = [one for one in devices if isinstance(one, dict)]
            self._pages[number] = found[:room]
            self._page_count = count

    # ------------------------------------------------------------ what it comes to

    def devices(self, sort: str = "power") -> list[Device]:
        """Give the devices, those that draw most first, or by name."""
        found = [
            self._device(one)
            for number in sorted(self._pages)
            for one in self._pages[number]
        ]
        by_name = sorted(found, key=lambda one: (one.name.casefold(), one.name))
        if sort == "name":
            return by_name
        return sorted(
            by_name, key=lambda one: -math.inf if one.power_w is None else one.power_w,
            reverse=True,
        )  # fmt: skip

    @property
    def told_at(self) -> datetime | None:
        """When the gateway told how it fares, by its clock."""
        try:
            return datetime.fromisoformat(str(self.health.get("at")))
        except ValueError:
            return None

    def _device(self, told: Mapping[str, object]) -> Device:
        slug = str(told.get("device", ""))
        entities = told.get("entities")
        known = entities[:_MOST_ENTITIES] if isinstance(entities, list) else []
        powers: dict[str, float] = {}
        names: dict[str, str] = {}
        switches = []
        for one in known:
            if not isinstance(one, dict):
                continue
            key, platform = str(one.get("key")), one.get("platform")
            factor = WATTS.get(str(one.get("unit")))
            is_power = one.get("device_class") == "power" and platform == "sensor"
            if is_power and factor is not None:
                powers[key] = factor
                names[key] = str(one.get("name", ""))
            elif one.get("takes_commands") and platform not in {"number", "button"}:
                switches.append(key)
        health = self.health.get("devices")
        stale = health.get("stale") if isinstance(health, dict) else None
        return Device(
            name=printable(str(told.get("name") or slug), most=60),
            system=printable(str(told.get("system", "")), most=20),
            is_away=self._away.get(slug, True),
            is_stale=self.is_old or (isinstance(stale, list) and slug in stale),
            states=self._states.get(slug, {}),
            powers=powers,
            names=names,
            switches=tuple(switches),
        )
