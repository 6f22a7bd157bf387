"""A broker that sends its clients to itself, after it has accepted them."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import StructiotError
from structiot.mqtt import ReasonCode
from structiot.mqtt.wire.messages import Connect, Disconnect, Packet
from structiot.mqtt.wire.properties import DisconnectProperties
from tests._support.fake_broker import FakeBroker, FakeConnection
from tests.link.mqtt.opening import lasting, open_client

pytestmark = pytest.mark.virtual_time


def send_on(broker: FakeBroker, reason: ReasonCode) -> None:
    properties = DisconnectProperties(server_reference=f"{broker.host}:{broker.port}")
    goodbye = Disconnect(reason=reason, properties=properties)

    def answer(connection: FakeConnection, packet: Connect) -> tuple[Packet, ...]:
        return (*broker.usual(packet), goodbye)

    broker.answer(Connect, answer)


@pytest.mark.parametrize(
    "reason", [ReasonCode.SERVER_MOVED, ReasonCode.USE_ANOTHER_SERVER]
)
@pytest.mark.parametrize("max_redirects", [1, 5])
async def test_it_is_followed_a_few_times_and_then_as_any_goodbye(
    broker, reason: ReasonCode, max_redirects: int
):
    send_on(broker, reason)
    with anyio.move_on_after(100), pytest.raises(StructiotError):
        async with open_client(
            broker, protocol="5.0", max_redirects=max_redirects, **lasting()
        ):
            await anyio.sleep_forever()
    # With the pauses of any broker that is lost.
    assert max_redirects < len(broker.attempts) < 30
