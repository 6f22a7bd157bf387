"""A device of our own: a secret that is never told, messages that are acknowledged.

Run:
    python examples/52_manager_own_dialect.py

Prints:
    the manager refuses the device: it has not proven that it knows its secret
    the lamp is there: {'room': 'hall'}
    the lamp was told: on
    the server was told: I am on
    the lamp says of itself: {'room': 'kitchen'}
"""

from __future__ import annotations

from functools import partial

import anyio

from structiot import AuthRefused, open_manager, open_manager_client
from structiot.manager import ClientConnected

UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
SECRETS = {UUID: "what only the two of us know"}


async def be_a_lamp(port: int, secret: str) -> None:
    """`send` returns when the server has it, however often the connection is lost."""
    connect = partial(open_manager_client, "127.0.0.1", port, uuid=UUID, type="lamp")
    async with connect(data={"room": "hall"}, secret=secret) as device:
        async for data in device:
            print(f"the lamp was told: {data.decode()}")
            device.describe({"room": "kitchen"})
            await device.send(f"I am {data.decode()}")


async def main() -> None:
    """Whoever knows the UUID is not yet the lamp, and is refused for good."""
    async with (
        open_manager(port=0, dialect="structiot", secrets=SECRETS) as manager,
        manager.events() as events,
        anyio.create_task_group() as tasks,
    ):
        try:
            await be_a_lamp(manager.port, "a guess")
        except AuthRefused as exc:
            print(exc)
        tasks.start_soon(be_a_lamp, manager.port, SECRETS[UUID])
        async for event in events:
            if isinstance(event, ClientConnected):
                break
        lamp = manager.clients[UUID]
        print("the lamp is there:", lamp.data.data)
        print("the server was told:", (await lamp.request("on")).decode())
        print("the lamp says of itself:", (await lamp.refresh_info()).data)
        tasks.cancel_scope.cancel()


anyio.run(main)
