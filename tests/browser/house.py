"""A gateway with its page on this machine, in a thread of its own, for a browser."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractContextManager,
    ExitStack,
    asynccontextmanager,
    contextmanager,
)
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import anyio
import anyio.from_thread
import anyio.to_thread

from structiot import Environment
from structiot.dashboard import open_dashboard
from structiot.errors import StructiotError
from structiot.gateway import Gateway
from structiot.gateway.config import DashboardSection
from structiot.gateway.entities.topics import slug_of
from structiot.model import (
    Availability,
    Climate,
    ClimateState,
    Command,
    Cover,
    CoverAction,
    CoverMotion,
    CoverState,
    DeviceInfo,
    Entity,
    Fan,
    FanState,
    Light,
    LightState,
    Lock,
    LockAction,
    LockState,
    Number,
    Occurrence,
    Select,
    Sensor,
    Siren,
    SirenState,
    State,
    StateChange,
    Switch,
    Text,
)
from structiot.model.device_event import EntitiesChanged
from tests._support.ports import free_port
from tests.browser.past import Told, write_past
from tests.dashboard.house import EVERYTHING, PLUG, House, house
from tests.gateway.support import ScriptedDevice

BACKEND = os.environ.get("STRUCTIOT_BACKEND", "asyncio")
CLIMATE = Climate(key="climate", modes=("off", "heat"), presets=("eco", "comfort"))
COVER = Cover(key="cover", has_position=True, has_stop=True)
FAN = Fan(key="fan", speed_steps=4, can_oscillate=True)
SIREN = Siren(key="siren", tones=("fire", "bell"), has_volume=True)
LAMP = Light(
    key="light",
    color_modes=frozenset({"brightness", "color_temp", "rgb"}),
    min_color_temp_k=2700,
    max_color_temp_k=6500,
    effects=("calm", "party"),
)
MODE = Select(key="mode", name="Mode", options=("auto", "eco"))
METER = (
    Sensor(
        key="energy",
        name="Energy",
        unit="kWh",
        device_class="energy",
        state_class="total_increasing",
        decimals=1,
    ),
    Sensor(key="program", name="Program"),
)
_LOCKS = {
    LockAction.LOCK: LockState.LOCKED,
    LockAction.UNLOCK: LockState.UNLOCKED,
    LockAction.OPEN: LockState.OPEN,
}
_MOTIONS = {
    CoverAction.OPEN: CoverMotion.OPENING,
    CoverAction.CLOSE: CoverMotion.CLOSING,
    CoverAction.STOP: CoverMotion.STOPPED,
}
_FIRST: dict[type[Entity], State] = {
    Switch: False,
    Light: LightState(is_on=True, brightness_percent=40, color_temp_k=2700),
    Climate: ClimateState(mode="heat", target_c=21, current_c=20.5, action="heating"),
    Cover: CoverState(motion=CoverMotion.OPEN, position_percent=60),
    Fan: FanState(is_on=True, speed_percent=50, is_oscillating=False),
    Siren: SirenState(is_on=False, volume_percent=30, tone="fire"),
    Lock: LockState.LOCKED,
    Number: 4.0,
    Select: "auto",
    Text: "welcome",
    Sensor: 12.3,
}


class ObedientDevice(ScriptedDevice):
    """Does what it is told and reports it, unless a test has it do otherwise."""

    def __init__(self, info: DeviceInfo, entities: Sequence[Entity]) -> None:
        super().__init__(info, entities)
        self.reports = True
        self.stale_s = 3600.0

    @asynccontextmanager
    async def open(self) -> AsyncIterator[ScriptedDevice]:
        async with super().open() as opened:
            for one in self.entities:
                if one.key not in self.states and (state := _first(one)) is not None:
                    self.tell_state(one.key, state)
                    self.first.append(
                        StateChange(key=one.key, state=state, at_utc=datetime.now(UTC))
                    )
            yield opened

    async def command(self, key: str, command: Command) -> None:
        await super().command(key, command)
        if self.reports:
            self.tell_state(key, _after(self.states.get(key), command))


def _first(entity: Entity) -> State | None:
    if entity.key == "program":
        return "eco"
    return next((s for kind, s in _FIRST.items() if isinstance(entity, kind)), None)


def _after(before: Any, command: Any) -> Any:
    if isinstance(command, LockAction):
        return _LOCKS[command]
    if isinstance(command, CoverAction):
        return replace(before, motion=_MOTIONS[command])
    if isinstance(before, CoverState):
        return replace(before, position_percent=command)
    if is_dataclass(before) and isinstance(command, bool):
        return replace(before, is_on=command)  # type: ignore[type-var]
    if is_dataclass(before) and not isinstance(before, type):
        told = {one.name: getattr(command, one.name) for one in fields(command)}
        return replace(before, **{k: v for k, v in told.items() if v is not None})
    return command


def made(
    name: str,
    *entities: Entity,
    of: Callable[[DeviceInfo, Sequence[Entity]], ObedientDevice] = ObedientDevice,
) -> ObedientDevice:
    """Make a device that is there for what it has: a plug by default."""
    info = DeviceInfo(
        id=name,
        system="toy",
        name=name,
        serial=name,
        manufacturer="Toys",
        model=f"T{len(entities) or 1}",
    )
    return of(info, entities or PLUG)


def one_of_each() -> list[ObedientDevice]:
    """Make devices that have every kind of control between them."""
    return [
        made("kitchen"),
        made("everything", *EVERYTHING),
        made("hall", LAMP),
        made("blind", COVER),
        made("valve", CLIMATE),
        made("attic", FAN),
        made("alarm", SIREN),
        made("box", MODE, *(one for one in EVERYTHING if isinstance(one, Number))),
        made("meter", *METER),
    ]


class LivingHouse:
    """What a test holds: all of it is called from the test's own thread."""

    def __init__(
        self,
        portal: anyio.from_thread.BlockingPortal,
        inside: House,
        devices: Sequence[ObedientDevice],
        settings: Mapping[str, Any],
    ) -> None:
        self.devices = {one.info.name: one for one in devices}
        self.port = free_port()
        self._inside = inside
        self._settings = settings
        self._portal = portal
        self._page: AbstractContextManager[Any] | None = None

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def gateway(self) -> Gateway:
        return self._inside.gateway

    def call(self, function: Callable[..., Any], *arguments: Any) -> Any:
        return self._portal.call(function, *arguments)

    def tell(self, name: str, key: str, state: State | None) -> None:
        self.call(self.devices[name].tell_state, key, state)

    def commands(self, name: str) -> list[tuple[str, Any]]:
        """Give what a device was told so far."""
        return list(self.devices[name].commands)

    def happen(self, name: str, key: str, kind: str) -> None:
        told = Occurrence(key=key, event_type=kind, at_utc=datetime.now(UTC))
        self.call(self.devices[name].tell, told)

    def leave(self, name: str, reason: str = "it does not answer") -> None:
        told = Availability(is_available=False, at_utc=datetime.now(UTC), reason=reason)
        self.call(self.devices[name].tell, told)

    def come_back(self, name: str) -> None:
        told = Availability(is_available=True, at_utc=datetime.now(UTC))
        self.call(self.devices[name].tell, told)

    def refuse(self, name: str, error: StructiotError | None) -> None:
        self.devices[name].command_error = error

    def rename(self, name: str, to: str) -> None:
        one = self.devices[name]
        one.info = replace(one.info, name=to)
        self.call(one.tell, EntitiesChanged(at_utc=datetime.now(UTC)))

    def start_page(self) -> None:
        """Serve the page, at the same place each time."""
        section = DashboardSection(listen=(self.url,), **self._settings)
        page = open_dashboard(self._inside.gateway, section)
        self._page = self._portal.wrap_async_context_manager(page)
        self._page.__enter__()

    def stop_page(self) -> None:
        """Take the page away, as a gateway does that ends."""
        page, self._page = self._page, None
        if page is not None:
            page.__exit__(None, None, None)


