"""A broker that ends while many are connected."""

from __future__ import annotations

from contextlib import AsyncExitStack

import anyio
import pytest

from structiot import Environment
from structiot.mqtt import open_broker
from structiot.mqtt.wire.messages import (
    Connack,
    Connect,
    Disconnect,
    Suback,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.reasons import ReasonCode
from structiot.testing import MemoryNetwork
from tests.link.broker.raw import RawClient

pytestmark = pytest.mark.virtual_time

MANY = 2000


@pytest.mark.thorough
async def test_who_leaves_a_broker_of_many_holds_nobody_up(watched_loop):
    """Each has a will that somebody else hears."""
    environment = Environment(network=MemoryNetwork())
    ends = []
    async with AsyncExitStack() as stack:
        async with watched_loop(0.05):
            async with open_broker("mqtt://127.0.0.1", environment=environment):
                clients = []
                for number in range(MANY):
                    stream = await environment.network.connect_tcp("127.0.0.1", 1883)
                    client = RawClient(await stack.enter_async_context(stream), 5)
                    will = Will(topic=f"away/{number}", payload=b"gone")
                    hello = Connect(client_id=f"c{number}", will=will, version=5)
                    await client.send(hello)
                    assert isinstance(await client.next(), Connack)
                    heard = SubscriptionRequest(topic_filter=f"away/{number - 1}")
                    await client.send(Subscribe(packet_id=1, subscriptions=(heard,)))
                    assert isinstance(await client.next(), Suback)
                    clients.append(client)
        async with anyio.create_task_group() as tg:
            for client in clients:

                async def read_to_the_end(client: RawClient = client) -> None:
                    ends.append(await client.next())

                tg.start_soon(read_to_the_end)
    assert len(ends) == MANY
    reasons = {end.reason for end in ends if isinstance(end, Disconnect)}
    assert reasons == {ReasonCode.SERVER_SHUTTING_DOWN}
