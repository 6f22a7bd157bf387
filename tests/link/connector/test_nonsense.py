"""Whatever a platform says, the connector goes on, or connects anew."""

from __future__ import annotations

from contextlib import suppress
from random import Random

import anyio
import pytest

from structiot.errors import LinkLost
from tests.link.connector.gateways import gateway, until

pytestmark = [pytest.mark.virtual_time, pytest.mark.timeout(60)]

COMMAND = (
    '{"status":0,"handler":"command","token":"","content_type":"map","payload":'
    '{"device_url":"lamp-1","service_url":"on","protocol_parts":[{"name":"data",'
    '"value":"1"}],"task_id":"t","time":"1500554317"}}'
)
ANSWER = (
    '{"status":200,"handler":"response","token":"x","content_type":"string",'
    '"payload":"ok"}'
)
BITS = [
    '"',
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "null",
    "1e999",
    "-",
    "\\u0000",
    "\\ud800",
    "",
]


def mangled(random: Random) -> str:
    text = random.choice([COMMAND, ANSWER])
    for _ in range(random.randint(1, 4)):
        start = random.randrange(len(text))
        end = min(len(text), start + random.choice([0, 1, 8]))
        text = text[:start] + random.choice(BITS) * random.randint(1, 3) + text[end:]
    return text


@pytest.mark.parametrize("seed", range(10))
async def test_mangled_messages_are_commands_or_passed_over(seed: int):
    random = Random(seed)
    async with gateway() as (platform, connector):
        for _ in range(100):
            await platform.say(mangled(random))
        assert await connector.event("lamp-1", "state", "1")
        assert len(platform.log) == 1
        async with connector.commands() as commands:
            while len(commands):
                async with await anext(commands) as command:
                    assert await command.respond(command.data)


@pytest.mark.parametrize("seed", range(10))
async def test_mangled_bytes_cost_the_connection_at_most(seed: int):
    random = Random(seed)
    async with gateway() as (platform, connector):
        for number in range(10):
            # What came before may just have ended the connection.
            with suppress(LinkLost):
                await platform.say(random.randbytes(random.choice([1, 5, 200])))
            with anyio.move_on_after(60):
                await connector.event("lamp-1", "state", number)
        with anyio.fail_after(600):
            await until(lambda: not connector.events_waiting)
            await connector.wait_ready()
        assert {one.data for one in platform.events} == set(map(str, range(10)))
