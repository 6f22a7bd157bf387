"""mosquitto_pub, mosquitto_sub and mosquitto_rr with our broker."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

import anyio
import pytest
from anyio.abc import Process

from structiot.mqtt.broker import (
    BrokerServer,
    Passwords,
    Permission,
    hash_password,
    open_broker,
)
from tests._support.mosquitto import mosquitto_program

pytestmark = pytest.mark.e2e
versions = pytest.mark.parametrize("version", ["31", "311", "5"])
LOCAL = "mqtt://127.0.0.1:0"


class Tools:
    """Mosquitto's programs, pointed at one broker."""

    def __init__(self, server: BrokerServer, version: str) -> None:
        port = server.uri.rpartition(":")[2]
        self.server = server
        self.common = ["-h", "127.0.0.1", "-p", port, "-V", f"mqttv{version}"]

    async def pub(self, *arguments: str, data: bytes | None = None) -> str:
        command = [mosquitto_program("mosquitto_pub"), *self.common, *arguments]
        done = await anyio.run_process(command, input=data or b"", check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr.decode()

    async def sub(self, *arguments: str) -> list[str]:
        """Subscribe and print; the messages are there already."""
        command = [mosquitto_program("mosquitto_sub"), *self.common, "-W", "5"]
        done = await anyio.run_process([*command, *arguments], check=False)
        assert done.returncode == 0, (done.stdout, done.stderr)
        return done.stdout.decode().splitlines()

    @asynccontextmanager
    async def listening(self, *arguments: str) -> AsyncGenerator[Process]:
        """Subscribe in the background, for live messages."""
        command = [mosquitto_program("mosquitto_sub"), *self.common, "-W", "10"]
        before = self.server.core.subscriptions
        async with await anyio.open_process([*command, *arguments]) as process:
            await self.subscribed(beyond=before)
            yield process

    async def complaint(self, name: str, *arguments: str) -> str:
        """What a program says that was refused."""
        command = [mosquitto_program(f"mosquitto_{name}"), *self.common, *arguments]
        done = await anyio.run_process(command, check=False)
        return (done.stderr + done.stdout).decode().lower()

    async def subscribed(self, *, beyond: int = 0) -> None:
        """Wait until there are more subscriptions than so many."""
        with anyio.fail_after(5):
            while self.server.core.subscriptions <= beyond:  # noqa: ASYNC110
                await anyio.sleep(0.005)


@asynccontextmanager
async def tools(version: str, **options: object) -> AsyncGenerator[Tools]:
    async with open_broker(LOCAL, sys_interval_s=None, **options) as server:  # type: ignore[arg-type]
        yield Tools(server, version)


async def printed(process: Process) -> list[str]:
    """What a process prints until its end."""
    assert process.stdout is not None
    data = b"".join([chunk async for chunk in process.stdout])
    await process.wait()
    return data.decode().splitlines()


@versions
@pytest.mark.parametrize("qos", ["0", "1", "2"])
async def test_live_messages_arrive_at_every_qos(version: str, qos: str):
    async with tools(version) as broker:
        listen = ["-t", "a/#", "-q", qos, "-C", "3", "-F", "%t %q %r %p"]
        async with broker.listening(*listen) as process:
            await broker.pub("-t", "a/b", "-q", qos, "-l", data=b"one\ntwo\n")
            await broker.pub("-t", "a", "-q", qos, "-r", "-m", "three")
            lines = await printed(process)
        assert lines == [f"a/b {qos} 0 one", f"a/b {qos} 0 two", f"a {qos} 0 three"]


@versions
async def test_retained_messages_greet_and_are_erased(version: str):
    async with tools(version) as broker:
        await broker.pub("-t", "r/a", "-q", "1", "-r", "-m", "kept")
        sub = ["-t", "r/#", "-q", "2", "-C", "1", "-F", "%q %r %p"]
        assert await broker.sub(*sub) == ["1 1 kept"]
        await broker.pub("-t", "r/a", "-r", "-n")
        assert len(broker.server.core.retained) == 0


@versions
async def test_a_large_message_travels_whole(version: str, tmp_path: Path):
    path = tmp_path / "large"
    path.write_bytes(os.urandom(1_000_000))
    async with tools(version) as broker:
        await broker.pub("-t", "large", "-q", "2", "-r", "-f", str(path))
        async with broker.listening("-t", "large", "-C", "1", "-F", "%x") as process:
            (line,) = await printed(process)
        assert bytes.fromhex(line) == path.read_bytes()


@versions
async def test_a_kept_session_waits(version: str):
    async with tools(version) as broker:
        kept = ["-i", "keeper", "-c", "-q", "1", "-t", "k/a"]
        await broker.sub(*kept, "-E")
        assert next(iter(broker.server.core.away)).client_id == "keeper"
        await broker.pub("-t", "k/a", "-q", "1", "-l", data=b"one\ntwo\n")
        assert await broker.sub(*kept, "-C", "2") == ["one", "two"]


@versions
async def test_a_killed_client_leaves_its_will(version: str):
    async with tools(version) as broker:
        will = ["--will-topic", "will/a", "--will-payload", "gone", "--will-qos", "1"]
        async with broker.listening("-t", "will/+", "-v", "-C", "1") as listener:
            async with broker.listening("-t", "x", *will) as mortal:
                mortal.send_signal(signal.SIGKILL)
                await mortal.wait()
            assert await printed(listener) == ["will/a gone"]


@versions
async def test_a_client_that_says_goodbye_leaves_none(version: str):
    async with tools(version) as broker:
        will = ["--will-topic", "will", "--will-payload", "gone", "--will-retain"]
        await broker.pub("-t", "a", "-m", "x", *will)
        assert len(broker.server.core.retained) == 0


@versions
async def test_shared_subscriptions_share(version: str):
    async with tools(version) as broker:
        share = ["-t", "$share/g/job", "-C", "3"]
        async with broker.listening(*share) as one, broker.listening(*share) as two:
            await broker.pub("-t", "job", "-l", data=b"1\n2\n3\n4\n5\n6\n")
            lines = [await printed(one), await printed(two)]
        assert sorted(lines[0] + lines[1]) == list("123456")


async def test_properties_of_5_0_arrive():
    async with tools("5") as broker:
        listen = ["-t", "p", "-C", "1", "-F", "%C|%E|%F|%P|%R|%D|%S"]
        identifier = ["-D", "subscribe", "subscription-identifier", "9"]
        async with broker.listening(*listen, *identifier) as process:
            await broker.pub(
                *("-t", "p", "-m", "x"),
                *("-D", "publish", "content-type", "text"),
                *("-D", "publish", "message-expiry-interval", "60"),
                *("-D", "publish", "payload-format-indicator", "1"),
                *("-D", "publish", "user-property", "a", "1"),
                *("-D", "publish", "response-topic", "answers"),
                *("-D", "publish", "correlation-data", "c"),
            )
            assert await printed(process) == ["text|60|1|a:1|answers|c|9"]


async def test_a_request_is_answered():
    async with tools("5") as broker:
        server = broker.server
        rr = [mosquitto_program("mosquitto_rr"), *broker.common, "-W", "5"]
        async with await anyio.open_process(
            [*rr, "-t", "question", "-e", "answer", "-m", "why"],
            stdin=subprocess.DEVNULL,
        ) as process:
            await broker.subscribed()
            server.publish("answer", b"42", qos=1)
            assert await printed(process) == ["42"]


@versions
async def test_names_passwords_and_permissions(version: str):
    passwords = Passwords({"alice": hash_password("wonderland")})
    permissions = [Permission(user="alice", publish=["a"], subscribe=["a"])]
    async with tools(version, passwords=passwords, permissions=permissions) as broker:
        alice = ["-u", "alice", "-P", "wonderland"]
        await broker.pub(*alice, "-t", "a", "-m", "x", "-q", "1")
        wrong = ["-u", "alice", "-P", "guess", "-t", "a", "-m", "x"]
        said = await broker.complaint("pub", *wrong)
        assert "bad user name or password" in said
        said = await broker.complaint("pub", "-t", "a", "-m", "x")
        assert "not authori" in said
        said = await broker.complaint("sub", *alice, "-t", "b", "-W", "5")
        assert "denied" in said


@versions
async def test_qos_2_in_numbers(version: str):
    numbers = [str(number) for number in range(2000)]
    async with tools(version) as broker:
        listen = ["-t", "n", "-q", "2", "-C", str(len(numbers))]
        async with (
            broker.listening(*listen) as process,
            anyio.create_task_group() as tg,
        ):
            data = "\n".join(numbers).encode() + b"\n"
            tg.start_soon(pub_lines, broker, data)
            assert await printed(process) == numbers


async def pub_lines(broker: Tools, data: bytes) -> None:
    await broker.pub("-t", "n", "-q", "2", "-l", data=data)
