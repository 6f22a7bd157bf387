"""What stands in the README, in the pages and in docstrings runs as it stands there.

Programs run in a house of their own: strips at 192.168.1.100 and .101, a broker at
127.0.0.1 and one at broker.example, which has a certificate and knows the kitchen. Those
that speak of Meross find its cloud there, with an account and a device of each kind; to
those that serve devices some dial in, and devices find a server at manager.example.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import json
import re
import shutil
import ssl
import tomllib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import anyio
import pytest
import trio
import trustme
from blockbuster import BlockBuster

import structiot
from structiot import Environment, open_manager, open_meross, open_mqttclient
from structiot.devices import SYSTEM_ENVIRONMENT
from structiot.mqtt.broker import Passwords, Permissions, hash_password, open_broker
from structiot.sim import (
    sim_devices,
    sim_maxsmart_fleet,
    sim_meross_cloud,
    sim_meross_device,
    sim_sepl_platform,
)
from structiot.testing import MemoryNetwork
from tests._support.documents import PAGES, Block, blocks, docstring_examples
from tests._support.sources import ROOT, public_objects

PYTHON = blocks("python")
PROGRAMS = [block for block in PYTHON if block.why_not is None]
FRAGMENTS = [block for block in PYTHON if block.why_not is not None]
DOCSTRINGS = docstring_examples()
FIRST_PROGRAM = next(one for one in PROGRAMS if one.path.name == "README.md")
# Some programs run until they are ended, which somebody does after so long.
ENOUGH_S = 60
MEROSS_CLOUD = ("iotx-eu.meross.com", "iotx-us.meross.com")
SECRETS = {"1862cfe1-5dab-4d8e-a946-50d6728f830f": "what only the two of us know"}
CONNECTOR_CONF = """\
[CONNECTOR]
host = sepl.example
port = 8093
encryption = no
user = ann
password = a word
"""
MEROSS_DEVICES = {
    "Kitchen": "mss310",
    "Heater": "mss305",
    "Sofa": "msl320cpr",
    "Garage": "msg100",
    "Attic": "mrs100",
    "Hub": "msh300hk",
    "Office": "mts200",
    "Hall": "mss425f",
    "Scent": "mod100",
    "Mist": "msxh0",
}


# Takes its time on purpose, but need not for each block.
hash_of = functools.cache(hash_password)


@pytest.fixture
async def house(
    virtual_time: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    nothing_blocks_the_loop: BlockBuster,
    request: pytest.FixtureRequest,
) -> AsyncIterator[None]:
    """Put everything there that the pages speak of; programs know of no other place."""
    place = Environment(
        network=MemoryNetwork(subnets=["192.168.1.0/24"]),
        clock=virtual_time,
        random=Random(0),
    )
    for name in Environment.__slots__:
        monkeypatch.setattr(SYSTEM_ENVIRONMENT, name, getattr(place, name))
    monkeypatch.setenv("MQTT_PASSWORD", "a word")
    monkeypatch.setenv("MEROSS_PASSWORD", "a word")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    monkeypatch.syspath_prepend(ROOT / "examples" / "driver_package")
    monkeypatch.chdir(tmp_path)
    shutil.copy(ROOT / "examples" / "structiot.toml", tmp_path)
    authority = trustme.CA()
    authority.cert_pem.write_to_path("our-authority.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("broker.example").configure_cert(context)
    users = Passwords({"kitchen": hash_of("a word")})
    secure = open_broker("mqtts://broker.example", passwords=users, ssl_context=context)
    # A small program may read its files before it does anything else.
    nothing_blocks_the_loop.deactivate()
    async with AsyncExitStack() as stack:
        stack.callback(nothing_blocks_the_loop.activate)
        await stack.enter_async_context(open_broker("mqtt://127.0.0.1:1883"))
        await stack.enter_async_context(secure)
        strips = sim_maxsmart_fleet(2, first_host="192.168.1.100")
        await stack.enter_async_context(strips)
        block = request.node.callspec.params.get("block")
        if block is not None and "meross" in block.text:
            monkeypatch.setenv("SSL_CERT_FILE", "our-authority.pem")
            await stack.enter_async_context(meross_house(authority))
        if block is not None and "open_manager(" in block.text:
            await stack.enter_async_context(devices_that_dial_in())
        elif block is not None and "open_connector(" in block.text:
            await stack.enter_async_context(platform())
        elif block is not None and "open_manager_client(" in block.text:
            server = open_manager(
                ["lamp"], "manager.example", dialect="structiot", secrets=SECRETS
            )
            await stack.enter_async_context(server)
        yield


@asynccontextmanager
async def devices_that_dial_in() -> AsyncIterator[None]:
    """Have devices dial in to whoever serves them here, as soon as somebody does."""
    others = [str(UUID(int=number)) for number in range(10, 14)]
    fleets = {"sensor": list(SECRETS), "lamp": others[:3], "test": others[3:]}
    async with AsyncExitStack() as stack:
        for kind, uuids in fleets.items():
            fleet = sim_devices(len(uuids), type=kind, uuids=uuids)
            await stack.enter_async_context(fleet)
        yield


@asynccontextmanager
async def platform() -> AsyncIterator[None]:
    """Put a platform there, and a file that leads to it; it commands a lamp."""
    await anyio.Path("connector.conf").write_text(CONNECTOR_CONF)

    async def command() -> None:
        with sepl.following() as records:
            async for _ in records:
                if any(one.uri == "lamp-1" and one.is_online for one in sepl.devices):
                    break
        await sepl.send_command("lamp-1", "on", {"data": "1"})

    async with (
        sim_sepl_platform({"ann": "a word"}, host="sepl.example", port=8093) as sepl,
        anyio.create_task_group() as tasks,
    ):
        tasks.start_soon(command)
        yield
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def meross_house(authority: trustme.CA) -> AsyncIterator[None]:
    """Put Meross's cloud there, devices from 192.168.1.60 on, and a token in a file."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert(*MEROSS_CLOUD).configure_cert(context)
    here, elsewhere = MEROSS_CLOUD
    email, password = "you@example.com", "a word"
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(
                email,
                password,
                host=here,
                http_port=443,
                mqtt_port=8883,
                ssl_context=context,
                redirect_from=elsewhere,
            )
        )
        for number, (name, model) in enumerate(MEROSS_DEVICES.items(), 60):
            host = f"192.168.1.{number}"
            sim = sim_meross_device(host, model=model, name=name, cloud=cloud)
            await stack.enter_async_context(sim)
        async with open_meross(email=email, password=password, store="meross.json"):
            pass
        yield


