"""The Meross devices of the house, and the cloud of their account."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from random import Random
from typing import Final

from structiot._kit.environment import Environment
from structiot.errors import ConnectFailed
from structiot.sim.house.appliances import APPLIANCES
from structiot.sim.house.cloud_life import LIVES
from structiot.sim.house.day import DAY_S, Diary, house_clock, living
from structiot.sim.house.residents import Resident, named_on
from structiot.sim.meross.cloud import MerossCloudSim
from structiot.sim.meross.cloud_opening import sim_meross_cloud
from structiot.sim.meross.models import MEROSS_MODELS, MerossModel
from structiot.sim.meross.parts.hub import Hub
from structiot.sim.meross.simulator import MerossSim, sim_meross_device

__all__ = ["MEROSS", "HouseAccount", "house_account", "meross_residents"]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Plan:
    """A device: which model, and what it meters, by its name in `APPLIANCES`."""

    model: str
    name: str
    room: str
    metered: tuple[str, ...] = ()
    confirm: bool = False


_CIRCUITS: Final = (
    "Heat pump", "Cooker", "Washing machine", "Lights", "Fridge", "Solar",
)  # fmt: skip

MEROSS: Final = (
    _Plan(
        model="mss310",
        name="Coffee machine",
        room="Kitchen",
        metered=("Coffee machine",),
    ),
    _Plan(model="mss425f", name="Desk strip", room="Office"),
    _Plan(model="msl120", name="Reading lamp", room="Living room"),
    _Plan(model="msg100", name="Garage door", room="Garage"),
    _Plan(model="mrs100", name="Bedroom shutter", room="Bedroom"),
    _Plan(
        model="mts200",
        name="Bathroom floor",
        room="Bath",
        metered=("Floor heating",),
        confirm=True,
    ),
    _Plan(model="mod100", name="Diffuser", room="Living room"),
    _Plan(model="map100", name="Air purifier", room="Bedroom"),
    _Plan(model="em06", name="Fuse box", room="Hall", metered=_CIRCUITS),
    _Plan(model="msh300hk", name="Hub", room="Hall"),
)
"""The devices of the account, each of another model."""

_HUNG_UP: Final[Mapping[str, tuple[str, str]]] = {
    "mts100v3": ("Bedroom radiator", "Bedroom"),
    "ms100": ("Cellar thermometer", "Cellar"),
    "ms130": ("Office thermometer", "Office"),
    "ms200": ("Cellar door", "Cellar"),
    "ms405": ("Leak by the washing machine", "Cellar"),
    "gs559": ("Smoke detector", "Hall"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class HouseAccount:
    """The account of a house.

    Attributes:
        cloud: Its cloud.
        devices: Its devices.
        has_addresses: Whether each has an address of its own; else all are at one, and
            reached through the cloud alone.
    """

    cloud: MerossCloudSim
    devices: tuple[MerossSim, ...]
    has_addresses: bool


def meross_residents(count: int) -> list[Resident]:
    """Say what the first `count` devices are, and where; with what hangs on hubs."""
    found = []
    for number in range(count):
        plan, more = named_on(MEROSS, number)
        uuid = _uuid(number)
        found.append(
            Resident(
                known_as=f"meross {uuid}",
                name=plan.name + more,
                room=plan.room,
                confirm=plan.confirm,
            )
        )
        for kind, sub_id in _model(plan, number).subdevices:
            name, room = _HUNG_UP[kind]
            found.append(
                Resident(known_as=f"meross {sub_id}", name=name + more, room=room)
            )
    return found


def _model(plan: _Plan, number: int) -> MerossModel:
    """Give the model of a device; what hangs on a hub has numbers of its own."""
    model = MEROSS_MODELS[plan.model]
    if not model.subdevices:
        return model
    hung_up = tuple(
        (kind, f"{number + 1:04X}{sub_id[-4:]}") for kind, sub_id in model.subdevices
    )
    parts = (partial(Hub, subdevices=hung_up),)
    return replace(model, subdevices=hung_up, parts=parts)


def _uuid(number: int) -> str:
    return f"2401{number + 1:016d}48e1e9{number + 1:06x}"


@asynccontextmanager
async def house_account(
    environment: Environment, *, count: int, day_s: float = DAY_S
) -> AsyncGenerator[HouseAccount]:
    """Simulate a cloud, and in the local network the devices of its account.

    Args:
        environment: Where they are, and chance.
        count: How many; from the eleventh on they repeat.
        day_s: How long a day of the house takes, in seconds.

    Yields:
        The account.

    Raises:
        ConnectFailed: No port is free.
    """
    clock = house_clock(environment, day_s)
    diary = Diary(clock, Random(environment.random.getrandbits(64)))  # noqa: S311
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(max_tokens=1000, clock=clock, environment=environment)
        )
        sims, has_addresses = [], True
        for number in range(count):
            plan, more = named_on(MEROSS, number)
            _bind(cloud, plan, number, more)
            opening = partial(
                sim_meross_device,
                model=_model(plan, number),
                uuid=_uuid(number),
                name=plan.name + more,
                loads=[APPLIANCES[one] for one in plan.metered],
                cloud=cloud,
                http_port=0,
                clock=clock,
                environment=environment,
            )
            try:
                host = f"127.0.{1 + number // 250}.{1 + number % 250}"
                sim = await stack.enter_async_context(opening(host))
            except ConnectFailed:
                # Not every system has more than one address of its own.
                has_addresses = False
                sim = await stack.enter_async_context(opening("127.0.0.1"))
            live: Callable[[MerossSim, Diary], None] | None = LIVES.get(plan.model)
            if live is not None:
                live(sim, diary)
            sims.append(sim)
        await stack.enter_async_context(living(diary))
        yield HouseAccount(
            cloud=cloud, devices=tuple(sims), has_addresses=has_addresses
        )


def _bind(cloud: MerossCloudSim, plan: _Plan, number: int, more: str) -> None:
    """Bind a device to the account, with names for what hangs on it."""
    model = _model(plan, number)
    cloud.register(
        uuid=_uuid(number),
        name=plan.name + more,
        device_type=model.type,
        sub_type=model.sub_type,
        channels=model.channels,
        firmware=model.firmware,
        hardware=model.hardware,
        subdevices=[
            {
                "subDeviceId": sub_id,
                "subDeviceType": kind,
                "subDeviceName": _HUNG_UP[kind][0] + more,
            }
            for kind, sub_id in model.subdevices
        ],
    )
