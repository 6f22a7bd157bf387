"""What a service tells systemd, by a datagram socket in its place."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

import anyio
import pytest

from structiot._kit.flow.tasks import service_group
from structiot.cli._common.systemd import ServiceManager
from tests._support.sources import ROOT

pytestmark = pytest.mark.virtual_time


class Systemd:
    """Hears what it is told."""

    def __init__(self, place: str) -> None:
        self.place = place
        self._waiting: list[dict[str, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(f"\0{place[1:]}" if place.startswith("@") else place)
        self._socket.setblocking(False)

    def first(self, name: str) -> dict[str, str] | None:
        """Give the first that says something by a name; what came before it, is gone."""
        self._waiting += self.told()
        for number, one in enumerate(self._waiting, 1):
            if name in one:
                del self._waiting[:number]
                return one
        return None

    def told(self) -> list[dict[str, str]]:
        """Give what came since the last time."""
        found: list[dict[str, str]] = []
        while True:
            try:
                text = self._socket.recv(65_536).decode()
            except BlockingIOError:
                return found
            found.append(dict(line.split("=", 1) for line in text.split("\n")))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()


@pytest.fixture(params=["path", "abstract"])
def systemd(request, tmp_path: Path) -> Iterator[Systemd]:
    place = str(tmp_path / "notify")
    if request.param == "abstract":
        place = f"@structiot-{os.getpid()}-{tmp_path.name}"
    with Systemd(place) as found:
        yield found


def manager(systemd: Systemd, **more: str) -> ServiceManager:
    return ServiceManager({"NOTIFY_SOCKET": systemd.place, **more})


async def test_it_is_ready_then_lives_then_stops(systemd):
    manages = manager(systemd, WATCHDOG_USEC="9000000")
    async with service_group() as tasks:
        tasks.start_soon(manages.follow, lambda: "all is well")
        await anyio.sleep(1)
        (ready,) = systemd.told()
        assert ready == {
            "READY": "1",
            "MAINPID": str(os.getpid()),
            "STATUS": "all is well",
            "WATCHDOG": "1",
        }
        await anyio.sleep(9)
        beat = {"STATUS": "all is well", "WATCHDOG": "1"}
        assert systemd.told() == [beat] * 3
    assert systemd.told() == [{"STOPPING": "1"}]


async def test_without_a_watchdog_it_says_how_it_is_now_and_then(systemd):
    words = ["one", "two"]
    async with service_group() as tasks:
        tasks.start_soon(manager(systemd).follow, lambda: words.pop(0))
        await anyio.sleep(11)
    first, second, last = systemd.told()
    assert (first["STATUS"], second) == ("one", {"STATUS": "two"})
    assert "WATCHDOG" not in first
    assert last == {"STOPPING": "1"}


async def test_who_cannot_say_how_it_is_is_let_die(systemd, caplog):
    broken = [False]

    def status() -> str:
        if broken[0]:
            raise RuntimeError("oh dear")
        return "well"

    async with service_group() as tasks:
        tasks.start_soon(manager(systemd, WATCHDOG_USEC="3000000").follow, status)
        await anyio.sleep(0.5)
        assert len(systemd.told()) == 1
        broken[0] = True
        await anyio.sleep(30)
        assert systemd.told() == []
        broken[0] = False
        await anyio.sleep(1)
        assert systemd.told()[0]["WATCHDOG"] == "1"
    assert caplog.messages == ["the watchdog is not fed"]


async def test_a_reload_begins_and_ends(systemd):
    async def reload() -> None:
        (begins,) = systemd.told()
        assert begins["RELOADING"] == "1"
        assert int(begins["MONOTONIC_USEC"]) > 0

    await manager(systemd).reloading(reload)
    assert systemd.told() == [{"READY": "1"}]


async def test_a_reload_that_fails_ends_too(systemd):
    async def reload() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await manager(systemd).reloading(reload)
    assert systemd.told()[-1] == {"READY": "1"}


async def test_a_status_cannot_say_anything_else(systemd):
    async with service_group() as tasks:
        tasks.start_soon(manager(systemd).follow, lambda: "a\nSTOPPING=1\n" + "x" * 999)
        await anyio.sleep(1)
        (told,) = systemd.told()
    assert "STOPPING" not in told
    assert len(told["STATUS"]) <= 300


@pytest.mark.parametrize(
    "more",
    [
        {"WATCHDOG_USEC": "9000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "-5"},
    ],
)
async def test_a_watchdog_of_somebody_else_is_not_fed(systemd, more):
    async with service_group() as tasks:
        tasks.start_soon(manager(systemd, **more).follow, lambda: "well")
        await anyio.sleep(30)
    assert not [one for one in systemd.told() if "WATCHDOG" in one]


async def test_without_systemd_nobody_is_told():
    manages = ServiceManager({})
    assert not manages.is_there
    manages.tell(READY=1)
    await manages.follow(lambda: "well")


async def test_who_does_not_listen_costs_one_line(tmp_path, caplog):
    manages = ServiceManager({"NOTIFY_SOCKET": str(tmp_path / "nobody")})
    async with service_group() as tasks:
        tasks.start_soon(manages.follow, lambda: "well")
        await anyio.sleep(60)
    (said,) = caplog.messages
    assert said.startswith("systemd cannot be told anything: ")


def test_a_socket_of_another_kind_is_said(caplog):
    manages = ServiceManager({"NOTIFY_SOCKET": "vsock:2:1234"})
    assert not manages.is_there
    assert caplog.messages == [
        "systemd is told nothing: vsock:2:1234 is no unix socket"
    ]


def test_the_unit_names_nothing_that_is_not_installed():
    unit = (ROOT / "deploy" / "structiot.service").read_text("utf-8")
    assert set(re.findall(r"/opt/structiot/\S+", unit)) == {
        "/opt/structiot/bin/structiot"
    }
