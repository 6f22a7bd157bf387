"""`structiot manager serve` and `simulate`: programs that run until they are ended."""

from __future__ import annotations

import json
import signal
import ssl
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import anyio
import pytest
import trustme

from structiot import open_manager_client
from structiot.errors import AuthRefused
from structiot.manager import (
    ClientConnected,
    ClientRefused,
    MessageReceived,
    open_manager,
)
from structiot.mqtt.broker import open_broker
from structiot.sim import DIAL_IN_BEHAVIOURS
from tests._support.secrets_files import WRONG_SECRETS
from tests.e2e.processes import Running, running, structiot

pytestmark = pytest.mark.e2e
UUID = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
OTHER = "00000000-0000-4000-8000-000000000002"
SERVE = ("manager", "serve", "--port=0")


class Served:
    """A manager that runs as a program, and what it has told in JSON."""

    def __init__(self, program: Running, port: int) -> None:
        self.program, self.port = program, port

    async def told(self, event: str, **members: Any) -> dict[str, Any]:
        """Wait for an event with these members."""

        def find() -> dict[str, Any] | None:
            for line in self.program.lines:
                one: dict[str, Any] = json.loads(line)
                if one["event"] == event and members.items() <= one.items():
                    return one
            return None

        found: dict[str, Any] = await self.program.until(find)
        return found


@pytest.fixture
def serving(anyio_backend_name):
    @asynccontextmanager
    async def serve(*options: str):
        backend = f"--backend={anyio_backend_name}"
        command = structiot(*SERVE, *options, "--json", backend)
        async with running(*command) as program:
            first = await program.until(lambda: program.lines and program.lines[0])
            yield Served(program, json.loads(first)["port"])
            program.signal(signal.SIGTERM)
            assert await program.ended() == 0
            assert not [one for one in program.errors if "Traceback" in one]

    return serve


async def test_what_happens_is_a_line_of_json(serving):
    async with serving("--type=lamp") as served:
        async with open_manager_client(
            "127.0.0.1", served.port, uuid=UUID, type="lamp", data={"room": "hall"}
        ) as device:
            await device.wait_connected()
            found = await served.told("connected", uuid=UUID)
            assert (found["type"], found["data"]) == ("lamp", {"room": "hall"})
            assert found["node"] is None
            await device.send("21 degrees")
            assert await served.told("message", uuid=UUID, payload="21 degrees")
            await device.send(b"\xff\x00")
            assert await served.told("message", uuid=UUID, payload_hex="ff00")
        assert await served.told("disconnected", uuid=UUID, reason="the peer hung up")
        async with open_manager_client(
            "127.0.0.1", served.port, uuid=UUID, type="toaster"
        ):
            refused = await served.told("refused")
            assert "toaster" in refused["reason"]


async def test_what_happens_is_a_line_for_people(anyio_backend_name):
    command = structiot(*SERVE, f"--backend={anyio_backend_name}")
    async with running(*command) as program:
        await program.until_begin("listening at 127.0.0.1:")
        port = int(program.lines[0].partition(":")[2].partition(",")[0])
        async with open_manager_client(
            "127.0.0.1", port, uuid=UUID, type="lamp"
        ) as device:
            await device.send("red \x1b[31m\nand more")
            line = await program.until(
                lambda: [one for one in program.lines if "says" in one]
            )
        assert line[0].endswith(f"{UUID}  lamp  says red ?[31m and more")
        await program.until(lambda: [x for x in program.lines if x.endswith("hung up")])
        program.signal(signal.SIGINT)
        assert await program.ended() == 0


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    certificate.private_key_pem.write_to_path(tmp_path / "key.pem")
    certificate.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    return authority


async def test_certificates_and_secrets_of_devices(serving, authority, tmp_path: Path):
    (tmp_path / "secrets.toml").write_text(f'{UUID} = "a word"\n')
    names = {
        "certfile": "cert",
        "keyfile": "key",
        "client-cafile": "ca",
    }
    files = [f"--{option}={tmp_path / name}.pem" for option, name in names.items()]
    secrets = f"--secrets={tmp_path / 'secrets.toml'}"
    async with serving("-v", "--dialect=Structiot", secrets, *files) as served:
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        authority.issue_cert("device.example").configure_cert(context)
        arguments: dict[str, Any] = {"uuid": UUID, "type": "lamp"}
        arguments["ssl_context"] = context
        with pytest.raises(AuthRefused, match="has not proven"):
            async with open_manager_client(
                "127.0.0.1", served.port, secret="another word", **arguments
            ) as device:
                await device.wait_connected()
        refused = await served.told("refused")
        assert "has not proven that it knows its secret" in refused["reason"]
        async with open_manager_client(
            "127.0.0.1", served.port, secret="a word", **arguments
        ) as device:
            await device.send("acknowledged")
            assert await served.told("message", payload="acknowledged")
        stranger = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        arguments["ssl_context"] = stranger
        with pytest.raises(AuthRefused, match="refuses our TLS certificate"):
            async with open_manager_client(
                "127.0.0.1", served.port, secret="a word", **arguments
            ):
                await anyio.sleep_forever()
        why = "peer did not return a certificate"
        lines = served.program.lines
        await served.program.until(lambda: [x for x in lines if why in x])


