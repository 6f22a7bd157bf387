"""`structiot sim senergy`: the platform as a program, and its console."""

from __future__ import annotations

import json
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from structiot.cli.main import run_program
from structiot.connector import Command, Device, DevicePool, open_connector
from tests._support.terminal import terminal
from tests.e2e.processes import Running, running, structiot

SIM = ("sim", "senergy", "--http-port=0", "--mqtt-port=0")


async def told(program: Running, event: str, **members: Any) -> dict[str, Any]:
    """Wait for a line with these members."""

    def find() -> dict[str, Any] | None:
        for line in program.lines:
            one: dict[str, Any] = json.loads(line)
            if one["event"] == event and members.items() <= one.items():
                return one
        return None

    found: dict[str, Any] = await program.until(find)
    return found


@asynccontextmanager
async def serving(backend: str, *options: str) -> AsyncIterator[Running]:
    command = structiot(*SIM, *options, f"--backend={backend}")
    async with running(*command, stdin=subprocess.PIPE) as program:
        yield program
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


def lamp() -> DevicePool:
    devices = DevicePool()
    devices.add(Device("dev1", "lamp", "Lamp"))
    return devices


@pytest.mark.e2e
async def test_what_a_connector_does_is_told_and_what_is_typed_is_sent(
    anyio_backend_name: str,
):
    async with serving(anyio_backend_name, "--type=lamp=on,power", "--json") as program:
        config = await told(program, "listening")
        del config["event"]
        async with open_connector(config, lamp(), wait_ready=True) as connector:
            await told(program, "call", method="POST", path="/local-devices")
            await connector.event("dev1", "power", {"w": 1}, metadata="m")
            parts = {"metadata": "m", "data": '{"w":1}'}
            await told(program, "event", parts=parts)
            await connector.event("dev1", "taste", 1)
            await told(program, "dropped")
            await program.type("""dev1 on '{"level": 5}' "what for" """)
            async with connector.commands() as commands:
                command: Command = await anext(commands)
            assert (command.data, command.metadata) == ('{"level": 5}', "what for")
            await command.respond("done")
            response = await told(program, "response", parts={"data": "done"})
            assert response["is_awaited"]


@pytest.mark.e2e
async def test_what_cannot_be_done_is_said_and_costs_nothing(anyio_backend_name: str):
    said = {
        "dev9 on": "nobody hears commands for 'dev9'",
        "fault sulk": "no fault 'sulk'; there are drop",
        "revoke it now please really": "too many words",
        "help": "let no token be good any more",
    }
    async with serving(anyio_backend_name) as program:
        for line, words in said.items():
            await program.type(line)
            await program.until(partial(_has, program.errors, words))


@pytest.mark.e2e
async def test_what_it_begins_with_is_a_file_for_a_connector(
    anyio_backend_name: str, tmp_path: Path
):
    async with serving(anyio_backend_name) as program:
        await program.until(lambda: len(program.lines) > 10)
        path = tmp_path / "connector.conf"
        path.write_text("\n".join(program.lines))
        async with open_connector(path, lamp(), wait_ready=True) as connector:
            assert await connector.event("dev1", "power", 1)


def _has(lines: list[str], words: str) -> bool:
    return any(words in one for one in lines)


@pytest.mark.e2e
def test_somebody_at_a_terminal_is_told_what_to_type(anyio_backend_name: str):
    with terminal(*SIM, f"--backend={anyio_backend_name}") as screen:
        said = screen.wait_for("or help.")
        assert "token_url = http://127.0.0.1:" in said
        screen.type("devices")
        screen.wait_for("local id name type attributes online")
        screen.type("hubs")
        screen.wait_for("id name devices connected hash")
        assert screen.end(signal.SIGINT) == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "sulk"], "no fault 'sulk'; there are drop"),
        (["--type", "lamp"], "--type is TYPE=SERVICE,SERVICE, not 'lamp'"),
        (["--keyfile", "key.pem"], "--keyfile goes with --certfile"),
    ],
)
def test_what_cannot_be_simulated_is_a_wrong_argument(capsys, options, said):
    assert run_program([*SIM, *options]) == 2
    assert said in capsys.readouterr().err
