"""Which clients are compared, in which versions, on which loops, in which cells."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
UVLOOP = "uvloop==0.23.0"
TRIO = "trio==0.35.0"
AMQTT = ("amqtt==0.12.1", UVLOOP)
DISTMQTT = (
    "distmqtt==0.35.2",
    "setuptools<81",
    "asyncwebsockets==0.9.4",
    "anyio==4.16.0",
    TRIO,
    UVLOOP,
)
OURS, BARE, CEILING = "structiot", "bare loop", "peer's ceiling"
YARDSTICKS = (CEILING, BARE)


USUAL_PAYLOAD = 64


class Cell(NamedTuple):
    """One column of the tables."""

    mode: str
    qos: int
    is_tls: bool = False
    payload: int = USUAL_PAYLOAD
    window: int = 0
    """How many messages are under way; 0 is what is best for the client."""
    topics: int = 1
    filters: int = 0
    """How many further ones are subscribed to, which match no message."""

    @property
    def name(self) -> str:
        return f"{self.mode}{self.qos}"

    @property
    def title(self) -> str:
        title = f"{self.mode} QoS {self.qos}{', TLS' if self.is_tls else ''}"
        if self.payload != USUAL_PAYLOAD:
            title += f", {self.payload:,} bytes"
        if self.topics > 1 or self.filters:
            title += f", {self.crowd}"
        return title + (", one at a time" if self.window == 1 else "")

    @property
    def crowd(self) -> str:
        """How many topics or other filters there are."""
        if self.filters:
            return f"{self.filters:,} other filter{'s' * (self.filters > 1)}"
        return f"{self.topics:,} topic{'s' * (self.topics > 1)}"


CELLS: tuple[Cell, ...] = tuple(
    Cell(mode, qos, is_tls)
    for is_tls in (False, True)
    for mode in ("receive", "publish")
    for qos in (0, 1, 2)
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Library:
    """One row of the table for each of its loops."""

    name: str
    runner: str
    requirements: tuple[str, ...]
    loops: tuple[str, ...] = ("asyncio", "uvloop")
    cells: tuple[Cell, ...] = CELLS
    window: int = 1000
    """How many QoS 1 or 2 publishes it has under way, where it is best."""

    @property
    def title(self) -> str:
        if not self.requirements or self.name in (*YARDSTICKS, OURS):
            return self.name
        return f"{self.name} {self.requirements[0].partition('==')[2]}"


LIBRARIES: tuple[Library, ...] = (
    Library(name=CEILING, runner="run_ceiling.py", requirements=(), loops=("-",)),
    Library(
        name=BARE,
        runner="run_bare.py",
        requirements=(UVLOOP,),
        cells=tuple(cell for cell in CELLS if cell.name == "receive0"),
    ),
    Library(
        name=OURS,
        runner="run_structiot.py",
        requirements=(f"-e{ROOT}", UVLOOP),
        loops=("asyncio", "uvloop", "trio"),
    ),
    Library(
        name="paho",
        runner="run_paho.py",
        requirements=("paho-mqtt==2.2.0",),
        loops=("thread",),
        window=50,
    ),
    Library(
        name="gmqtt",
        runner="run_gmqtt.py",
        requirements=("gmqtt==0.8.0", UVLOOP),
    ),
    Library(
        name="aiomqtt",
        runner="run_aiomqtt.py",
        requirements=("aiomqtt==2.5.1", "paho-mqtt==2.2.0", UVLOOP),
        window=50,
    ),
    Library(
        name="amqtt",
        runner="run_amqtt.py",
        requirements=AMQTT,
        window=100,
    ),
    Library(
        name="mqttium",
        runner="run_mqttium.py",
        requirements=("mqttium==1.2.1", UVLOOP),
    ),
    Library(
        name="mqttium callbacks",
        runner="run_mqttium_callbacks.py",
        requirements=("mqttium==1.2.1", UVLOOP),
        cells=tuple(cell for cell in CELLS if cell.mode == "receive"),
    ),
    Library(
        name="mqttools",
        runner="run_mqttools.py",
        requirements=("mqttools==0.50.0", UVLOOP),
        cells=tuple(cell for cell in CELLS if cell.qos == 0),
    ),
    Library(
        name="zmqtt",
        runner="run_zmqtt.py",
        requirements=("zmqtt==0.2.5", UVLOOP),
        window=100,
    ),
    Library(
        name="distmqtt",
        runner="run_distmqtt.py",
        requirements=DISTMQTT,
        loops=("asyncio", "uvloop", "trio"),
        window=100,
    ),
)
