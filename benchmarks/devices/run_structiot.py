"""structiot: a manager that sends every message back, and one to all when told to.

Called with the event loop, the core, and how often devices are asked whether they are
there. Standard input wants to know how many devices there are, or a message to all.
"""

from __future__ import annotations

import contextlib
import json
import sys
import time

import anyio
import anyio.to_thread
from brokers.common import ready

from devices.fleet import BROADCAST
from structiot.manager import ConnectionEnd, Manager, MessageReceived, open_manager


async def send_back(manager: Manager) -> None:
    async with manager.events(max_items=100_000) as events:
        async for event in events:
            if isinstance(event, MessageReceived):
                with contextlib.suppress(ConnectionEnd):
                    await event.client.send(event.data)


async def main(heartbeat_s: float) -> None:
    async with (
        open_manager(
            ["lamp"], port=0, dialect="D4", heartbeat_s=heartbeat_s
        ) as manager,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(send_back, manager)
        ready(manager.port)
        while line := await anyio.to_thread.run_sync(sys.stdin.readline):
            answer: dict[str, float] = {"count": len(manager.clients)}
            if json.loads(line)["do"] == "broadcast":
                started_at = time.monotonic()
                report = await manager.send_all(BROADCAST)
                answer = {"started_at": started_at, "ended_at": time.monotonic()}
                answer["failed"] = len(report.failed)
            print(json.dumps(answer), flush=True)
        tasks.cancel_scope.cancel()


loop = sys.argv[1]
anyio.run(
    main,
    float(sys.argv[3]),
    backend="trio" if loop == "trio" else "asyncio",
    backend_options={"use_uvloop": True} if loop == "uvloop" else {},
)
