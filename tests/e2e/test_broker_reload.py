"""SIGHUP: our broker does what Mosquitto does, but where the new file is wrong."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import anyio
import pytest

from structiot.mqtt.wire.messages import Disconnect, Message
from structiot.mqtt.wire.reasons import ReasonCode
from tests._support.broker_process import BrokerProcess
from tests._support.mosquitto import Mosquitto
from tests._support.ports import free_port
from tests.e2e.leaving_mosquitto import (
    mosquitto_in,
    publish,
    refusal,
    set_passwords,
    speaking,
    word_of,
)
from tests.e2e.processes import running, structiot
from tests.link.broker.raw import RawClient

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

FIRST = "user ann\ntopic #\nuser bob\ntopic read a/#\nuser cid\ntopic read a/#\n"
THEN = "user ann\ntopic a/#\nuser bob\ntopic read a/#\nuser cid\ntopic read a/2\n"


class OurBroker(BrokerProcess):
    """Ours as a program, by the same two files."""

    def __init__(self, folder: Path) -> None:
        files = f"--password-file={folder / 'passwd'}", f"--acl-file={folder / 'acl'}"
        super().__init__(*files)

    def send_signal(self, number: int) -> None:
        os.kill(self.pid, number)


@pytest.fixture(params=["mosquitto", "ours"])
def broker(
    request: pytest.FixtureRequest, tmp_path: Path
) -> Iterator[Mosquitto | OurBroker]:
    (tmp_path / "acl").write_text(FIRST)
    set_passwords(tmp_path, "ann", "bob", "cid", "dan")
    kind = mosquitto_in if request.param == "mosquitto" else OurBroker
    broker = kind(tmp_path)
    broker.start()
    yield broker
    broker.stop()


async def ended(client: RawClient) -> list[int]:
    """Wait for the end of a client; give the codes that it was told, if it was."""
    with anyio.fail_after(20):
        packets = await client.closed()
    return [int(one.reason) for one in packets if isinstance(one, Disconnect)]


async def test_logins_and_rights_are_those_of_the_new_files(
    tmp_path: Path, broker: Mosquitto | OurBroker
):
    port = broker.port
    async with (
        speaking(port, "ann", "ann") as ann,
        speaking(port, "bob", "bob") as bob,
        speaking(port, "cid", "cid") as cid,
        speaking(port, "dan", "dan") as dan,
    ):
        for client in (bob, cid, dan):
            await client.subscribe("#")
        await publish(ann, "a/1")
        for client in (bob, cid):
            assert (await client.expect(Message)).topic == "a/1"
        # bob is gone, dan's password is another, ann's and cid's are as they were.
        file = tmp_path / "passwd"
        lines = file.read_text().splitlines(keepends=True)
        set_passwords(tmp_path, "dan", suffix=" today")
        file.write_text("".join([lines[0], lines[2], file.read_text()]))
        (tmp_path / "acl").write_text(THEN)
        broker.send_signal(signal.SIGHUP)
        for client in (bob, dan):
            # Mosquitto tells nobody why.
            told = [ReasonCode.NOT_AUTHORIZED] if isinstance(broker, OurBroker) else []
            assert await ended(client) == told
        assert max(await publish(ann, "a/1", "a/2")) < 0x80
        assert await publish(ann, "b") == [ReasonCode.NOT_AUTHORIZED]
        assert (await cid.expect(Message)).topic == "a/2"
        assert await cid.is_alive()
    assert await refusal(port, "bob", word_of("bob")) >= 0x80
    assert await refusal(port, "dan", word_of("dan")) >= 0x80
    assert await refusal(port, "dan", word_of("dan") + b" today") == 0


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("acl", "topic reed a\n", "line 1: the access is read, write"),
        ("passwd", "ann:unhashed\n", "line 1: not name:"),
        ("passwd", "", "has no users"),
    ],
)
async def test_a_file_with_a_mistake_changes_nothing_and_is_named(
    tmp_path: Path, name: str, text: str, said: str
):
    (tmp_path / "acl").write_text(FIRST)
    passwords, port = set_passwords(tmp_path, "ann", "bob"), free_port()
    options = f"--port={port}", f"--password-file={passwords}"
    acl = f"--acl-file={tmp_path / 'acl'}"
    async with running(*structiot("mqtt", "broker", *options, acl)) as program:
        await program.until(lambda: program.lines)
        async with speaking(port, "ann", "ann") as ann:
            good = {one: (tmp_path / one).read_text() for one in ("acl", "passwd")}
            # The other file is a good one, and is not gone by either.
            (tmp_path / "acl").write_text("user ann\ntopic read #\n")
            (tmp_path / name).write_text(text)
            program.signal(signal.SIGHUP)
            await program.until(lambda: [one for one in program.errors if said in one])
            (error,) = program.errors
            assert "all goes on as it was" in error
            assert await publish(ann, "b") < [0x80]
            assert await refusal(port, "bob", word_of("bob")) == 0
            (tmp_path / name).write_text(good[name])
            program.signal(signal.SIGHUP)
            await program.until(lambda: "were read again" in program.errors[-1])
            may = await publish(ann, "b") < [0x80]
            assert may == (name == "acl")
