"""A house whose gateway is killed, and what must stand on its broker.

The simulated devices are in the test's process and live on; somebody presses their buttons
while the gateway is dead.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

import anyio

from structiot.mqtt.broker import open_broker
from structiot.sim import MaxSmartSim, MerossSim, sim_devices, sim_maxsmart
from structiot.sim import sim_meross_device as sim_meross
from structiot.sim.manager.fleet import DialInFleet
from tests._support.ports import free_port

__all__ = ["LAMP", "House", "house"]

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
LAMP = f"manager_{UUID.replace('-', '_')}"
Row = tuple[object, ...]


class House:
    """Devices, and the file and the ports of the gateway that serves them.

    Args:
        folder: Where its files are.
        uri: A broker that is not the gateway's; None lets it have its own, with a store.
    """

    def __init__(self, folder: Path, uri: str | None) -> None:
        self.folder = folder
        self.file = folder / "structiot.toml"
        self.history = folder / "history.sqlite"
        self.store = None if uri else folder / "broker.sqlite"
        self.page, self.dial_in = free_port(), free_port()
        self.uri = uri or f"mqtt://127.0.0.1:{free_port()}/"
        self.strip: MaxSmartSim
        self.plug: MerossSim
        self._is_plug_on = True
        self.lamps: DialInFleet

    def write(self) -> None:
        strip = (
            f"{{host = '{self.strip.host}', http_port = {self.strip.http_port}, "
            f"udp_port = {self.strip.udp_port}, name = 'strip'}}"
        )
        plug = (
            f"{{host = '{self.plug.host}', port = {self.plug.http_port}, key = 'k', "
            "name = 'plug'}"
        )
        broker = f"mqtt.uri = '{self.uri}'\n"
        if self.store is not None:
            listen = self.uri.removesuffix("/")
            broker = (
                f"broker = {{listen = ['{listen}'], store = '{self.store.name}'}}\n"
            )
        self.file.write_text(
            f"gateway = {{state_file = 'state.json', retry_max_s = 1}}\n"
            f"history = {{path = {json.dumps(str(self.history))}, commit_s = 1}}\n"
            f"dashboard.listen = ['http://127.0.0.1:{self.page}']\n"
            f"{broker}"
            f"maxsmart = {{discover = false, poll_s = 0.5, devices = [{strip}]}}\n"
            f"meross = {{devices = [{plug}]}}\n"
            f"[manager]\nport = {self.dial_in}\nheartbeat_s = 1\n"
            "types.lamp.switches = [{name = 'Light', member = 'is_on'}]\n"
        )

    # ------------------------------------------------------------ what happens to it

    async def press(self, random: Random) -> None:
        """Change something at the devices, which tell of it what they tell by themselves."""
        match random.randrange(3):
            case 0:
                port = random.randint(1, 6)
                self.strip.ports[port] = not self.strip.ports[port]
            case 1:
                await self._press_plug()
                self.plug.set_load(random.randint(10, 900))
            case _:
                await self._turn_lamp(not self._lamp["is_on"])

    async def be_pressed(self, random: Random) -> None:
        """Be changed again and again, until cancelled."""
        while True:
            await self.press(random)
            await anyio.sleep(random.uniform(0, 0.3))

    async def differ(self, shown: dict[str, str]) -> None:
        """Make all states others than those which are shown: none can be right by chance."""
        for port in range(1, 7):
            self.strip.ports[port] = (
                shown.get(f"structiot/strip/port_{port}/state") != "ON"
            )
        if self.truth()["plug/switch/state"] == shown.get(
            "structiot/plug/switch/state"
        ):
            await self._press_plug()
        await self._turn_lamp(shown.get(f"structiot/{LAMP}/light/state") != "ON")

    async def _press_plug(self) -> None:
        self._is_plug_on = not self._is_plug_on
        await self.plug.press()

    async def _turn_lamp(self, is_on: bool) -> None:
        lamp = self.lamps[0]
        lamp.state["is_on"] = is_on
        if lamp.is_connected:
            await lamp.send(json.dumps(dict(lamp.state)))

    # ------------------------------------------------------------ what is true

    @property
    def _lamp(self) -> dict[str, Any]:
        return self.lamps[0].state

    def truth(self) -> dict[str, str]:
        """Give what must stand on the broker."""
        if not self.strip.is_plugged_in:
            found = {"strip/availability": "offline"}
        else:
            found = {
                f"strip/port_{port}/state": _word(self.strip.ports[port])
                for port in range(1, 7)
            }
            found["strip/availability"] = "online"
        return {
            **found,
            "gateway/availability": "online",
            "plug/switch/state": _word(self._is_plug_on),
            "plug/availability": "online",
            f"{LAMP}/light/state": _word(self._lamp["is_on"]),
            f"{LAMP}/availability": "online",
        }

    def untrue(self, latest: dict[str, str]) -> dict[str, Any]:
        return {
            topic: (latest.get(f"structiot/{topic}"), wanted)
            for topic, wanted in self.truth().items()
            if latest.get(f"structiot/{topic}") != wanted
        }

    async def stored(self) -> dict[str, str]:
        """Give what the embedded broker has kept, once it is dead."""
        with TemporaryDirectory(dir=self.folder) as folder:
            for one in self.folder.glob("broker.sqlite*"):
                # What it finds at its next start is left to it.
                shutil.copy(one, folder)
            store = Path(folder) / "broker.sqlite"
            if not store.exists():
                return {}
            async with open_broker("mqtt://127.0.0.1:0", store=store) as broker:
                kept = list(broker.core.retained)
        return {one.topic: one.payload.decode() for one in kept}

    def committed(self) -> set[Row]:
        """Give what the history has, as another program sees it."""
        if not self.history.exists():
            return set()
        with closing(sqlite3.connect(self.history, timeout=20)) as file:
            query = (
                "SELECT count(*) FROM sqlite_master WHERE name IN ('figures', 'steps')"
            )
            if file.execute(query).fetchone() != (2,):
                return set()
            return {
                (table, *row)
                for table in ("figures", "steps")
                for row in file.execute(f"SELECT * FROM {table}")
            }

    def integrity(self) -> str:
        """Say `ok`, or what is wrong with the history's file."""
        if list(self.folder.glob("*.damaged*")):
            return "it was taken for damaged"
        with closing(sqlite3.connect(self.history)) as file:
            return str(file.execute("PRAGMA integrity_check").fetchone()[0])


def _word(is_on: object) -> str:
    return "ON" if is_on else "OFF"


@asynccontextmanager
async def house(folder: Path, uri: str | None) -> AsyncIterator[House]:
    """Have the devices of a house for the length of the block."""
    found = House(folder, uri)
    async with AsyncExitStack() as stack:
        enter = stack.enter_async_context
        found.strip = await enter(
            sim_maxsmart("127.0.0.1", http_port=0, udp_port=0, requests_kept=10)
        )
        found.plug = await enter(
            sim_meross("127.0.0.1", http_port=0, key="k", requests_kept=10)
        )
        found.lamps = await enter(
            sim_devices(type="lamp", port=found.dial_in, uuids=[UUID])
        )
        found.write()
        yield found
