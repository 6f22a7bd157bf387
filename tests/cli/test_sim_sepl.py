"""`structiot sim sepl`: the platform as a program, and its console."""

from __future__ import annotations

import json
import signal
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import trustme

from structiot import Environment
from structiot._kit.net.tls import client_context
from structiot.cli.main import run_program
from tests._support.terminal import terminal
from tests.e2e.processes import Running, running, structiot
from tests.sim.connector.raw_gateway import LAMP, connected

SIM = ("sim", "sepl", "--port=0")


class Served:
    """The platform as a program, and what it has told in JSON."""

    def __init__(self, program: Running, place: Any) -> None:
        self.program, self.place = program, place

    async def told(self, event: str, **members: Any) -> dict[str, Any]:
        """Wait for a line with these members."""

        def find() -> dict[str, Any] | None:
            for line in self.program.lines:
                one: dict[str, Any] = json.loads(line)
                if one["event"] == event and members.items() <= one.items():
                    return one
            return None

        found: dict[str, Any] = await self.program.until(find)
        return found


@pytest.fixture
def serving(anyio_backend_name: str):
    @asynccontextmanager
    async def serve(*options: str):
        backend = f"--backend={anyio_backend_name}"
        command = structiot(*SIM, *options, "--json", backend)
        async with running(*command, stdin=subprocess.PIPE) as program:
            served = Served(program, None)
            told = await served.told("listening")
            environment = Environment()
            served.place = SimpleNamespace(**told, environment=environment)
            yield served
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0

    return serve


@pytest.mark.e2e
async def test_what_a_gateway_does_is_told_and_what_is_typed_is_sent(serving):
    async with serving("--fault=refuse@disconnect*1") as served:
        assert served.place.url == f"ws://127.0.0.1:{served.place.port}/"
        async with connected(served.place) as raw:
            await raw.log_in(served.place.user, served.place.password)
            await served.told("connected", gid=raw.gid)
            await raw.ask("put", LAMP)
            await served.told("message", handler="put", payload=LAMP, status=200)
            assert (await raw.ask("disconnect", "dev1"))[0] == 500
            await raw.event("1")
            parts = {"metadata": "meta", "data": "1"}
            await served.told("event", device_uri="dev1", parts=parts, repeats=0)

            await served.program.type("""dev1 on '{"level": 5}' "what for" """)
            payload = await raw.command()
            assert payload["protocol_parts"] == [
                {"name": "metadata", "value": "what for"},
                {"name": "data", "value": '{"level": 5}'},
            ]
            done = [{"name": "data", "value": "done"}]
            await raw.ask("response", {**payload, "protocol_parts": done})
            told = await served.told("response", parts={"data": "done"})
            assert told["is_awaited"]

            await served.program.type("dev1 state")
            assert (await raw.command())["protocol_parts"] is None
            await served.program.type("drop")
            await served.told("ended", gid=raw.gid, what="broken off by the platform")


@pytest.mark.e2e
async def test_what_cannot_be_done_is_said_and_costs_nothing(serving):
    said = {
        "dev9 on": "nobody listens to the device 'dev9'",
        "dev9": "dev9 needs a service; help says",
        "dev9 on 1 2 3": "too many words",
        "dev9 on 'x": "No closing quotation",
        "fault sulk": "no fault 'sulk'; there are drop",
        "help": "DEVICE SERVICE [DATA [METADATA]]",
    }
    async with serving() as served:
        program = served.program
        for line, words in said.items():
            await program.type(line)
            await program.until(lambda w=words: any(w in one for one in program.errors))
        await program.type("")
        await program.type("fault hang_up@put*1")
        await program.type("behave")
        await program.type("fault refuse@put1")
        program.errors.clear()
        await program.type("help")
        await program.until(lambda: len(program.errors) > 5)
        async with connected(served.place) as raw:
            await raw.log_in()
            assert (await raw.ask("put", LAMP))[0] == 500
            assert (await raw.ask("put", LAMP))[0] == 200


@pytest.mark.e2e
async def test_types_login_and_certificate_are_those_given(serving, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    pem, cafile = tmp_path / "server.pem", tmp_path / "ca.pem"
    certificate.private_key_and_cert_chain_pem.write_to_path(str(pem))
    authority.cert_pem.write_to_path(str(cafile))
    options = ["--user=anna", "--password=a", f"--certfile={pem}"]
    async with serving("--type=iot#type-1=svc, other", *options) as served:
        assert served.place.encryption == "yes"
        trusting = client_context(cafile=cafile)
        async with connected(served.place, tls=trusting) as raw:
            await raw.log_in("anna", "a")
            assert (await raw.ask("put", {**LAMP, "iot_type": "none"}))[0] == 500
            assert (await raw.ask("put", LAMP))[0] == 200
            assert (await raw.event("1", service="other"))[0] == 200
            assert (await raw.event("1", service="none"))[0] == 400


@pytest.mark.e2e
def test_somebody_at_a_terminal_is_told_what_to_type(anyio_backend_name: str):
    with terminal(*SIM, f"--backend={anyio_backend_name}") as screen:
        said = screen.wait_for("or help.")
        assert "user testuser, password secret" in said
        screen.type("devices")
        screen.wait_for("uri name type tags online user")
        screen.type("gateways")
        screen.wait_for("id user devices connections hash")
        assert screen.end(signal.SIGINT) == 0


@pytest.mark.e2e
async def test_what_is_told_is_no_order_to_a_terminal(anyio_backend_name: str):
    command = structiot(*SIM, f"--backend={anyio_backend_name}")
    async with running(*command) as program:
        await program.until_begin("listening at ws://127.0.0.1:")
        port = int(program.lines[0].partition("127.0.0.1:")[2].partition("/")[0])
        place: Any = SimpleNamespace(
            host="127.0.0.1", port=port, environment=Environment()
        )
        async with connected(place) as raw:
            await raw.log_in()
            await raw.ask("put", {**LAMP, "name": "\x1b[2J"})
            await raw.event("\x1b[2J\n!")
        await program.until(lambda: any("ended" in one for one in program.lines))
    shown = "\n".join(program.lines)
    assert "\x1b" not in shown
    assert "dev1 svc tells  metadata meta  data ?[2J !" in shown


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault", "sulk"], "no fault 'sulk'; there are drop"),
        (["--type", "lamp"], "--type is TYPE=SERVICE,SERVICE, not 'lamp'"),
        (["--keyfile", "key.pem"], "--keyfile goes with --certfile"),
        (["--certfile", "none.pem"], "cannot use none.pem for TLS"),
    ],
)
def test_what_cannot_be_simulated_is_a_wrong_argument(
    capsys, tmp_path: Path, options, said
):
    assert run_program([*SIM, *options]) == 2
    assert said in capsys.readouterr().err
