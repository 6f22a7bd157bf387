"""A publisher that leaves with work under way and comes back, and who counts what came.

For both brokers and both lengths: `tests/link/mqtt/test_leaving_with_a_store.py` and
`tests/faults_long/test_leaving.py`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from structiot import Environment
from structiot.mqtt import Disconnected, MqttClient, open_mqttclient
from structiot.testing import cancel_sweep

TOPIC = "leaving/numbers"
WAIT_S = 300.0
TASKS = 5_000


class Numbers:
    """Sends numbers through a client that comes and goes, and counts what arrives.

    Args:
        uri: The broker.
        store: The publisher's file.
        settings: Of the publisher; `protocol` is also the subscriber's.
        environment: Of both.
    """

    def __init__(
        self,
        uri: str,
        store: Path,
        *,
        qos: int,
        environment: Environment | None = None,
        **settings: Any,
    ) -> None:
        self.accepted: set[int] = set()
        self.arrived: Counter[int] = Counter()
        self.refused_to_resume: list[str] = []
        self.restored: list[int] = []
        self._next = 0
        self._uri = uri
        self._qos = qos
        self._options: dict[str, Any] = (
            {} if environment is None else {"environment": environment}
        )
        self._settings = {
            "cleansession": False,
            "store": store,
            "outbox_items": 100_000,
            **settings,
        }
        self._arrival = anyio.Event()

    @asynccontextmanager
    async def publisher(self, **settings: Any) -> AsyncGenerator[MqttClient]:
        async with open_mqttclient(
            self._uri, "leaver", {**self._settings, **settings}, **self._options
        ) as client:
            yield client

    async def publish(self, client: MqttClient, count: int) -> None:
        """Have more numbers accepted; returns without waiting for the broker.

        By many tasks: one alone waits for the store each time, and the broker is done
        with a message before the next one comes.
        """
        numbers = iter(range(self._next, self._next + count))
        self._next += count

        async def work() -> None:
            for number in numbers:
                await client.publish_soon(TOPIC, b"%d" % number, qos=self._qos)
                # Only now: what a cancelled call has become of is not known.
                self.accepted.add(number)

        async with anyio.create_task_group() as tg:
            for _ in range(min(count, TASKS)):
                tg.start_soon(work)

    @asynccontextmanager
    async def counting(self) -> AsyncGenerator[None]:
        """Count what arrives for the length of the block."""
        settings = {"protocol": self._settings.get("protocol", "auto")}
        async with (
            open_mqttclient(self._uri, config=settings, **self._options) as client,
            client.subscription(TOPIC, qos=2) as messages,
            anyio.create_task_group() as tg,
        ):

            async def count() -> None:
                async for message in messages:
                    self.arrived[int(message.payload)] += 1
                    self._arrival.set()

            tg.start_soon(count)
            yield
            tg.cancel_scope.cancel()

    async def come_back(self) -> None:
        """Open the client once more, and let it finish what it finds."""
        async with (
            self.publisher(goodbye_s=2) as client,
            client.events() as events,
            anyio.create_task_group() as tg,
        ):

            async def listen() -> None:
                async for event in events:
                    if isinstance(event, Disconnected):
                        self.refused_to_resume.append(event.reason)

            tg.start_soon(listen)
            self.restored += [int(one.payload or -1) for one in client.restored]
            with anyio.fail_after(WAIT_S):
                for receipt in client.restored:
                    await receipt.wait()
            tg.cancel_scope.cancel()

    async def arrive(self, is_there: Callable[[], bool]) -> None:
        with anyio.fail_after(WAIT_S):
            while not is_there():
                self._arrival = anyio.Event()
                await self._arrival.wait()

    async def check(self) -> None:
        """Nothing that was accepted is lost, and of QoS 2 nothing is doubled."""
        await self.arrive(lambda: self.arrived.keys() >= self.accepted)
        if self._qos == 2:
            assert not [n for n, times in self.arrived.items() if times > 1]
        assert self.refused_to_resume == []


async def leave_and_come_back(
    numbers: Numbers, count: int, *, goodbye_s: float
) -> None:
    """Accept so many, leave the block normally, come back, and look."""
    async with numbers.counting():
        async with numbers.publisher(goodbye_s=goodbye_s) as client:
            await numbers.publish(client, count)
        await numbers.come_back()
        await numbers.check()


async def leave_cancelled_anywhere(numbers: Numbers, count: int, stride: int) -> int:
    """Do it for each checkpoint of all tasks, cancelled there; give how many there are."""

    async def flow() -> None:
        async with numbers.publisher(goodbye_s=0.5) as client:
            await numbers.publish(client, count)

    async with numbers.counting():
        rounds = await cancel_sweep(flow, steps_of="all", stride=stride)
        await numbers.come_back()
        await numbers.check()
    return rounds
