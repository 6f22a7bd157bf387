"""The whole path, as a user walks it: strips, `structiot run`, Mosquitto's programs.

Once on Mosquitto, once on the embedded broker.
"""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import anyio
import pytest

from structiot.sim import MaxSmartSim, sim_maxsmart
from tests._support.mosquitto import Mosquitto
from tests.e2e.processes import (
    Running,
    announced,
    mosquitto_pub,
    mosquitto_sub,
    running,
    structiot,
    told_on,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

HOST = "127.0.0.1"
PORTS = range(1, 7)


@pytest.fixture
def broker(start_mosquitto) -> Mosquitto:
    """A broker of the test's own: its topics are those of the documentation."""
    mosquitto: Mosquitto = start_mosquitto()
    return mosquitto


class Strip:
    """A place where a strip is, whoever simulates it."""

    def __init__(self, name: str, http_port: int, udp_port: int) -> None:
        self.name = name
        self.http_port = http_port
        self.udp_port = udp_port

    @property
    def section(self) -> str:
        return (
            f'[[maxsmart.devices]]\nhost = "{HOST}"\nname = "{self.name}"\n'
            f"http_port = {self.http_port}\nudp_port = {self.udp_port}\n"
        )


def written(folder: Path, uri: str, *strips: Strip, is_embedded: bool = False) -> str:
    broker = (
        f'[broker]\nlisten = ["{uri}"]' if is_embedded else f'[mqtt]\nuri = "{uri}"'
    )
    file = folder / "structiot.toml"
    file.write_text(
        f"{broker}\n[gateway]\nretry_max_s = 1\ngoodbye_s = 1\n"
        "[maxsmart]\ndiscover = false\npoll_s = 0.5\nreply_s = 0.5\n"
        + "".join(strip.section for strip in strips)
    )
    return str(file)


@asynccontextmanager
async def strip_here() -> AsyncIterator[tuple[MaxSmartSim, Strip]]:
    """Simulate a strip in this process, whose relays the test can see."""
    async with sim_maxsmart(
        HOST,
        family="mh_strip_130",
        loads=[40.0, 0, 0, 0, 0, 2.5],
        http_port=0,
        udp_port=0,
    ) as sim:
        assert sim.http_port is not None
        yield sim, Strip("Kitchen", sim.http_port, sim.udp_port)


def simulating(backend: str, http_port: int = 0, udp_port: int = 0) -> tuple[str, ...]:
    """A strip in a process of its own, which the test can kill."""
    ports = ["--http-port", str(http_port), "--udp-port", str(udp_port)]
    family = ["--family", "mh_strip_211", "--host", HOST]
    words = ["sim", "maxsmart", *family, *ports, "--json", "--backend", backend]
    return structiot(*words)


async def place_of(simulator: Running) -> Strip:
    line = await simulator.until(lambda: simulator.lines and simulator.lines[0])
    (told,) = json.loads(line)
    return Strip("Desk", told["http_port"], told["udp_port"])


def availability(lines: list[str], device: str) -> list[str]:
    prefix = f"structiot/{device}/availability "
    return [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]


async def test_the_whole_path(broker, backend, tmp_path):
    watch = mosquitto_sub(broker.port, "structiot/#", "homeassistant/#")
    async with (
        strip_here() as (kitchen, kitchen_at),
        running(*simulating(backend)) as simulator,
        running(*watch) as seen,
    ):
        desk_at = await place_of(simulator)
        config = written(tmp_path, broker.uri, kitchen_at, desk_at)
        command = structiot("run", "--config", config, "--backend", backend)
        async with running(*command) as gateway:
            await check_what_is_shown(seen, kitchen)
            await check_switching(seen, kitchen, broker.port)
            again = simulating(backend, desk_at.http_port, desk_at.udp_port)
            await check_a_killed_strip(seen, simulator, again)
            await check_a_port_that_does_not_exist(seen, broker.port)
            await check_the_end(seen, gateway)


async def test_the_whole_path_on_the_embedded_broker(backend, tmp_path):
    async with (
        strip_here() as (kitchen, kitchen_at),
        running(*simulating(backend)) as simulator,
    ):
        desk_at = await place_of(simulator)
        config = written(
            tmp_path, f"mqtt://{HOST}:0", kitchen_at, desk_at, is_embedded=True
        )
        command = structiot("run", "--config", config, "--backend", backend)
        async with running(*command) as gateway:
            port = await gateway.until(lambda: port_in(gateway.errors))
            async with running(
                *mosquitto_sub(port, "structiot/#", "homeassistant/#")
            ) as seen:
                await check_what_is_shown(seen, kitchen)
                await check_switching(seen, kitchen, port)
                again = simulating(backend, desk_at.http_port, desk_at.udp_port)
                await check_a_killed_strip(seen, simulator, again)
                await check_a_port_that_does_not_exist(seen, port)
                await check_the_end(seen, gateway)


def port_in(lines: list[str]) -> int | None:
    """Find where the embedded broker listens."""
    for line in lines:
        _, is_there, uri = line.partition("the embedded broker listens at ")
        if is_there:
            return int(uri.rpartition(":")[2])
    return None


async def check_what_is_shown(seen: Running, kitchen: MaxSmartSim) -> None:
    for device, firmware in (("kitchen", "1.30"), ("desk", "2.11")):
        await seen.until_line(f"structiot/{device}/availability online")
        await seen.until_begin(f"structiot/{device}/total_power/state ")
        for port in PORTS:
            await seen.until_line(f"structiot/{device}/port_{port}/state ON")
        # Who subscribes late gets what is retained in no particular order.
        told = await seen.until(partial(announced, seen.lines, device))
        assert told["device"]["sw_version"] == firmware
        assert told["device"]["name"] == device.title()
        assert told["origin"]["name"] == "structiot"
        for port in PORTS:
            assert told["components"][f"port_{port}"]["platform"] == "switch"
            assert told["components"][f"port_{port}_power"]["device_class"] == "power"
    await seen.until_line("structiot/gateway/availability online")
    await seen.until_line("structiot/kitchen/port_1_power/state 40.0")
    await seen.until_line("structiot/kitchen/port_6_power/state 2.5")
    assert kitchen.power_w(1) == 40.0


async def check_switching(seen: Running, kitchen: MaxSmartSim, port: int) -> None:
    for state, is_on in (("OFF", False), ("ON", True)):
        seen.forget()
        await mosquitto_pub(port, "structiot/kitchen/port_1/set", state)
        await seen.until_line(f"structiot/kitchen/port_1/state {state}", within_s=1)
        assert kitchen.ports[1] is is_on
    await seen.until_line("structiot/kitchen/port_1_power/state 40.0")
    seen.forget()
    await mosquitto_pub(port, "structiot/desk/port_3/set", "OFF")
    await seen.until_line("structiot/desk/port_3/state OFF", within_s=1)


async def check_a_killed_strip(
    seen: Running, simulator: Running, again: tuple[str, ...]
) -> None:
    seen.forget()
    simulator.signal(signal.SIGKILL)
    await simulator.ended()
    await seen.until_line("structiot/desk/availability offline")
    async with running(*again):
        await seen.until_line("structiot/desk/availability online", within_s=20)
        assert availability(seen.lines, "desk") == ["offline", "online"]
        assert availability(seen.lines, "kitchen") == []
        assert availability(seen.lines, "gateway") == []


async def check_a_port_that_does_not_exist(seen: Running, port: int) -> None:
    seen.forget()
    await mosquitto_pub(port, "structiot/kitchen/port_7/set", "ON")
    told = await seen.until(lambda: told_on(seen.lines, "structiot/kitchen/error"))
    assert told["topic"] == "structiot/kitchen/port_7/set"
    assert told["payload"] == "ON"
    assert told["error"].endswith(
        "there are port_1, port_2, port_3, port_4, port_5, port_6"
    )


async def check_the_end(seen: Running, gateway: Running) -> None:
    seen.forget()
    gateway.signal(signal.SIGTERM)
    assert await gateway.ended() == 0
    await seen.until_line("structiot/gateway/availability offline")
    assert availability(seen.lines, "kitchen") == ["offline"]
    assert seen.lines[-1] == "structiot/gateway/availability offline"
    assert not [line for line in gateway.errors if "Traceback" in line]
    assert gateway.lines == []


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_ends_it_with_status_0_and_everything_offline(
    broker, backend, tmp_path, number
):
    async with (
        strip_here() as (_, place),
        running(*mosquitto_sub(broker.port, "structiot/+/availability")) as seen,
    ):
        config = written(tmp_path, broker.uri, place)
        command = structiot("run", "-c", config, "--backend", backend)
        async with running(*command) as gateway:
            await seen.until_line("structiot/kitchen/availability online")
            await seen.until_line("structiot/gateway/availability online")
            seen.forget()
            gateway.signal(number)
            assert await gateway.ended() == 0
            await seen.until_line("structiot/gateway/availability offline")
            assert seen.lines == [
                "structiot/kitchen/availability offline",
                "structiot/gateway/availability offline",
            ]
            assert "Traceback" not in "\n".join(gateway.errors)


async def test_a_gateway_that_is_killed_is_shown_as_offline_by_its_will(
    broker, backend, tmp_path
):
    async with running(
        *mosquitto_sub(broker.port, "structiot/gateway/availability")
    ) as seen:
        config = written(tmp_path, broker.uri)
        command = structiot("run", "-c", config, "--backend", backend)
        async with running(*command) as gateway:
            await seen.until_line("structiot/gateway/availability online")
            gateway.signal(signal.SIGKILL)
            await gateway.ended()
            await seen.until_line("structiot/gateway/availability offline")
    late = mosquitto_sub(broker.port, "structiot/gateway/availability")
    async with running(*late, "--retained-only", "-C", "1") as seen:
        await seen.until_line("structiot/gateway/availability offline")


async def test_without_a_broker_the_schedule_is_shown_and_a_signal_ends_it(
    broker, backend, tmp_path
):
    await anyio.to_thread.run_sync(broker.stop)
    config = written(tmp_path, broker.uri)
    command = structiot("run", "-c", config, "--backend", backend)
    async with running(*command) as gateway:
        told = await gateway.until(
            lambda: [line for line in gateway.errors if "no MQTT broker" in line]
        )
        assert f"{HOST}:{broker.port}" in told[0]
        assert "connection refused; next attempt in " in told[0]
        gateway.signal(signal.SIGTERM)
        assert await gateway.ended() == 0
    assert "Traceback" not in "\n".join(gateway.errors)


async def test_a_strip_that_is_not_there_is_said_once(broker, backend, tmp_path):
    async with running(*mosquitto_sub(broker.port, "structiot/#")) as seen:
        config = written(tmp_path, broker.uri, Strip("Cellar", 9, 9))
        command = structiot("run", "-c", config, "--backend", backend)
        async with running(*command) as gateway:
            await seen.until_line("structiot/cellar/availability offline")
            await gateway.until(lambda: any("Cellar" in e for e in gateway.errors))
            await anyio.sleep(2)
            told = [line for line in gateway.errors if "Cellar" in line]
            assert len(told) == 1
            assert "connection refused" in told[0]
            assert "trying again in " in told[0]


@asynccontextmanager
async def frozen(broker: Mosquitto) -> AsyncIterator[None]:
    """Keep a broker from doing anything, its connections open."""
    broker.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        broker.send_signal(signal.SIGCONT)


@pytest.mark.parametrize(("signals", "status"), [(1, 0), (2, 130)])
async def test_a_broker_that_hangs_delays_the_end_no_longer_than_a_second_ctrl_c(
    broker, backend, tmp_path, signals, status
):
    async with (
        strip_here() as (_, place),
        running(*mosquitto_sub(broker.port, "structiot/+/availability")) as seen,
    ):
        config = written(tmp_path, broker.uri, place)
        command = structiot("run", "-c", config, "--backend", backend)
        async with running(*command) as gateway:
            await seen.until_line("structiot/kitchen/availability online")
            async with frozen(broker):
                for _ in range(signals):
                    gateway.signal(signal.SIGINT)
                    await anyio.sleep(0.3)
                within_s = 6 if signals == 1 else 1
                assert await gateway.ended(within_s=within_s) == status
    assert "Traceback" not in "\n".join(gateway.errors)


async def test_the_demonstration_runs_by_itself(backend):
    words = ["demo", "--seconds", "4", "--backend", backend]
    async with running(*structiot(*words)) as program:
        assert await program.ended(within_s=30) == 0
    text = "\n".join(program.lines)
    assert "started for this demonstration" in text
    assert "-m structiot mqtt sub " in text
    assert "-v -t 'structiot/#' -t 'homeassistant/#'" in text
    assert "kitchen_counter is available" in text
    assert "kitchen_counter port_1 on" in text
    said = "kitchen_counter port_1_power "
    assert any(line.startswith(said) for line in program.lines)
    assert program.errors == []


async def test_the_demonstration_uses_the_broker_it_is_told_and_cleans_up(
    broker, backend
):
    words = ["demo", "--uri", broker.uri, "--devices", "4", "--backend", backend]
    watch = mosquitto_sub(broker.port, "structiot/#", "homeassistant/#")
    async with running(*watch) as seen, running(*structiot(*words)) as program:
        await seen.until_line("structiot/kitchen_counter/port_1/state ON")
        topic = "structiot/kitchen_counter/port_1/set"
        await mosquitto_pub(broker.port, topic, "OFF")
        await seen.until_line("structiot/kitchen_counter/port_1/state OFF", within_s=1)
        program.signal(signal.SIGINT)
        assert await program.ended() == 0
        await seen.until_line("structiot/gateway/availability offline")
    async with running(*watch, "--retained-only", "-W", "1") as left:
        await left.ended()
    assert left.lines == []
