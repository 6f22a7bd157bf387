"""Drives an original `iot-manager`; runs in an environment that has only that.

Called with the port. It prints each thing that happens as a line of JSON, and greets
whoever connects.
"""

from __future__ import annotations

import json
import sys
import time


def say(**what):
    # In one piece: several threads tell.
    print(json.dumps(what) + "\n", end="", flush=True)


def run_documented(port):
    """0.0.5: handlers by their names."""
    from iotmanager import Manager  # noqa: PLC0415

    manager = Manager(["test"], connection_port=port, heartbeat_rate=3)

    def on_connect(client):
        say(event="connect", **client.return_data())
        client.send_string("hello client")

    def on_message(client, message):
        say(event="message", uuid=client.data.uuid, text=bytes(message).decode())

    manager.event(on_connect)
    manager.event(on_message)
    return manager


def run_later(port):
    """0.0.35: one class for each type of device."""
    from iot_manager import DeviceType, Manager, Packet  # noqa: PLC0415

    class Test(DeviceType):
        def on_connect(self, client):
            say(event="connect", uuid=client.uuid, type=client.type, data=client.data)
            client.send(Packet(b"hello client"))

        def on_message(self, message):
            text = message.packet.bytes.decode()
            say(event="message", uuid=message.client.uuid, text=text)

        def on_disconnect(self, client):
            say(event="disconnect", uuid=client.uuid)

    manager = Manager(connection_port=port, heartbeat_rate=3)
    manager.add_device(Test("test"))
    manager.start()
    return manager


def main(version, port):
    manager = (run_documented if version == "0.0.5" else run_later)(int(port))
    say(event="listens")
    while True:
        time.sleep(1)
        if version == "0.0.5":
            say(event="pool", size=len(manager.get_client_data()))


main(*sys.argv[1:])
