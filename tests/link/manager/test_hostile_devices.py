"""What a manager does with a device that is another one, or becomes one."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    ClientRefused,
    Info,
    InvalidInfo,
    Listener,
    open_manager,
)
from structiot.manager.wire.native import NativeDevice
from structiot.testing import MemoryNetwork
from tests.link.manager.devices import OTHER, UUID, dialled_in, info, known_device
from tests.link.manager.nodes import device_at, kinds, until

pytestmark = pytest.mark.virtual_time

OLD = {
    "D0": (b"\x01", b"end\n"),
    "D1": (b"\x01\xff", b"\x03\xff"),
    "D4": (b"\0\1\1", b"\0\1\3"),
}


@pytest.fixture
def environment() -> Environment:
    return Environment(network=MemoryNetwork())


@pytest.mark.parametrize("dialect", list(OLD))
async def test_a_uuid_that_has_a_secret_is_not_taken_over_without_it(
    environment, dialect
):
    asks, goodbye = OLD[dialect]
    told = {uuid: info(uuid) for uuid in (UUID, OTHER)}
    if dialect == "D4":
        told = {uuid: len(one).to_bytes(2) + one for uuid, one in told.items()}
    async with (
        open_manager(
            dialect="structiot",
            secrets={UUID: "open sesame"},
            listeners=[Listener("127.0.0.1", 8600, dialect)],
            environment=environment,
        ) as manager,
        device_at(environment, 8595, secret="open sesame") as owner,
        manager.events() as events,
    ):
        with anyio.fail_after(60):
            await owner.wait_connected()
        async with dialled_in(environment, 8600) as thief:
            await thief.read(asks)
            await thief.send(told[UUID])
            assert await thief.read_to_the_end() == goodbye
        assert owner.is_connected
        assert isinstance(await anext(events), ClientConnected)
        refused = await anext(events)
        assert isinstance(refused, ClientRefused)
        assert refused.reason == "it has a secret, which this dialect cannot prove"
        # One that has no secret is nobody's to prove.
        async with dialled_in(environment, 8600) as plain:
            await plain.read(asks)
            await plain.send(told[OTHER])
            await until(lambda: OTHER in manager.clients)


async def test_a_device_stays_of_its_type(environment):
    async with (
        open_manager(["light", "door"], environment=environment) as manager,
        manager.events("light") as events,
        manager.events("door") as others,
        known_device(environment) as device,
        anyio.create_task_group() as tg,
    ):

        async def refresh() -> None:
            with pytest.raises(InvalidInfo, match="now that it is of type 'door'"):
                await manager.clients[UUID].refresh_info()

        tg.start_soon(refresh)
        await device.read(b"\x01")
        await device.send(info(kind="door"))
        assert await device.read_to_the_end() == b"end\n"
        assert await kinds(events, 2) == [ClientConnected, ClientDisconnected]
        assert len(others) == 0


async def test_an_info_that_nobody_asked_for_ends_the_device(environment):
    """Each would be told to every other node of a backplane."""
    side = NativeDevice(bytes(16))
    async with (
        open_manager(dialect="structiot", environment=environment) as manager,
        manager.events() as events,
        dialled_in(environment) as device,
    ):
        side.feed(await device.stream.receive())
        told = side.tell_info(Info(uuid=UUID, type="light"))
        await device.send(told)
        assert isinstance(await anext(events), ClientConnected)
        await device.send(told)
        await device.read_to_the_end()
        gone = await anext(events)
        assert isinstance(gone, ClientDisconnected)
        assert gone.reason == "an info came, which is not due"
