"""A house of one device of each kind that lives through faults for as long as one likes.

All of it is in memory and virtual time. What goes wrong once a day is in `TROUBLES`; the
day may be a short one.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import AsyncIterable, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Final

import anyio
from anyio.abc import TaskGroup, TaskStatus

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot.gateway import Gateway, open_gateway
from structiot.gateway.history import EnergyBar
from structiot.meross.stats import Call
from structiot.mqtt import Message, open_broker, open_mqttclient
from structiot.sim import (
    DialInSim,
    MaxSmartSim,
    MerossCloudSim,
    MerossSim,
    SeplPlatformSim,
    sim_devices,
    sim_maxsmart,
    sim_meross_cloud,
    sim_meross_device,
    sim_sepl_platform,
)
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock
from tests.gateway.endurance_devices import (
    CLOUD_LOAD,
    LAN_LOAD,
    METER_LOAD,
    STRIP_LOADS,
    Counter,
    Tasmota,
    metering,
)
from tests.gateway.endurance_troubles import TROUBLES
from tests.gateway.history_house import SetClock, of

URI: Final = "mqtt://127.0.0.1:1883"
POLL_S: Final = 60
LAMP_UUID: Final = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
LAMP: Final = f"manager_{LAMP_UUID.replace('-', '_')}"
METER_UUID: Final = "1862cfe1-5dab-4d8e-a946-50d6728f8310"
METER: Final = f"manager_{METER_UUID.replace('-', '_')}"
LINKS: Final = [
    {
        "from": "mqtt:stat/tasmota_1/POWER",
        "to": "tasmota/power",
        "kind": "switch",
        "set_topic": "cmnd/tasmota_1/POWER",
        "availability": "tele/tasmota_1/LWT",
    },
    {
        "from": "mqtt:tele/tasmota_1/SENSOR",
        "to": "tasmota/total",
        "kind": "sensor",
        "member": "ENERGY.Total",
        "unit": "kWh",
        "device_class": "energy",
        "state_class": "total_increasing",
        "availability": "tele/tasmota_1/LWT",
    },
    {
        "from": ["strip/port_?", "*/switch", "*/light", "tasmota/power"],
        "to": "platform",
        "type": "iot#plug",
    },
]


class EnduranceHouse:
    """The devices, their broker and their gateway; made by `endurance_house`.

    Attributes:
        latest: What stands on the broker that is there now.
        counters: Of the meters that count on, by the key of what they have counted.
        unheard_s: For how long the strip could not be read, by its troubles.
    """

    def __init__(self, folder: Path, tasks: TaskGroup) -> None:
        self.folder = folder
        self.tasks = tasks
        self.clock = SetClock()
        self.network = MemoryNetwork("127.0.0.1")
        random = Random(7)
        # The world's time is not the gateway's: somebody sets the gateway's clock.
        self.world = Environment(
            network=self.network, clock=virtual_clock, random=random
        )
        self.latest: dict[str, str] = {}
        # By troubles that the strip and the plug in the local network share.
        self.unheard_s: float = 0.0
        self.unheard_wh: float = 0.0
        self.strip: MaxSmartSim
        self.cloud: MerossCloudSim
        self.plug: MerossSim
        self.local: MerossSim
        self.platform: SeplPlatformSim
        self.lamp: DialInSim
        self.meter: DialInSim
        self.tasmota = Tasmota()
        self.counters = {
            f"{METER}/energy": Counter(METER_LOAD),
            "tasmota/total": self.tasmota.counter,
        }
        self.gateway: Gateway
        self._leave = self._left = anyio.Event()

    # ------------------------------------------------------------ what is asked

    def strip_wh(self) -> float:
        """Give all that the strip has delivered, by its own account."""
        return sum(self.strip.energy_wh(port) for port in range(1, 7))

    def state(self, topic: str) -> str | None:
        return self.latest.get(f"structiot/{topic}/state")

    def available(self) -> set[str]:
        return {
            name.split("/")[1]
            for name, payload in self.latest.items()
            if name.endswith("/availability") and payload == "online"
        }

    async def energy(self, key: str, *, gaps: bool = True) -> tuple[float, float]:
        """Give what the history has of energy, and for how long something was heard."""
        begin, end = datetime.fromisoformat("2025-12-01T00:00Z"), self.clock()
        far = max(end, virtual_clock()) + timedelta(days=3)
        found = await of(self.gateway).energy(key, begin, far, "day")
        bars = [*found.bars, *(found.gaps if gaps else ())]
        return (
            sum(bar.energy_wh or 0.0 for bar in bars),
            sum(bar.known_s for bar in found.bars),
        )

    async def whole_hours(self, key: str, from_utc: datetime) -> list[EnergyBar]:
        """Give the energy of those hours in which something was heard all the time."""
        found = await of(self.gateway).energy(key, from_utc, virtual_clock(), "hour")
        return [bar for bar in found.bars if bar.known_s > 3599.9]

    def wrong(self) -> list[str]:
        """Say which final states are not those of the devices."""
        wanted = {
            f"strip/port_{port}": "ON" if self.strip.ports[port] else "OFF"
            for port in range(1, 7)
        }
        wanted["local/switch"] = wanted[f"{self.plug_slug}/switch"] = "ON"
        wanted[f"{LAMP}/light"] = "ON" if self.lamp.state["is_on"] else "OFF"
        wanted["tasmota/power"] = "ON" if self.tasmota.is_on else "OFF"
        found = [
            f"{key}: {self.state(key)}, not {one}"
            for key, one in wanted.items()
            if self.state(key) != one
        ]
        power_w = float(self.state("local/power_w") or "nan")
        if power_w != LAN_LOAD.high_w:
            found.append(f"local/power_w: {power_w}")
        devices = {"strip", "local", self.plug_slug, LAMP, METER, "tasmota"}
        found += [f"{one} is offline" for one in sorted(devices - self.available())]
        told = self.told_to_platform()
        for key, one in wanted.items():
            if told.get(key) != one:
                found.append(f"{key} is {told.get(key)} at the platform, not {one}")
        return found

    def told_to_platform(self) -> dict[str, str]:
        """Give what the platform heard last, by key."""
        systems = {
            "maxsmart": "strip",
            f"meross:{self.plug.uuid}": self.plug_slug,
            f"meross:{self.local.uuid}": "local",
            "manager": LAMP,
            "mqtt": "tasmota",
        }
        found = {}
        for event in self.platform.events:
            uri = event.device_uri
            slug = systems.get(uri) or systems.get(uri.partition(":")[0], uri)
            word = "ON" if event.data == "true" else "OFF"
            found[f"{slug}/{event.service_uri}"] = word
        return found

    @property
    def plug_slug(self) -> str:
        return f"meross_{self.plug.uuid}"

    def held(self) -> dict[str, int]:
        """Give what the process holds: objects, blocks and tasks.

        Without the calls that `meross.stats` remembers: 4,096 are many days'.
        """
        gc.collect()
        objects = gc.get_objects()
        calls = sum(isinstance(one, Call) for one in objects)
        return {
            "objects": len(objects) - 2 * calls,
            "blocks": sys.getallocatedblocks(),
            "tasks": len(anyio.get_running_tasks()),
        }

    # ------------------------------------------------------------ what is done

    async def command(self, topic: str, payload: str) -> None:
        """Have something switched by whoever sits at the broker."""
        async with open_mqttclient(URI, environment=self.world) as client:
            await client.publish(f"structiot/{topic}/set", payload.encode(), qos=1)

    async def open_broker(self) -> None:
        """Have a broker that knows nothing, and somebody who watches it."""
        self.latest.clear()
        self._leave, self._left = anyio.Event(), anyio.Event()
        await self.tasks.start(self._serve)

    async def close_broker(self) -> None:
        self._leave.set()
        await self._left.wait()

    async def _serve(self, *, task_status: TaskStatus[None]) -> None:
        async with (
            open_broker(URI, environment=self.world),
            open_mqttclient(URI, environment=self.world) as client,
            client.subscription("#") as messages,
            service_group() as tasks,
        ):
            tasks.start_soon(self._watch, messages)
            tasks.start_soon(self.tasmota.serve, client)
            task_status.started()
            await self._leave.wait()
        self._left.set()

    async def _watch(self, messages: AsyncIterable[Message]) -> None:
        async for message in messages:
            self.latest.pop(message.topic, None)
            if message.payload:
                self.latest[message.topic] = message.payload.decode()

    @asynccontextmanager
    async def unheard(self) -> AsyncIterator[None]:
        """Count what the strip delivers while it cannot be read."""
        before_s, before_wh = anyio.current_time(), self.strip_wh()
        yield
        # Half a poll on each side is not known either.
        self.unheard_s += anyio.current_time() - before_s + POLL_S
        part = 1 + POLL_S / (anyio.current_time() - before_s)
        self.unheard_wh += (self.strip_wh() - before_wh) * part

    async def day(self, day_s: float, number: int) -> None:
        """Live through a day, all troubles one after the other."""
        began_at = anyio.current_time()
        each_s = day_s / (len(TROUBLES) + 1)
        for index, trouble in enumerate(TROUBLES):
            await anyio.sleep_until(began_at + index * each_s)
            port = 1 + (number + index) % 2
            word = "OFF" if index % 2 else "ON"
            for topic in (f"strip/port_{port}", "tasmota/power"):
                await self.command(topic, word)
            await trouble(self, each_s / 3)
        await anyio.sleep_until(began_at + day_s - each_s / 2)
        await self.command("strip/port_1", "ON" if number % 2 else "OFF")
        await self.command(f"{LAMP}/light", "OFF" if number % 2 else "ON")
        await anyio.sleep_until(began_at + day_s)


@asynccontextmanager
async def endurance_house(
    folder: Path, **history: Any
) -> AsyncIterator[EnduranceHouse]:
    """Open the house, its devices seen for the first time."""
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        house = EnduranceHouse(folder, await enter(service_group()))
        world = house.world
        house.strip = await enter(
            sim_maxsmart(
                "10.0.0.2", loads=STRIP_LOADS, requests_kept=10, environment=world
            )
        )
        house.cloud = await enter(
            sim_meross_cloud(host="10.0.9.9", requests_kept=10, environment=world)
        )
        # At a port that nobody looks at in the local network.
        house.plug = await enter(
            sim_meross_device(
                "10.0.0.3",
                cloud=house.cloud,
                http_port=8080,
                loads=[CLOUD_LOAD],
                requests_kept=10,
                environment=world,
            )
        )
        house.local = await enter(
            sim_meross_device(
                "10.0.0.4",
                key="k",
                loads=[LAN_LOAD],
                requests_kept=10,
                environment=world,
            )
        )
        (house.lamp,) = await enter(
            sim_devices(type="lamp", uuids=[LAMP_UUID], environment=world)
        )
        (house.meter,) = await enter(
            sim_devices(
                type="meter",
                uuids=[METER_UUID],
                behaviour=metering(house.counters[f"{METER}/energy"]),
                environment=world,
            )
        )
        house.platform = await enter(
            sim_sepl_platform(records_kept=100, environment=world)
        )
        await house.open_broker()
        environment = Environment(
            network=house.network, clock=house.clock, random=Random(1)
        )
        config = _config(house, history)
        house.gateway = await enter(open_gateway(config, environment=environment))
        await anyio.sleep(3 * POLL_S)
        yield house


def _config(house: EnduranceHouse, history: dict[str, Any]) -> dict[str, Any]:
    folder, cloud = house.folder, house.cloud
    light = {"name": "Light", "member": "is_on"}
    energy = {
        "member": "energy_kwh",
        "key": "energy",
        "unit": "kWh",
        "device_class": "energy",
        "state_class": "total_increasing",
    }
    strip = {"host": "10.0.0.2", "name": "strip"}
    path = str(folder / "history.sqlite")
    return {
        "mqtt": {"uri": URI, "keep_alive_s": 60},
        "gateway": {"state_file": str(folder / "state.json")},
        "history": {"path": path, "timezone": "UTC", "commit_s": 60, **history},
        "maxsmart": {"discover": False, "poll_s": POLL_S, "devices": [strip]},
        "meross": {
            "poll_s": POLL_S,
            "email": cloud.email,
            "password": cloud.password,
            "url": cloud.url,
            "store": str(folder / "meross.json"),
            "devices": [{"host": "10.0.0.4", "name": "local", "key": "k"}],
        },
        "manager": {
            "types": {"lamp": {"switches": [light]}, "meter": {"sensors": [energy]}}
        },
        "connector": {**house.platform.config, "encryption": False},
        "links": LINKS,
    }
