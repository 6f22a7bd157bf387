"""Which brokers are compared, in which versions, on which loops, in which cells."""

from __future__ import annotations

import dataclasses

from peers.libraries import AMQTT, DISTMQTT, OURS, ROOT, UVLOOP, Library


@dataclasses.dataclass(frozen=True, kw_only=True)
class Cell:
    """One kind of load."""

    name: str
    title: str
    publishers: int = 1
    subscribers: int = 1
    qos: int = 0
    idle: int = 0
    window: int = 1000
    payload: int = 64
    topics: int = 1
    filters: int = 0
    tls: bool = False

    @property
    def arguments(self) -> list[str]:
        if self.idle:
            return [f"--idle={self.idle}"]
        return [
            f"--publishers={self.publishers}",
            f"--subscribers={self.subscribers}",
            f"--qos={self.qos}",
            f"--window={self.window}",
            f"--payload={self.payload}",
            f"--topics={self.topics}",
            f"--filters={self.filters}",
        ]


# As much is on its way at once where payloads are large.
UNDER_WAY_BYTES = 1 << 22

CELLS = (
    Cell(name="pair0", title="1 to 1, QoS 0"),
    Cell(name="pair1", title="1 to 1, QoS 1", qos=1),
    Cell(name="pair2", title="1 to 1, QoS 2", qos=2),
    Cell(name="turn0", title="1 to 1, QoS 0, one at a time", window=1),
    Cell(name="fanout0", title="1 to 100, QoS 0", subscribers=100),
    Cell(name="fanout1", title="1 to 100, QoS 1", subscribers=100, qos=1),
    Cell(name="fanin0", title="100 to 1, QoS 0", publishers=100),
    Cell(name="fanin1", title="100 to 1, QoS 1", publishers=100, qos=1),
    Cell(name="idle", title="5,000 idle connections", idle=5000),
)

SWEPT = ("pair0", "pair1")


def swept(payloads: list[int], crowds: list[int]) -> list[Cell]:
    """The usual cells, one to one, with other payloads, and with many topics or filters."""
    cells = []
    for cell in CELLS:
        if cell.name not in SWEPT:
            continue
        for payload in payloads:
            window = max(1, min(cell.window, UNDER_WAY_BYTES // payload))
            made = dataclasses.replace(cell, payload=payload, window=window)
            cells.append(_named(made, f"{payload:,} bytes"))
            made = dataclasses.replace(made, tls=True)
            cells.append(_named(made, f"{payload:,} bytes, TLS"))
        for many in crowds:
            made = dataclasses.replace(cell, topics=many)
            cells.append(_named(made, f"{many:,} topics"))
            made = dataclasses.replace(cell, filters=many)
            cells.append(_named(made, f"{many:,} other filters"))
    return cells


def _named(cell: Cell, what: str) -> Cell:
    name = f"{cell.name}-{what.replace(',', '').replace(' ', '-')}"
    return dataclasses.replace(cell, name=name, title=f"{cell.title}, {what}")


BROKERS = (
    Library(
        name=OURS,
        runner="run_structiot.py",
        requirements=(f"-e{ROOT}", UVLOOP),
        loops=("asyncio", "uvloop", "trio"),
    ),
    Library(
        name="amqtt",
        runner="run_amqtt.py",
        requirements=AMQTT,
        loops=("asyncio", "uvloop"),
    ),
    Library(
        name="distmqtt",
        runner="run_distmqtt.py",
        requirements=DISTMQTT,
        loops=("asyncio", "trio"),
    ),
    Library(
        name="Mosquitto",
        runner="run_mosquitto.py",
        requirements=(),
        loops=("-",),
    ),
)
