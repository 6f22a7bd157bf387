"""Two that speak different things are told so, on the side where it is plain."""

from __future__ import annotations

import logging
import ssl
from functools import partial

import anyio
import pytest
import trustme

from structiot import Environment
from structiot.manager import (
    ClientRefused,
    ManagerEvent,
    open_manager,
    open_manager_client,
)
from structiot.sim import sim_devices
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import UUID, dialled_in, info

pytestmark = pytest.mark.virtual_time
SIM = "structiot.sim.manager"


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


@pytest.fixture
def context() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)
    return context


async def reason_from(events) -> str:
    with anyio.fail_after(60):
        event: ManagerEvent = await anext(events)
    assert isinstance(event, ClientRefused)
    return event.reason


@pytest.mark.parametrize(
    ("dialect", "spoken"), [("structiot", "D0"), ("D4", "structiot"), ("D0", "D4")]
)
async def test_a_device_is_told_what_its_manager_speaks(
    environment, caplog, dialect, spoken
):
    caplog.set_level(logging.INFO)
    said = f"the manager speaks {spoken}, not {dialect}"
    async with (
        open_manager(dialect=spoken, environment=environment),
        sim_devices(dialect=dialect, environment=environment),
        open_manager_client(
            "127.0.0.1", uuid=UUID, type="x", dialect=dialect, environment=environment
        ),
    ):
        await anyio.sleep(1)
        told = [one.name for one in caplog.records if said in one.getMessage()]
    assert set(told) == {SIM, "structiot.manager.client"}


@pytest.mark.parametrize(
    ("dialect", "answer", "said"),
    [
        ("D4", info(), "it seems to speak one of D0 to D3, not D4"),
        ("D0", b"\x00\x41" + info(), "it seems to speak D4, not D0"),
        ("structiot", b"\x00\x41" + info(), "it seems to speak D4, not structiot"),
        ("D0", b"\x16\x03\x01\x02\x00\x01", "it seems to speak TLS, not D0"),
    ],
)
async def test_a_manager_is_told_what_a_device_speaks(
    environment, dialect, answer, said
):
    serve = partial(open_manager, dialect=dialect, environment=environment)
    async with serve() as manager, manager.events() as events:
        async with dialled_in(environment) as device:
            await device.send(answer)
            assert (await reason_from(events)).endswith(f"; {said}")


async def test_a_device_without_tls_at_a_place_with_it(environment, context, caplog):
    caplog.set_level(logging.INFO, logger=SIM)
    serve = partial(open_manager, ssl_context=context, environment=environment)
    async with serve() as manager, manager.events() as events:
        async with sim_devices(environment=environment):
            assert await reason_from(events) == (
                "did not finish its handshake within 15 s; perhaps it speaks no TLS"
            )
            await anyio.sleep(1)
        async with dialled_in(environment):
            pass
        assert (await reason_from(events)).endswith(
            "perhaps it does not trust the certificate, or speaks no TLS"
        )
    assert "without a word; perhaps TLS is spoken there" in caplog.text


async def test_a_device_with_tls_at_a_place_without(environment, caplog):
    caplog.set_level(logging.INFO, logger=SIM)
    context = ssl.create_default_context()
    async with open_manager(environment=environment) as manager:
        async with (
            manager.events() as events,
            sim_devices(ssl_context=context, environment=environment),
        ):
            assert (await reason_from(events)).endswith("it seems to speak TLS, not D0")
            await anyio.sleep(1)
    assert "the server does not speak TLS on this port" in caplog.text
