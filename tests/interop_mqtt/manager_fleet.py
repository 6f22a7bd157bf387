"""Three nodes that are one manager, 300 devices, and one node killed under load."""

from __future__ import annotations

import json
import signal
from collections import Counter
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

import anyio

from structiot import Environment
from structiot._kit.net.network import REAL_NETWORK
from structiot.errors import ConnectFailed
from structiot.manager.device_client import ManagedDevice, open_manager_client
from structiot.manager.errors import ConnectionEnd
from tests._support.interpreter import PYTHON
from tests.e2e.processes import Running, running

SURVIVORS = ("node-1", "node-2")
DEVICES = 300
# Of ten devices so many speak an old dialect.
OLD = 3
PATIENCE_S = 120.0
PERIOD_S = 2.0


class LoadBalancer:
    """A network that takes each new connection to the next node that is there.

    A port is the number of a node's listener, from 1 on.
    """

    def __init__(self) -> None:
        self.ports: list[list[int]] = []
        self._turn = 0

    async def connect_tcp(self, host: str, port: int) -> Any:
        for _ in self.ports:
            self._turn += 1
            ports = self.ports[self._turn % len(self.ports)]
            try:
                return await REAL_NETWORK.connect_tcp(host, ports[port - 1])
            except ConnectFailed:
                continue
        raise ConnectFailed("no node is there", host=host, port=port)

    def __getattr__(self, name: str) -> Any:
        return getattr(REAL_NETWORK, name)


class Device:
    """A device that tells numbers and notes what it is told."""

    def __init__(self, number: int) -> None:
        self.uuid = str(UUID(int=number + 1))
        self.is_old = number % 10 < OLD
        self.acknowledged: list[str] = []
        self.received: list[str] = []
        self.device: ManagedDevice | None = None

    async def run(self, environment: Environment) -> None:
        dialect, port = ("D4", 2) if self.is_old else ("structiot", 1)
        async with (
            open_manager_client(
                "127.0.0.1",
                port,
                uuid=self.uuid,
                type="lamp",
                dialect=dialect,
                environment=environment,
            ) as self.device,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(self.tell)
            async for data in self.device:
                self.received.append(data.decode())

    async def tell(self) -> None:
        assert self.device is not None
        number = 0
        while True:
            number += 1
            try:
                await self.device.send(str(number))
            except ConnectionEnd:
                assert self.is_old
            else:
                self.acknowledged.append(str(number))
            await anyio.sleep(PERIOD_S)


def noted(path: Path) -> list[list[str]]:
    """Read what a node has noted; only a whole line was written by a whole call."""
    return [line.split() for line in path.read_text().split("\n")[:-1]]


async def until_fleet(nodes: list[Running], size: int) -> None:
    def is_whole(node: Running) -> bool:
        sizes = [line for line in node.lines if line.startswith("fleet")]
        return bool(sizes) and sizes[-1] == f"fleet {size}"

    for node in nodes:
        await node.until(partial(is_whole, node), within_s=PATIENCE_S)


async def send_to_all(node: Running) -> dict[str, Any]:
    node.signal(signal.SIGUSR1)
    (line,) = await node.until(
        lambda: [line for line in node.lines if line.startswith("{")],
        within_s=PATIENCE_S,
    )
    found: dict[str, Any] = json.loads(line)
    return found


async def kill_a_node(uris: list[str], folder: Path, backend: str) -> None:
    """Kill one of three nodes under load, and look whether anything was lost or repeated.

    Args:
        uris: The broker of each node.
        folder: Where nodes note what they get and send.
        backend: What the nodes run on.
    """
    balancer = LoadBalancer()
    environment = Environment(network=balancer)
    devices = [Device(number) for number in range(DEVICES)]
    async with AsyncExitStack() as stack:
        nodes = [
            await stack.enter_async_context(
                running(
                    *(*PYTHON, "-m", "tests.interop_mqtt.manager_node"),
                    *("--uri", uri, "--folder", str(folder)),
                    *("--name", f"node-{number}", "--backend", backend),
                )
            )
            for number, uri in enumerate(uris)
        ]
        for node in nodes:
            await node.until_begin("listening", within_s=PATIENCE_S)
            balancer.ports.append([int(port) for port in node.lines[0].split()[1:]])
        async with anyio.create_task_group() as tg:
            for device in devices:
                tg.start_soon(device.run, environment)
            await until_fleet(nodes, DEVICES)
            await anyio.sleep(3)
            # What it is to send is under way when it dies.
            killed, *others = nodes
            for node in others:
                node.forget()
            killed.signal(signal.SIGSTOP)
            await anyio.sleep(2)
            killed.signal(signal.SIGKILL)
            await until_fleet(others, DEVICES)
            await anyio.sleep(3)
            for node in others:
                node.signal(signal.SIGUSR2)
            await anyio.sleep(6)
            for node in others:
                report = await send_to_all(node)
                assert report["failed"] == {}
                assert len(report["delivered"]) == DEVICES
            tg.cancel_scope.cancel()
        # What the broker has is on its way to the nodes.
        for name in SURVIVORS:
            await until_noted(devices, folder / f"{name}.received")

    for name in SURVIVORS:
        counts = Counter(map(tuple, noted(folder / f"{name}.received")))
        assert max(counts.values()) == 1
    outcomes = check_sends(
        devices,
        [line for name in SURVIVORS for line in noted(folder / f"{name}.sent")],
    )
    # Those of our own dialect follow their devices.
    assert outcomes["own delivered"] > 100
    assert outcomes["old FateUnknown"]


async def until_noted(devices: list[Device], path: Path) -> None:
    """Wait until all that was acknowledged has come to a node."""
    told = {
        (device.uuid, text)
        for device in devices
        if not device.is_old
        for text in device.acknowledged
    }
    missing = told
    with anyio.move_on_after(PATIENCE_S):
        while missing := told - set(map(tuple, noted(path))):  # noqa: ASYNC110 - files
            await anyio.sleep(0.2)
    assert not missing, sorted(missing)[:20]


def check_sends(devices: list[Device], lines: list[list[str]]) -> Counter[str]:
    """What was delivered has arrived, and nothing twice; give how many went how."""
    received = {device.uuid: Counter(device.received) for device in devices}
    assert max(max(counts.values()) for counts in received.values()) == 1
    old = {device.uuid for device in devices if device.is_old}
    outcomes: Counter[str] = Counter()
    for uuid, text, outcome in lines:
        outcomes[("old " if uuid in old else "own ") + outcome] += 1
        if outcome == "delivered" and uuid not in old:
            assert received[uuid][text] == 1
    return outcomes