async def test_simulated_devices_show_certificates(serving, authority, tmp_path: Path):
    cert, key, ca = (str(tmp_path / f"{name}.pem") for name in ("cert", "key", "ca"))
    files = [f"--certfile={cert}", f"--keyfile={key}"]
    async with (
        serving(*files, f"--client-cafile={ca}") as served,
        running(
            *structiot("sim", "manager", f"--port={served.port}", f"--uuid={UUID}"),
            f"--cafile={ca}",
            *files,
        ),
    ):
        assert (await served.told("connected"))["uuid"] == UUID


async def test_one_of_several_shows_what_happens_at_the_others(serving):
    async with open_broker("mqtt://127.0.0.1:0") as broker:
        where = f"--uri={broker.uri}"
        async with (
            serving(where, "--node=first") as first,
            serving(where, "--node=second") as second,
            open_manager_client(
                "127.0.0.1", second.port, uuid=UUID, type="lamp"
            ) as device,
        ):
            await device.send("hello")
            for served, node in ((first, "second"), (second, None)):
                await served.told("message", payload="hello", node=node)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--uri=mqtt://x"], "--uri goes with --node"),
        (["--node=x"], "--node goes with --uri, or with $STRUCTIOT_MANAGER_URI"),
        (["--name=x"], "--name goes with --node"),
        (["--broker-cafile=x"], "--broker-cafile goes with --node"),
        (["--keyfile=x"], "go with --certfile"),
        (["--certfile=/nowhere"], "/nowhere"),
        (["--secrets=/nowhere"], "--secrets goes with --dialect structiot"),
        (["--dialect=structiot", "--secrets=/nowhere"], "cannot read /nowhere"),
        (["--dialect=D7"], "'D7' is not one of"),
        (["--heartbeat=0"], "--heartbeat"),
        (["--listen=127.0.0.1:0"], "--listen is DIALECT://HOST:PORT or DIALECT+tls"),
        (["--listen=D7://127.0.0.1:0"], "there are D0, D1, D2, D3, D4, structiot"),
        (["--listen=D4+tls://127.0.0.1:0"], "goes with --certfile"),
        (["--listen=D4://127.0.0.1:65536"], "--listen is DIALECT"),
    ],
)
def test_settings_that_cannot_work_are_named(call, options, said):
    assert said in call("serve", *options, status=2)


async def test_it_listens_at_further_places(serving, authority, tmp_path: Path):
    (tmp_path / "secrets.toml").write_text(f'{UUID} = "a word"\n')
    options = {
        "listen": "structiot+tls://127.0.0.1:0",
        "certfile": tmp_path / "cert.pem",
        "keyfile": tmp_path / "key.pem",
        "secrets": tmp_path / "secrets.toml",
    }
    further = "--listen=d4://[::1]:0"
    async with serving(further, *(f"--{k}={v}" for k, v in options.items())) as served:
        plain = await served.told("listening", host="::1", dialect="D4", is_tls=False)
        native = await served.told("listening", dialect="structiot", is_tls=True)
        context = ssl.create_default_context(cafile=tmp_path / "ca.pem")
        async with (
            open_manager_client(
                "::1", plain["port"], uuid=OTHER, type="lamp", dialect="D4"
            ),
            open_manager_client(
                "127.0.0.1",
                native["port"],
                uuid=UUID,
                type="lamp",
                secret="a word",
                ssl_context=context,
            ),
        ):
            assert await served.told("connected", uuid=OTHER)
            assert await served.told("connected", uuid=UUID)


def test_what_names_the_broker_is_said_where_it_is_missing(call, monkeypatch):
    monkeypatch.delenv("STRUCTIOT_MANAGER_URI", raising=False)
    for command in (["clients"], ["send", UUID, "on"]):
        said = call(*command, status=2)
        variables = "STRUCTIOT_MANAGER_URI or STRUCTIOT_MQTT_URI"
        assert f"Missing option '--uri' (env var: {variables})" in said


async def test_a_variable_makes_no_node_of_a_manager_that_has_no_name(
    serving, monkeypatch
):
    monkeypatch.setenv("STRUCTIOT_MANAGER_URI", "mqtt://127.0.0.1:1")
    monkeypatch.setenv("STRUCTIOT_MQTT_PASSWORD", "of other programs")
    async with (
        serving() as served,
        open_manager_client("127.0.0.1", served.port, uuid=UUID, type="lamp"),
    ):
        assert await served.told("connected", uuid=UUID, node=None)


