"""Notes each number and its packet identifier, then acknowledges; may be killed.

A number that was noted and not yet acknowledged when the process died comes again,
marked as a repetition: that is as far as the protocol can see. The note itself tells
the process that it has had it; such repetitions are counted in a file of their own.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import anyio

from structiot.mqtt import open_mqttclient


async def subscribe(arguments: argparse.Namespace) -> None:
    folder = Path(arguments.folder)
    config = {
        "store": folder / "subscriber.sqlite",
        "cleansession": False,
        "reconnect_retries": -1,
        "reconnect_max_interval": 0.5,
        "keep_alive": 2,
        "connect_s": 2.0,
    }
    notes = folder / "received.txt"
    lines = notes.read_text().split("\n") if notes.exists() else []
    # Only a whole line was written by a whole call.
    in_doubt = {int(line.split()[0]) for line in lines[-2000:-1] if line}
    with notes.open("a") as note, (folder / "repeated.txt").open("a") as repeated:
        async with (
            open_mqttclient(arguments.uri, "loss-subscriber", config) as client,
            client.subscription("loss/#", arguments.qos, ack="manual") as messages,
        ):
            (folder / "subscribed").touch()
            async for message in messages:
                number = int(message.payload)
                if message.dup and number in in_doubt:
                    in_doubt.discard(number)
                    repeated.write(f"{number}\n")
                    repeated.flush()
                else:
                    note.write(f"{number} {message.packet_id}\n")
                    note.flush()
                messages.ack(message)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--uri")
    parser.add_argument("--folder")
    parser.add_argument("--qos", type=int)
    parser.add_argument("--backend")
    arguments = parser.parse_args()
    anyio.run(subscribe, arguments, backend=arguments.backend)


if __name__ == "__main__":
    main()
