"""`structiot run` killed at random moments: after each start all is as it was, and true.

The simulated devices are in the test's process and live on; somebody presses their buttons
while the gateway is dead.
"""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing, suppress
from pathlib import Path
from random import Random
from typing import Any

import anyio
import anyio.to_thread
import pytest

from structiot._kit.http.client import open_http
from structiot.sim import MaxSmartSim, MerossSim, sim_devices, sim_maxsmart
from structiot.sim import sim_meross_device as sim_meross
from structiot.sim.manager.fleet import DialInFleet
from tests._support.ports import free_port
from tests.e2e.processes import Running, running, structiot
from tests.gateway.broker_watch import BrokerWatch, watching

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# Of a start on a busy machine, with all devices reached and asked.
TRUE_WITHIN_S = 40.0
UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
LAMP = f"manager_{UUID.replace('-', '_')}"
Row = tuple[object, ...]


class House:
    """Devices, and the file and the ports of the gateway that serves them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "structiot.toml"
        self.history = folder / "history.sqlite"
        self.broker, self.page, self.dial_in = free_port(), free_port(), free_port()
        self.strip: MaxSmartSim
        self.plug: MerossSim
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
        self.file.write_text(
            f"gateway = {{state_file = 'state.json', retry_max_s = 1}}\n"
            f"history = {{path = {json.dumps(str(self.history))}, commit_s = 1}}\n"
            f"dashboard.listen = ['http://127.0.0.1:{self.page}']\n"
            f"broker = {{listen = ['mqtt://127.0.0.1:{self.broker}'], "
            "store = 'broker.sqlite'}\n"
            f"maxsmart = {{discover = false, poll_s = 0.5, devices = [{strip}]}}\n"
            f"meross = {{devices = [{plug}]}}\n"
            f"[manager]\nport = {self.dial_in}\nheartbeat_s = 1\n"
            "types.lamp.switches = [{name = 'Light', member = 'is_on'}]\n"
        )

    def press(self, random: Random) -> None:
        """Change something at the devices."""
        port = random.randint(1, 6)
        self.strip.ports[port] = not self.strip.ports[port]
        self.plug.set_load(random.randint(10, 900))
        self.lamps[0].state["is_on"] = random.random() < 0.5

    def truth(self) -> dict[str, str]:
        """Give what must stand on the broker."""
        on = {port: self.strip.ports[port] for port in range(1, 7)}
        if not self.strip.is_plugged_in:
            found = {"strip/availability": "offline"}
        else:
            found = {
                f"strip/port_{port}/state": "ON" if on[port] else "OFF" for port in on
            }
            found["strip/availability"] = "online"
        is_on = self.lamps[0].state["is_on"]
        return {
            **found,
            "plug/switch/state": "ON",
            "plug/availability": "online",
            f"{LAMP}/light/state": "ON" if is_on else "OFF",
            f"{LAMP}/availability": "online",
        }

    def untrue(self, latest: dict[str, str]) -> dict[str, Any]:
        return {
            topic: (latest.get(f"structiot/{topic}"), wanted)
            for topic, wanted in self.truth().items()
            if latest.get(f"structiot/{topic}") != wanted
        }

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


@asynccontextmanager
async def house(folder: Path) -> AsyncIterator[House]:
    found = House(folder)
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


async def listening(program: Running) -> None:
    said = "the embedded broker listens"
    await program.until(lambda: [line for line in program.errors if said in line])


async def until_true(home: House, watch: BrokerWatch) -> None:
    with suppress(TimeoutError):
        await watch.until(lambda: not home.untrue(watch.latest), within_s=TRUE_WITHIN_S)
    assert home.untrue(watch.latest) == {}


async def check_page(home: House) -> None:
    """See that the page has every device, as soon as the last has dialled in again."""
    wanted = {f'data-key="{key}' for key in ("strip/port_1", "plug/switch", LAMP)}
    missing, until = wanted, anyio.current_time() + TRUE_WITHIN_S
    while missing and anyio.current_time() < until:
        async with open_http(f"http://127.0.0.1:{home.page}") as http:
            answer = await http.get("/")
        assert answer.status == 200
        missing = {one for one in wanted if one.encode() not in answer.body}
        await anyio.sleep(0.2)
    assert missing == set()


def announcements(watch: BrokerWatch) -> dict[str, str]:
    """Give whom each announcement is about: two of one device would be two devices."""
    found = {
        topic: json.dumps(json.loads(text)["device"]["identifiers"])
        for topic, text in watch.latest.items()
        if topic.startswith("homeassistant/")
    }
    assert len(set(found.values())) == len(found)
    return found


async def kills(folder: Path, backend: str, times: int, random: Random) -> None:
    arguments = ("run", "--backend", backend)
    async with house(folder) as home:
        known: set[Row] = set()
        topics: set[str] = set()
        for number in itertools.count():
            is_early = number % 4 == 3
            started = structiot(*arguments, "--config", str(home.file))
            async with running(*started) as program:
                if is_early:
                    # While it starts, or while it reaches its devices.
                    await anyio.sleep(random.uniform(0, 2))
                else:
                    await listening(program)
                    uri = f"mqtt://127.0.0.1:{home.broker}/"
                    async with watching(uri, "structiot/#", "homeassistant/#") as watch:
                        await until_true(home, watch)
                        announced = set(announcements(watch))
                        assert announced == (topics or announced)
                        topics = announced
                        if number >= times:
                            await check_page(home)
                            return
                        await anyio.sleep(random.uniform(0, 1.5))
                        home.press(random)
                        await anyio.sleep(random.uniform(0, 1))
                before = await anyio.to_thread.run_sync(home.committed)
                program.process.kill()
                await program.ended()
            assert known <= before, "what was committed is gone"
            assert await anyio.to_thread.run_sync(home.integrity) == "ok"
            known = await anyio.to_thread.run_sync(home.committed)
            assert before <= known
            home.press(random)
            if home.strip.is_plugged_in and number % 3 == 1:
                await home.strip.unplug()
            elif not home.strip.is_plugged_in:
                await home.strip.plug_in()


async def test_killed_at_random_moments(tmp_path: Path, backend: str):
    await kills(tmp_path, backend, 3, Random(3))


@pytest.mark.thorough
@pytest.mark.timeout(3600)
async def test_killed_two_hundred_times(tmp_path: Path, backend: str):
    await kills(tmp_path, backend, 200, Random())
