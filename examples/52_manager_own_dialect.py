"""A device of our own: a secret that is never told, messages that are acknowledged.

Run:
    python examples/52_manager_own_dialect.py

Prints:
    somebody was refused: it has not proven that it knows its secret
    the lamp is there: {'room': 'hall'}
    the lamp was told: on
    the server was told: I am on
    the lamp says of itself: {'room': 'kitchen'}
"""

from __future__ import annotations

from functools import partial

import anyio

from structiot import open_manager, open_manager_client
from structiot.manager import ClientConnected, ClientRefused

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
    """Whoever knows the UUID is not yet the lamp."""
    async with (
        open_manager(port=0, dialect="structiot", secrets=SECRETS) as manager,
        manager.events() as events,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(be_a_lamp, manager.port, "a guess")
        async for event in events:
            if isinstance(event, ClientRefused):
                print("somebody was refused:", event.reason)
                tasks.start_soon(be_a_lamp, manager.port, SECRETS[UUID])
            elif isinstance(event, ClientConnected):
                print("the lamp is there:", event.client.data.data)
                answer = await event.client.request("on")
                print("the server was told:", answer.decode())
                info = await event.client.refresh_info()
                print("the lamp says of itself:", info.data)
                break
        tasks.cancel_scope.cancel()


anyio.run(main)