def public_names() -> dict[str, object]:
    """Give the public names of all packages, without the packages."""
    return {name.rpartition(".")[2]: found for name, found in public_objects().items()}


async def run(block: Block, monkeypatch: pytest.MonkeyPatch) -> None:
    """Run a block; what it gives to `run` runs in the loop of the test."""
    mains: list[Any] = []
    for backend in (anyio, trio):
        monkeypatch.setattr(
            backend, "run", lambda *given, **options: mains.append(given)
        )
    # The one that takes what a function has made, not the function.
    monkeypatch.setattr(asyncio, "run", lambda made: mains.append([lambda: made]))
    # An example in a docstring needs no imports.
    space = public_names() if block.path.suffix == ".py" else {}
    with anyio.move_on_after(ENOUGH_S):
        done = eval(block.compiled(), {**space, "__name__": "__main__"})
        if inspect.iscoroutine(done):
            await done
        for main, *arguments in mains:
            await main(*arguments)


# What is written for one backend runs on that one alone.
@pytest.mark.each_backend
@pytest.mark.parametrize("block", [*PROGRAMS, *DOCSTRINGS], ids=str)
async def test_python_runs_as_it_stands(
    house: None,
    block: Block,
    monkeypatch: pytest.MonkeyPatch,
    anyio_backend_name: str,
):
    # What is written for one backend is no program for the other.
    if block.backend in {None, anyio_backend_name}:
        await run(block, monkeypatch)


@pytest.mark.parametrize("block", FRAGMENTS, ids=str)
async def test_a_fragment_says_why_it_does_not_run(
    house: None, block: Block, monkeypatch: pytest.MonkeyPatch
):
    assert block.why_not
    with pytest.raises((NameError, ImportError, structiot.ConfigError)):
        await run(block, monkeypatch)


async def test_the_first_program_publishes_what_a_strip_draws(
    house: None, monkeypatch: pytest.MonkeyPatch
):
    async with (
        open_mqttclient("mqtt://127.0.0.1/") as client,
        client.subscription("power/+", codec="float") as messages,
    ):
        await run(FIRST_PROGRAM, monkeypatch)
        seen = [await anext(messages) for _ in range(12)]
    assert {message.topic for message in seen} == {f"power/{n}" for n in range(1, 7)}
    assert all(isinstance(message.data, float) for message in seen)


def test_there_are_programs_in_the_readme_the_pages_and_the_docstrings():
    assert {block.path.suffix for block in DOCSTRINGS} == {".py"}
    folders = {block.path.parent.relative_to(ROOT).as_posix() for block in PROGRAMS}
    assert {".", "docs/how_to", "docs/reference"} <= folders


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_python_that_is_included_is_run_elsewhere(page: Path):
    included = re.findall(
        r"\{literalinclude\} (\S+\.py)$", page.read_text(), re.MULTILINE
    )
    for path in included:
        where = (page.parent / path).resolve().relative_to(ROOT)
        assert where.parts[0] in {"examples", "tests"}


def test_the_permissions_of_the_page_are_a_file_that_a_broker_takes(tmp_path: Path):
    (block,) = (one for one in blocks("toml") if one.path.name == "run_a_broker.md")
    path = tmp_path / "permissions.toml"
    path.write_text(block.text)
    permissions = Permissions.read(path)
    assert permissions.may_subscribe(None, "c", "sensors/#")
    assert permissions.may_publish("bob", "c", "users/bob/lamp")
    assert not permissions.may_publish("bob", "c", "users/ann/lamp")
    assert not permissions.may_publish(None, "c", "users/lamp")
    assert permissions.may_publish("sensor", "attic", "sensors/attic/power")
    assert not permissions.may_publish("sensor", "attic", "sensors/cellar/power")
    assert permissions.may_subscribe("ann", "c", "$SYS/#")
    assert not permissions.may_subscribe("bob", "c", "$SYS/#")


@pytest.mark.parametrize("block", blocks("toml", "json"), ids=str)
def test_what_is_not_python_can_be_read(block: Block):
    {"toml": tomllib.loads, "json": json.loads}[block.kind](block.text)
