"""`structiot meross sniff` and `replay`: a capture is made, and served."""

from __future__ import annotations

import json
import signal
import zipfile
from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import anyio
import pytest
from anyio.from_thread import BlockingPortal, start_blocking_portal

from structiot.cli.main import run_program
from structiot.meross.opening import open_meross_lan
from structiot.meross.wire.envelope import Method
from structiot.sim import (
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)
from tests._support.terminal import terminal
from tests.cli.meross.conftest import Call
from tests.e2e.processes import running, structiot
from tests.sim.meross.captures import PLACEHOLDER, capture_of, exchange
from tests.sim.meross.cloud_clients import App, app_of

HOST = "127.0.0.1"
UUID = "2401010000000000000048e1e9aabbcc"
TOGGLE = "Appliance.Control.ToggleX"


@dataclass
class Home:
    """Somebody's cloud, lamp and phone app, on real sockets."""

    cloud: MerossCloudSim
    lamp: MerossSim
    app: App
    portal: BlockingPortal
    store: Path

    @property
    def account(self) -> list[str]:
        """The options of the account."""
        who = ["--email", self.cloud.email, "--url", self.cloud.url]
        return [*who, "--store", str(self.store)]

    def switch(self, *, is_on: bool) -> None:
        """Switch the lamp by the app."""
        payload = {"togglex": {"channel": 0, "onoff": int(is_on)}}
        self.portal.call(self.order, payload)

    async def order(self, payload: Mapping[str, object]) -> None:
        await self.app.ask(TOGGLE, Method.SET, UUID, payload=payload)


@asynccontextmanager
async def _household() -> AsyncGenerator[tuple[MerossCloudSim, MerossSim, App]]:
    async with sim_meross_cloud(host=HOST) as cloud:
        cloud.register(uuid=UUID, name="Desk lamp", device_type="msl120")
        broker = cloud.broker
        async with (
            sim_meross_device(
                HOST,
                model="msl120",
                uuid=UUID,
                key=cloud.key,
                user_id=cloud.user_id,
                broker=(broker.host, broker.port, None),
                http_port=0,
            ) as lamp,
            app_of(cloud) as app,
        ):
            yield cloud, lamp, app


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    monkeypatch.setenv("STRUCTIOT_MEROSS_PASSWORD", "correct horse")
    with (
        start_blocking_portal("asyncio") as portal,
        portal.wrap_async_context_manager(_household()) as (cloud, lamp, app),
    ):
        yield Home(cloud, lamp, app, portal, tmp_path / "token.json")


@pytest.fixture
def switching(home: Home) -> Iterator[None]:
    """Let the app switch the lamp all the time."""

    async def switch() -> None:
        number = 0
        while True:
            number += 1
            payload = {"togglex": {"channel": 0, "onoff": number % 2}}
            await home.order(payload)
            await anyio.sleep(0.2)

    task = home.portal.start_task_soon(switch)
    yield
    task.cancel()


@pytest.fixture
def call(backend: str, capsys: pytest.CaptureFixture[str]) -> Call:
    """Call a command on each backend; give its output, or what it says when it fails."""

    def call_it(*arguments: str, status: int = 0) -> str:
        got = run_program(["meross", *arguments, "--backend", backend])
        captured = capsys.readouterr()
        assert got == status, captured.err
        return captured.err if status else captured.out

    return call_it


LISTEN = ("--seconds", "2.5")
ALL = "Appliance.System.All"


def members(path: Path, name: str) -> Any:
    with zipfile.ZipFile(path) as archive:
        text = archive.read(name).decode()
    if name.endswith(".ndjson"):
        return [json.loads(line) for line in text.splitlines()]
    return json.loads(text)


@pytest.mark.usefixtures("switching")
def test_it_listens_for_so_long_and_says_what_it_has(
    home: Home, call: Call, tmp_path: Path
):
    path = tmp_path / "lamp.zip"
    shown = call("sniff", "desk lamp", *LISTEN, "-o", str(path), *home.account)
    *lines, last = shown.splitlines()
    assert any(
        'app       SET    Control.ToggleX {"togglex": {"channel": 0' in line
        for line in lines
    )
    assert last.startswith(f"{path}: ")
    assert " requests, " in last
    orders = [one for one in members(path, "commands.json") if one["by"] == "app"]
    assert {one["namespace"] for one in orders} == {TOGGLE}
    assert home.cloud.email not in path.read_bytes().decode("latin-1")


@pytest.mark.usefixtures("switching")
def test_lines_of_json_and_nothing_asked(home: Home, call: Call, tmp_path: Path):
    path = tmp_path / "lamp.zip"
    options = ("--json", "--listen-only", "-o", str(path), *home.account)
    shown = call("sniff", UUID, *LISTEN, *options)
    *records, last = [json.loads(line) for line in shown.splitlines()]
    assert last["path"] == str(path)
    assert last["counts"]["request"] >= len(
        [one for one in records if one["kind"] == "request"]
    )
    assert {one["by"] for one in records} <= {"app", "device", "cloud", "structiot"}
    logged = members(path, "log.ndjson")
    assert all(one in logged for one in records)
    assert not any(one["by"] == "structiot" for one in logged if "message" in one)