@pytest.mark.parametrize(("text", "said"), WRONG_SECRETS)
def test_secrets_that_are_none_are_named(call, tmp_path: Path, text: str, said: str):
    file = tmp_path / "secrets.toml"
    file.write_bytes(text.encode(errors="surrogateescape"))
    options = ["--dialect=structiot", f"--secrets={file}", "--port=0"]
    assert call("serve", *options, status=2) == f"structiot: {file} {said}\n"


@pytest.mark.parametrize("command", [("manager", "simulate"), ("sim", "manager")])
async def test_a_fleet_of_several_types_dials_in(command, anyio_backend_name):
    async with (
        open_manager(port=0) as manager,
        manager.events() as events,
        running(
            *structiot(*command, f"--port={manager.port}", "--count=5", "--json"),
            *("--type=lamp", "--type=sensor", "--seed=1"),
            f"--backend={anyio_backend_name}",
        ) as program,
    ):
        rows = json.loads(await program.until(lambda: "".join(program.lines)))
        connected = [await anext(events) for _ in rows]
        assert all(isinstance(one, ClientConnected) for one in connected)
        assert {one.uuid: one.type for one in manager.clients.values()} == {
            row["uuid"]: row["type"] for row in rows
        }
        assert [row["type"] for row in rows] == ["lamp", "sensor"] * 2 + ["lamp"]
        assert await manager.send(rows[0]["uuid"], "on")
        answer = await anext(events)
        assert isinstance(answer, MessageReceived)
        assert answer.data == b'{"is_on":true}'
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


async def test_a_fleet_that_misbehaves(anyio_backend_name):
    async with (
        open_manager(["lamp"], port=0) as manager,
        manager.events() as events,
        running(
            *structiot("sim", "manager", f"--port={manager.port}"),
            *(f"--uuid={UUID}", "--fault=wrong_type"),
            f"--backend={anyio_backend_name}",
        ),
    ):
        refused = await anext(events)
        assert isinstance(refused, ClientRefused)
        assert "toaster" in refused.reason


async def test_why_a_fleet_is_not_connected_is_said(anyio_backend_name):
    async with (
        open_manager(["door"], port=0, dialect="structiot") as manager,
        running(
            *structiot("manager", "simulate", f"--port={manager.port}", "--json"),
            *("--dialect=STRUCTIOT", "--count=3", f"--backend={anyio_backend_name}"),
        ) as program,
    ):
        line = await program.until(lambda: program.errors and program.errors[0])
        assert " is not connected: " in line
        assert line.endswith("its type 'lamp' is not taken here")
        program.signal(signal.SIGTERM)
        assert await program.ended() == 0


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--fault=sulk"], "'sulk' is not one of"),
        (["--type=a", "--type=a"], "each --type is given once"),
        (["--type=a", "--type=b", f"--uuid={UUID}"], "2 types are for as many"),
        (["--type=a##b"], "the type 'a##b' has what no type may have"),
        (["--uuid=xyz"], "'xyz' is no UUID of 36 characters"),
        ([f"--uuid={UUID}", "--count=3"], "--count goes without --uuid"),
        ([f"--uuid={UUID}", "--seed=3"], "--seed goes without --uuid"),
        (["--secret=x"], "--secret goes with --dialect structiot"),
        (["--keyfile=x"], "--keyfile goes with --certfile"),
    ],
)
@pytest.mark.parametrize("command", ["manager simulate", "sim manager"])
def test_what_cannot_be_simulated_is_a_wrong_argument(
    call_of, monkeypatch, command, options, said
):
    # Of a variable that is for other calls as well nobody complains.
    monkeypatch.setenv("STRUCTIOT_MANAGER_SECRET", "x")
    group, name = command.split()
    assert said in call_of(group)(name, *options, status=2)


def test_a_shell_is_offered_the_types_that_behave_like_something(complete):
    offered = complete("manager simulate --type ")
    assert [one.split()[0] for one in offered] == list(DIAL_IN_BEHAVIOURS)
    assert complete("sim manager --type la")[0].startswith("lamp is switched")


async def test_what_the_broker_wants_is_not_called_as_what_devices_want(
    authority: trustme.CA, tmp_path: Path, anyio_backend_name: str
):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.configure_trust(context)
    context.verify_mode = ssl.CERT_REQUIRED
    key = str(tmp_path / "ca.pem")
    async with open_broker("mqtts://localhost:0", ssl_context=context) as broker:
        for options, problem in (
            ([], "give one that it accepts as --broker-cert and --broker-key"),
            ([f"--broker-key={key}"], "--broker-key goes with --broker-cert"),
            ([f"--broker-cert={tmp_path}/no"], "/no for TLS as a certificate: No such"),
        ):
            there = [f"--uri={broker.uri}", "--node=a", f"--broker-cafile={key}"]
            command = structiot(
                *SERVE, *there, *options, "--backend", anyio_backend_name
            )
            async with running(*command) as program:
                await program.ended()
                assert problem in " ".join(program.errors)
