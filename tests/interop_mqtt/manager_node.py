"""One node of a manager as a program: notes what comes, sends without end; may be killed.

SIGUSR2 has it send nothing more of itself, SIGUSR1 has it send to all and say how that
went. It says where it listens, and how many devices there are whenever one comes or goes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import random
import signal
import sys
from pathlib import Path
from typing import TextIO

import anyio

from structiot.manager.backplane.opening import open_backplane
from structiot.manager.events import MessageReceived
from structiot.manager.limits import Listener
from structiot.manager.manager import Manager
from structiot.manager.opening import open_manager

PERIOD_S = 0.03


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def note_messages(manager: Manager, notes: TextIO) -> None:
    async with manager.events(max_items=100_000) as events:
        async for event in events:
            if isinstance(event, MessageReceived):
                notes.write(f"{event.client.uuid} {event.data.decode()}\n")
                notes.flush()
            else:
                say("fleet", len(manager.fleet))


async def send_one(manager: Manager, uuid: str, text: str, notes: TextIO) -> None:
    report = await manager.send(uuid, text)
    outcome = type(report.failed[uuid]).__name__ if report.failed else "delivered"
    notes.write(f"{uuid} {text} {outcome}\n")
    notes.flush()


async def send_on(manager: Manager, name: str, notes: TextIO) -> None:
    async with anyio.create_task_group() as tg:
        for number in itertools.count():
            if manager.fleet:
                uuid = random.choice(list(manager.fleet))
                text = f"{name}:{number}"
                tg.start_soon(send_one, manager, uuid, text, notes)
            await anyio.sleep(PERIOD_S)


async def run(arguments: argparse.Namespace) -> None:
    folder, name = Path(arguments.folder), arguments.name
    with (
        (folder / f"{name}.received").open("a") as received,
        (folder / f"{name}.sent").open("a") as sent,
        anyio.open_signal_receiver(signal.SIGUSR1, signal.SIGUSR2) as signals,
    ):
        async with (
            open_backplane(arguments.uri, node=name) as client,
            open_manager(
                port=0,
                dialect="structiot",
                listeners=[Listener("127.0.0.1", 0, "D4")],
                backplane=client,
            ) as manager,
            anyio.create_task_group() as tg,
        ):
            tg.start_soon(note_messages, manager, received)
            load = anyio.CancelScope()

            async def send_under_load() -> None:
                with load:
                    await send_on(manager, name, sent)

            tg.start_soon(send_under_load)
            say("listening", *(port for _, port in manager.addresses))
            async for number in signals:
                if number == signal.SIGUSR2:
                    load.cancel()
                else:
                    report = await manager.send_all(f"all:{name}")
                    failed = {uuid: str(why) for uuid, why in report.failed.items()}
                    say(json.dumps({"delivered": report.delivered, "failed": failed}))


def main() -> None:
    parser = argparse.ArgumentParser()
    for name in ("--uri", "--folder", "--name", "--backend"):
        parser.add_argument(name)
    arguments = parser.parse_args()
    anyio.run(run, arguments, backend=arguments.backend)


if __name__ == "__main__":
    main()
