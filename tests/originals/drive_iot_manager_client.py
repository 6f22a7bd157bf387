"""Drives the original `iot-manager-client`; runs in an environment that has only that.

Called with port and UUID. It prints what it is told as lines of JSON, answers `hello client`
with `hello server`, and ends when it is told `enough`.
"""

from __future__ import annotations

import json
import logging
import sys
import time

from iot_manager_client import IoTClient


def say(**what):
    # In one piece: several threads tell.
    print(json.dumps(what) + "\n", end="", flush=True)


class Client(IoTClient):
    def on_connect(self):
        say(event="connect")

    def on_message(self, data):
        text = data.bytes.decode()
        say(event="message", text=text)
        if text == "hello client":
            self.send(b"hello server")

    def on_disconnect(self):
        say(event="disconnect")


def main(port, uuid):
    client = Client(uuid, "test", {"key_1": "data_1"}, logging.CRITICAL)
    client.connect("127.0.0.1", int(port))
    while True:
        time.sleep(1)


main(*sys.argv[1:])
