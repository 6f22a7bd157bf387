"""What every driver does, and how it says what it saw: one line of JSON.

A driver is called with port, protocol level (3, 4 or 5), a task and, where it is to use a
websocket, `ws`:

    echo      subscribe to everything at QoS 2, publish at 0, 1 and 2, and one retained
              message elsewhere; wait for all that it has subscribed to
    numbers   the same with a hundred messages of QoS 2
    vanish    connect with a will, subscribe and die
    sleep     subscribe in a session that lasts, and leave
    wake      come back to that session, take two messages and forget the session
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, NoReturn

HOST = "127.0.0.1"
LIMIT_S = 10.0
LASTS_S = 3600
WILL_TOPIC, WILL_PAYLOAD = "interop/will", b"gone"

Publish = tuple[str, bytes, int, bool]


class Job:
    """The task, what is to be sent for it, and what has come."""

    def __init__(self, name: str) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("port", type=int)
        parser.add_argument("level", type=int, choices=(3, 4, 5))
        tasks = ("echo", "numbers", "vanish", "sleep", "wake")
        parser.add_argument("task", choices=tasks)
        parser.add_argument(
            "transport", nargs="?", choices=("tcp", "ws"), default="tcp"
        )
        args = parser.parse_args()
        self.port: int = args.port
        self.level: int = args.level
        self.task: str = args.task
        self.transport = "websockets" if args.transport == "ws" else "tcp"
        self.lasts = self.task in {"sleep", "wake"}
        self.client_id = f"{name}-lasting" if self.lasts else name
        # Who wakes must be remembered by the broker: nothing is subscribed again.
        self.subscribes = self.task != "wake"
        self.filter = f"missed/{name}/#" if self.lasts else "interop/#"
        self.publishes = {"echo": self._echo(name), "numbers": NUMBERS}.get(
            self.task, []
        )
        # The retained greeting, and what is published into the filter.
        self.expected = {"echo": 4, "numbers": 101, "wake": 2}.get(self.task, 0)
        self.seen: list[dict[str, Any]] = []

    @property
    def is_v5(self) -> bool:
        return self.level == 5

    @property
    def uri(self) -> str:
        scheme = "ws" if self.transport == "websockets" else "mqtt"
        return f"{scheme}://{HOST}:{self.port}/"

    @staticmethod
    def _echo(name: str) -> list[Publish]:
        echo = [
            (f"interop/echo/{qos}", b"hello %d" % qos, qos, False) for qos in range(3)
        ]
        return [(f"kept/{name}", name.encode(), 1, True), *echo]

    @property
    def is_complete(self) -> bool:
        return len(self.seen) >= self.expected

    def take(self, topic: Any, payload: Any, qos: Any, retain: Any) -> None:
        self.seen.append(
            {
                "topic": str(topic),
                "payload": bytes(payload).decode(),
                "qos": int(qos),
                "retain": bool(retain),
            }
        )

    def report(self) -> None:
        print(json.dumps(self.seen), flush=True)


NUMBERS: list[Publish] = [("interop/n", b"%d" % n, 2, False) for n in range(100)]


def die() -> NoReturn:
    """End without a word to the broker."""
    print("connected", flush=True)
    os._exit(9)
