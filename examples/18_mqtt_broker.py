"""Run a broker of your own, with users and permissions.

Run:
    python examples/18_mqtt_broker.py

Prints:
    ann hears: ann/door b'open'
    bob may not: ...
    carl is unknown: ...
"""

from __future__ import annotations

import logging

import anyio

from structiot import AuthRefused, CommandRefused
from structiot.mqtt import open_mqttclient
from structiot.mqtt.broker import Passwords, Permission, hash_password, open_broker

# In a file instead: `structiot mqtt passwd`, and Passwords.read(path).
USERS = Passwords({name: hash_password(f"{name}'s word") for name in ("ann", "bob")})
# The broker says in its log what it refuses; here bob's error is enough.
logging.getLogger("structiot.mqtt.broker").setLevel(logging.ERROR)
RULES = [Permission(publish=["%u/#"], subscribe=["%u/#"])]


async def main() -> None:
    """Everybody has topics of their own; %u stands for the user's name."""
    async with open_broker(
        "mqtt://127.0.0.1:0", passwords=USERS, permissions=RULES
    ) as broker:
        ann = {"username": "ann", "password": "ann's word"}
        async with (
            open_mqttclient(broker.uri, config=ann) as client,
            client.subscription("ann/#", qos=1) as messages,
        ):
            await client.publish("ann/door", b"open", qos=1)
            message = await anext(messages)
            print(f"ann hears: {message.topic} {message.payload!r}")

        bob = {"username": "bob", "password": "bob's word"}
        async with open_mqttclient(broker.uri, config=bob) as client:
            try:
                await client.publish("ann/door", b"closed", qos=1)
            except CommandRefused as error:
                print("bob may not:", error)
        try:
            async with open_mqttclient(broker.uri, config={"username": "carl"}):
                pass
        except AuthRefused as error:
            print("carl is unknown:", error)


anyio.run(main)
