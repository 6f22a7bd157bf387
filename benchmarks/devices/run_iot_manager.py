"""iot-manager 0.0.5 and 0.0.35: the same, as its documentation and its example do it.

Called with its version, the core, and how often devices are asked whether they are there.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time

from brokers.common import free_port, ready

from devices.fleet import BROADCAST


def documented(port: int, heartbeat_s: float):
    from iotmanager import Manager  # noqa: PLC0415

    manager = Manager(["lamp"], connection_port=port, heartbeat_rate=heartbeat_s)

    def on_message(client, message):
        client.send(bytes(message))

    manager.event(on_message)
    return manager, lambda: manager.send_all(BROADCAST)


def later(port: int, heartbeat_s: float):
    from iot_manager import DeviceType, Manager, Packet  # noqa: PLC0415

    class Lamp(DeviceType):
        def on_message(self, message):
            message.client.send(Packet(message.packet.bytes))

    manager = Manager(connection_port=port, heartbeat_rate=heartbeat_s)
    manager.add_device(Lamp("lamp"))
    manager.start()
    return manager, lambda: manager.send_all(Packet(BROADCAST))


def main(version: str, heartbeat_s: float) -> None:
    port = free_port()
    make = documented if version == "0.0.5" else later
    manager, send_to_all = make(port, heartbeat_s)
    ready(port)
    while line := sys.stdin.readline():
        answer = {"count": len(manager.get_client_data())}
        if json.loads(line)["do"] == "broadcast":
            started_at = time.monotonic()
            send_to_all()
            # It only queues it, and says nothing of what becomes of it.
            ended_at = time.monotonic()
            answer = {"started_at": started_at, "ended_at": ended_at, "failed": 0}
        print(json.dumps(answer), flush=True)
    os._exit(0)


logging.disable(logging.CRITICAL)
main(sys.argv[1], float(sys.argv[3]))
