"""A disk that is really full: only what needs the store waits for it."""

from __future__ import annotations

import contextlib
import resource
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import anyio.to_thread
import pytest

from structiot.errors import ConfigError
from structiot.mqtt.broker import import_mosquitto, open_broker
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Connect,
    Message,
    Subscribe,
    SubscriptionRequest,
)
from structiot.mqtt.wire.properties import ConnectProperties
from tests.hostile.attackers import log_in, read

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(60)]

PING, PONG = b"\xc0\x00", b"\xd0\x00"
SMALL_BYTES = 1_000_000


@dataclass
class Disk:
    """A place for a store that can be filled, and emptied again."""

    folder: Path
    fill: Callable[[], None]
    heal: Callable[[], None]


@pytest.fixture
def small_tmpfs(tmp_path: Path) -> Iterator[Disk]:
    folder = tmp_path / "small"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={SMALL_BYTES}", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(mount, check=False).returncode:
        pytest.skip("a file system can be mounted by root alone")
    ballast = folder / "ballast"

    def fill() -> None:
        with ballast.open("wb", buffering=0) as file, contextlib.suppress(OSError):
            while True:
                file.write(bytes(4096))

    yield Disk(folder, fill, ballast.unlink)
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.fixture
def short_files(tmp_path: Path) -> Iterator[Disk]:
    """No file may grow any more; for this, nobody has to be root."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)

    def fill() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))

    def heal() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)

    yield Disk(tmp_path, fill, heal)
    heal()


@pytest.fixture(params=["small_tmpfs", "short_files"])
def disk(request: pytest.FixtureRequest) -> Disk:
    disk: Disk = request.getfixturevalue(request.param)
    return disk


def live_on(source: str, uri: str, disk: Disk) -> None:
    lasting = Connect(
        client_id="lasting",
        version=5,
        clean_start=False,
        keep_alive_s=4,
        properties=ConnectProperties(session_expiry_s=600),
    )
    with log_in(source, uri, lasting) as sock:
        disk.fill()
        kept = Message("kept", bytes(20_000), qos=1, packet_id=1, retain=True)
        sock.sendall(encode(kept, 5))
        # A keep-alive is kept, and a clean client comes, subscribes and hears.
        for number in range(10):
            sock.sendall(PING)
            assert read(sock, 2) == PONG
            with log_in(source, uri, Connect(client_id=f"c{number}")) as other:
                request = SubscriptionRequest(topic_filter="live", qos=0)
                other.sendall(
                    encode(Subscribe(packet_id=1, subscriptions=(request,)), 4)
                )
                assert read(other, 5) == b"\x90\x03\x00\x01\x00"
                message = encode(Message("live", b"x"), 4)
                other.sendall(message)
                assert read(other, len(message)) == message
        disk.heal()
        assert read(sock, 4)[0] == 0x40


async def test_a_full_disk(disk: Disk, watched, attacker, caplog):
    store = disk.folder / "broker.sqlite"
    async with open_broker("mqtt://127.0.0.1:0", store=store) as broker:
        async with watched(good=broker.uri):
            await anyio.to_thread.run_sync(live_on, attacker, broker.uri, disk)
    lines = [one.message for one in caplog.records if "store" in one.message]
    assert len(lines) == 2, lines
    assert "cannot write" in lines[0]
    assert "written again" in lines[1]
    async with open_broker("mqtt://127.0.0.1:0", store=store) as broker:
        assert any(item.topic == "kept" for item in broker.core.retained)


def test_an_import_for_which_there_is_no_room_makes_no_store(
    tmp_path: Path, small_tmpfs: Disk
):
    # The journal fits, and what it is brought into does not.
    db, store = tmp_path / "mosquitto.db", small_tmpfs.folder / "broker.sqlite"
    chunks = [struct.pack(">II", 1, 16) + struct.pack("<QBB6x", 9, 0, 8)]
    for number in range(1, 151):
        topic, payload = f"t/{number:03}".encode(), bytes(4000)
        fixed = struct.pack("<Qq", number, 0)
        fixed += struct.pack(">IHHHHHBB", len(payload), 0, 0, 0, len(topic), 0, 1, 1)
        content = fixed + topic + payload
        chunks.append(struct.pack(">II", 2, len(content)) + content)
        chunks.append(struct.pack(">II", 4, 8) + struct.pack("<Q", number))
    head = b"\x00\xb5\x00mosquitto db" + bytes(4) + struct.pack(">I", 6)
    db.write_bytes(head + b"".join(chunks))
    with pytest.raises(ConfigError, match="disk is full"):
        import_mosquitto(db, store)
    assert list(small_tmpfs.folder.iterdir()) == []
    assert import_mosquitto(db, tmp_path / "broker.sqlite").retained == 150
