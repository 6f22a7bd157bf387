"""A Mosquitto with password file, ACL and persistence, and whoever speaks to it."""

from __future__ import annotations

import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio

from structiot.mqtt.wire.messages import Message, Puback
from tests._support.mosquitto import Mosquitto, mosquitto_program
from tests.link.broker.raw import RawClient

CONFIG = """\
allow_anonymous true
password_file {folder}/passwd
acl_file {folder}/acl
persistence true
set_tcp_nodelay true
persistence_location {folder}/
log_type error
log_type warning
user root
"""


def word_of(user: str) -> bytes:
    return f"the word of {user}".encode()


def set_passwords(folder: Path, *users: str, suffix: str = "") -> Path:
    """Have mosquitto_passwd write a password file."""
    file = folder / "passwd"
    file.unlink(missing_ok=True)
    file.touch(mode=0o600)
    program = mosquitto_program("mosquitto_passwd")
    for number, user in enumerate(users):
        kind = ("sha512-pbkdf2", "sha512")[number % 2]
        word = word_of(user).decode() + suffix
        command = [program, "-H", kind, "-b", str(file), user, word]
        subprocess.run(command, check=True, capture_output=True)
    return file


def mosquitto_in(folder: Path) -> Mosquitto:
    """Give a Mosquitto that goes by `passwd` and `acl` of a folder."""
    return Mosquitto(folder, CONFIG.format(folder=folder))


@asynccontextmanager
async def speaking(
    port: int, user: str | None, client_id: str, version: int = 5, **options: Any
) -> AsyncGenerator[RawClient]:
    """Connect a client that says and hears packets; it leaves as if it had died."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = RawClient(stream, version)
        if user is not None:
            options |= {"username": user, "password": word_of(user)}
        connack = await client.connect(client_id, **options)
        assert not connack.reason.is_failure, connack
        yield client


async def refusal(port: int, user: str, word: bytes) -> int:
    """Tell with which code a login is refused; 0 if it is not."""
    async with await anyio.connect_tcp("127.0.0.1", port) as stream:
        client = RawClient(stream, 5)
        connack = await client.connect("tries", username=user, password=word)
        return int(connack.reason)


async def publish(client: RawClient, *topics: str) -> list[int]:
    """Publish with QoS 1, all at once; give the codes."""
    messages = [
        Message(topic, topic.encode(), qos=1, packet_id=number)
        for number, topic in enumerate(topics, 1)
    ]
    await client.send(*messages)
    pubacks = [await client.expect(Puback) for _ in topics]
    assert [one.packet_id for one in pubacks] == [one.packet_id for one in messages]
    return [int(one.reason) for one in pubacks]
