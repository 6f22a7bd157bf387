"""Publishes numbers 0, 1, 2 ...; may be killed at any moment and started again.

What it is about to publish stands in a file before it is accepted; a number that was
on its way when the process died is looked for among the messages that the store gave
back, so that nothing is left out and nothing is published twice.
"""

from __future__ import annotations

import argparse
from collections import deque
from pathlib import Path

import anyio

from structiot.mqtt import Receipt, open_mqttclient


async def publish(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    config = {
        "store": folder / "publisher.sqlite",
        "cleansession": False,
        "reconnect_retries": -1,
        "reconnect_max_interval": 0.5,
        "keep_alive": 2,
        "connect_s": 2.0,
        "max_inflight": 200,
        "outbox_items": 500,
        "goodbye_s": 30.0,
    }
    progress = folder / "accepted.txt"
    done = int(progress.read_text().split()[-1]) + 1 if progress.exists() else 0
    async with open_mqttclient(
        arguments.uri, "loss-publisher", config, wait_connected=False
    ) as client:
        unfinished = {int(one.payload) for one in client.restored if one.payload}
        # The number after the last noted one may have been accepted already.
        if done in unfinished:
            done += 1
        waiting: deque[Receipt] = deque()
        with progress.open("a") as note:
            for number in range(done, arguments.count):
                waiting.append(
                    await client.publish_soon("loss/x", b"%d" % number, arguments.qos)
                )
                note.write(f"{number}\n")
                note.flush()
                while len(waiting) > 400:
                    await waiting.popleft().wait()
        for receipt in waiting:
            await receipt.wait()
        for receipt in client.restored:
            await receipt.wait()
    (folder / "published").touch()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri")
    parser.add_argument("--folder")
    parser.add_argument("--count", type=int)
    parser.add_argument("--qos", type=int)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    anyio.run(publish, arguments, backend=arguments.backend)


if __name__ == "__main__":
    main()
