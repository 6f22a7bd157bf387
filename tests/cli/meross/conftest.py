"""A simulated cloud and its devices in a thread, and the program that is called for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeAlias

import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from structiot.cli.meross.kept import KeptFiles
from structiot.meross.default_files import default_file
from structiot.sim import (
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)

EMAIL, PASSWORD = "user@example.com", "correct horse"
HOST = "127.0.0.1"


class House:
    """A cloud, and devices on real sockets, living in another thread."""

    def __init__(self, portal: BlockingPortal, stack: ExitStack) -> None:
        self.portal = portal
        self._stack = stack
        self.cloud: MerossCloudSim = self._open(sim_meross_cloud(EMAIL, PASSWORD))

    def add(
        self, model: str = "mss310", name: str = "Lamp", **options: Any
    ) -> MerossSim:
        """Plug in a device of the account, and wait until the cloud knows it."""
        options = {"cloud": self.cloud, **options}
        number = len(self.cloud.devices)
        sim: MerossSim = self._open(
            sim_meross_device(
                HOST,
                model=model,
                name=name,
                uuid=f"{number:020}48e1e9aabb{number:02x}",
                http_port=0,
                **options,
            )
        )
        return sim

    def rules(self, **rules: Any) -> None:
        """Start another cloud, with rules."""
        self.cloud = self._open(sim_meross_cloud(EMAIL, PASSWORD, **rules))

    def another(self, email: str) -> None:
        """Start another cloud, for another account."""
        self.cloud = self._open(sim_meross_cloud(email, PASSWORD))

    def _open(self, manager: Any) -> Any:
        return self._stack.enter_context(
            self.portal.wrap_async_context_manager(manager)
        )

    def where(self, sim: MerossSim) -> list[str]:
        """Give the place of a device on the command line, without a cloud."""
        return ["--lan", f"{HOST}:{sim.http_port}", "--key", sim.device.key]

    def digest(self, sim: MerossSim) -> Any:
        return self.portal.call(sim.device.digest)

    @property
    def messages(self) -> int:
        """How many messages devices were sent through the cloud."""
        return sum(self.cloud.messages.values())


Call: TypeAlias = Callable[..., str]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Give the program a home of its own, and nobody's password."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    for name in ("STATE_DIRECTORY", "STRUCTIOT_MEROSS_EMAIL", "STRUCTIOT_MEROSS_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "structiot"


@pytest.fixture
def house() -> Iterator[House]:
    with ExitStack() as stack:
        portal = stack.enter_context(start_blocking_portal("asyncio"))
        yield House(portal, stack)


@pytest.fixture
def call(call_of: Callable[[str], Call]) -> Call:
    return call_of("meross")


@pytest.fixture
def sign_in(house: House, call: Call, monkeypatch: pytest.MonkeyPatch):
    """Sign in, by a password in the environment that is gone afterwards."""

    def sign_in_now(*options: str, password: str = PASSWORD, status: int = 0) -> str:
        with monkeypatch.context() as patched:
            patched.setenv("STRUCTIOT_MEROSS_PASSWORD", password)
            where = ["--email", EMAIL, "--url", house.cloud.url]
            return call("login", *where, *options, status=status)

    return sign_in_now


@pytest.fixture
def keep_place():
    """Keep where a device is in the local network, its port too."""

    def keep(sim: MerossSim) -> None:
        files = KeptFiles(default_file(None))
        rows = files.devices()
        place = f"{HOST}:{sim.http_port}"
        uuid = sim.device.uuid
        files.keep(
            [
                replace(one, address=place, has=()) if one.id == uuid else one
                for one in rows
            ]
        )

    return keep