def _told(one: ObedientDevice) -> Told:
    states = {entity.key: _first(entity) for entity in one.entities}
    known = {key: state for key, state in states.items() if state is not None}
    return one.info, slug_of(one.info.name or ""), one.entities, known


@contextmanager
def living_house(
    *devices: ObedientDevice,
    places: Mapping[str, Any] | None = None,
    hours: float = 48.0,
    **settings: Any,
) -> Iterator[LivingHouse]:
    """Open a gateway with these devices, and its page.

    Args:
        devices: The devices; each has a past.
        places: `[devices]` of the configuration.
        hours: How long that is.
        settings: `[dashboard]`.
    """
    with ExitStack() as stack:
        portal = stack.enter_context(anyio.from_thread.start_blocking_portal(BACKEND))
        folder = portal.wrap_async_context_manager(anyio.TemporaryDirectory())
        file = Path(stack.enter_context(folder)) / "history.sqlite"
        write = partial(write_past, file, list(map(_told, devices)), hours=hours)
        portal.call(anyio.to_thread.run_sync, write)
        sections = {"devices": places or {}}
        opened = house(Environment(), sections=sections, history_file=file)
        inside = stack.enter_context(portal.wrap_async_context_manager(opened))
        for one in devices:
            portal.call(inside.add, one)
        for one in devices:
            portal.call(inside.until, one.info.name.lower().replace(" ", "_"))
        found = LivingHouse(portal, inside, devices, settings)
        stack.callback(found.stop_page)
        found.start_page()
        yield found
