"""What every driver does, and how it says what it saw: one line of JSON.

A driver is called with port, protocol level (4 or 5), a task and, where it is to use a
websocket, `ws`:

    echo      subscribe to everything at QoS 2, publish at 0, 1 and 2, wait for all
    numbers   the same with a hundred messages of QoS 2
    vanish    connect with a will and die
"""

from __future__ import annotations

import argparse
import json
import os
from typing import Any, NoReturn

HOST = "127.0.0.1"
FILTER = "interop/#"
LIMIT_S = 10.0
WILL_TOPIC, WILL_PAYLOAD = "interop/will", b"gone"


class Job:
    """The task, what is to be sent for it, and what has come."""

    def __init__(self) -> None:
        parser = argparse.ArgumentParser()
        parser.add_argument("port", type=int)
        parser.add_argument("level", type=int, choices=(4, 5))
        parser.add_argument("task", choices=("echo", "numbers", "vanish"))
        parser.add_argument(
            "transport", nargs="?", choices=("tcp", "ws"), default="tcp"
        )
        args = parser.parse_args()
        self.port: int = args.port
        self.level: int = args.level
        self.task: str = args.task
        self.transport = "websockets" if args.transport == "ws" else "tcp"
        self.seen: list[dict[str, Any]] = []

    @property
    def is_v5(self) -> bool:
        return self.level == 5

    @property
    def messages(self) -> list[tuple[str, bytes, int]]:
        if self.task == "numbers":
            return [("interop/n", b"%d" % number, 2) for number in range(100)]
        return [(f"interop/echo/{qos}", b"hello %d" % qos, qos) for qos in (0, 1, 2)]

    @property
    def expected(self) -> int:
        """Our own messages, and the retained one that greets us."""
        return len(self.messages) + 1

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


def die() -> NoReturn:
    """End without a word to the broker."""
    print("connected", flush=True)
    os._exit(9)