def test_what_may_still_be_sensitive_is_said_before(
    home: Home, tmp_path: Path, capsys: pytest.CaptureFixture[str], backend: str
):
    path = ["-o", str(tmp_path / "x.zip"), "--backend", backend]
    arguments = ["meross", "sniff", "Desk lamp", "--seconds", "0.1", *path]
    assert run_program([*arguments, *home.account]) == 0
    said = capsys.readouterr()
    assert "What stays: when the device was switched" in said.err


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file that is there already, in the working folder."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "OLD").write_text("mine")
    return tmp_path / "OLD"


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (("Desk lamp",), "give a DEVICE and --seconds"),
        (LISTEN, "give a DEVICE and --seconds"),
        (("Desk lamp", *LISTEN, "-o", "OLD"), "--overwrite takes its place"),
        (("Nobody", *LISTEN), "no device is called 'Nobody'"),
    ],
)
def test_what_cannot_work_is_a_wrong_argument(
    home: Home, call: Call, old: Path, arguments: tuple[str, ...], why: str
):
    assert why in call("sniff", *arguments, *home.account, status=2)
    assert old.read_text() == "mine"


def test_without_a_password_a_token_or_a_terminal_there_is_no_account(
    home: Home, call: Call, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("STRUCTIOT_MEROSS_PASSWORD")
    monkeypatch.chdir(tmp_path)
    sniff = ("sniff", "Desk lamp", *LISTEN)
    said = call(*sniff, *home.account, status=2)
    assert "`structiot meross login` does that" in said


def test_a_file_is_replaced_when_that_is_said(home: Home, call: Call, tmp_path: Path):
    path = tmp_path / "lamp.zip"
    path.write_text("old")
    arguments = ("sniff", "Desk lamp", "--seconds=0.1", "-o", str(path), "--overwrite")
    call(*arguments, *home.account)
    assert members(path, "manifest.json")["device"]["model"] == "msl120"
    # The token was kept: nobody signed in twice.
    call(*arguments, *home.account)
    assert home.cloud.sign_ins == 1


@pytest.mark.e2e
@pytest.mark.parametrize("backend", ["asyncio", "trio"])
def test_at_a_terminal_a_device_is_chosen_and_what_is_typed_is_kept(
    home: Home, tmp_path: Path, backend: str
):
    path = tmp_path / "data.zip"
    options = ["-o", str(path), "--backend", backend, *home.account]
    with terminal("meross", "sniff", *options, columns=200) as screen:
        screen.wait_for("Which one? ")
        screen.type("7")
        screen.wait_for("A number from 1 to 1: ")
        screen.type("1")
        screen.wait_for("Listening. ")
        screen.type("on by the app")
        screen.wait_for("noted: do it now")
        home.switch(is_on=True)
        screen.wait_for("SET Control.ToggleX")
        screen.type("")
        shown = screen.wait_for("1 annotation")
        assert f"{path}: " in shown
        assert screen.ended() == 0
    log = members(path, "log.ndjson")
    assert [one["text"] for one in log if one["kind"] == "annotation"] == [
        "on by the app"
    ]
    (order,) = [one for one in members(path, "commands.json") if one["by"] == "app"]
    assert order["annotation"] == "on by the app"


@pytest.mark.e2e
@pytest.mark.parametrize(
    ("backend", "number"), [("asyncio", signal.SIGINT), ("trio", signal.SIGTERM)]
)
def test_whoever_interrupts_keeps_what_was_heard(
    home: Home, tmp_path: Path, backend: str, number: signal.Signals
):
    path = tmp_path / "data.zip"
    options = ["-o", str(path), "--backend", backend, *home.account]
    with terminal("meross", "sniff", "Desk lamp", *options, columns=200) as screen:
        screen.wait_for("Listening. ")
        home.switch(is_on=False)
        screen.wait_for("SET Control.ToggleX")
        assert screen.end(number) == 0
        assert f"{path}: " in screen.text
    assert TOGGLE in str(members(path, "commands.json"))


# ---------------------------------------------------------------- replay


@pytest.mark.e2e
async def test_a_capture_is_served_until_a_signal(tmp_path, anyio_backend_name):
    path = tmp_path / "data.zip"
    digest = {"togglex": [{"channel": 0, "onoff": 0}]}
    data = capture_of(*exchange(ALL, {"all": {"digest": digest}}), abilities={ALL: {}})
    path.write_bytes(data)
    options = ("--host=127.0.0.1", "--port=0", "--json", "--key=0123")
    command = structiot("meross", "replay", str(path), *options)
    async with running(*command, f"--backend={anyio_backend_name}") as program:
        (row,) = json.loads(await program.until(lambda: "".join(program.lines)))
        assert (row["model"], row["uuid"]) == ("mss310", PLACEHOLDER)
        async with open_meross_lan(
            row["host"], row["http_port"], key=row["key"]
        ) as plug:
            assert plug.info.id == PLACEHOLDER
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


def test_what_is_no_capture_is_said_in_a_line(call: Call, tmp_path: Path):
    path = tmp_path / "data.zip"
    path.write_text("nothing of the kind")
    said = call("replay", str(path), "--port", "0", status=1)
    assert said == f"structiot: {path}: capture: no zip file\n"
    said = call("replay", str(tmp_path / "none"), "--port", "0", status=2)
    assert "cannot be read: No such file or directory" in said
