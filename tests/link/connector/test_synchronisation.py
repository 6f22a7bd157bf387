"""What goes over the wire, byte for byte, and synchronisation that is broken off."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import Environment
from structiot._kit.flow.mailbox import Mailbox
from structiot._kit.websocket import WebSocket, accept_websocket
from structiot.connector import (
    Connector,
    Device,
    Synchronising,
    Waiting,
    open_connector,
)
from structiot.sim import sim_sepl_platform
from tests.link.connector.gateways import (
    gateway,
    handlers,
    lamps,
    new_environment,
    pool,
    until_state,
)

pytestmark = pytest.mark.virtual_time

CONFIG = {"host": "127.0.0.1", "port": 8093, "user": "testuser", "password": "secret"}
# The reference's section 6: two devices, their first connection, and an event.
HELLO = '{"user":"testuser","pw":"secret","gid":"","token":"credentials"}'
WELCOME = (
    '{"status":200,"handler":"response","token":"credentials","content_type":"map",'
    '"payload":{"gid":"iot#gw-0001","hash":null}}'
)
ASKED = [
    '{"status":0,"handler":"clear","token":"TOKEN","content_type":"","payload":null}',
    (
        '{"status":0,"handler":"put","token":"TOKEN","content_type":"","payload":{"uri":'
        '"dev1","name":"Lamp","iot_type":"iot#type-1","tags":["room:kitchen","floor:1"]}}'
    ),
    (
        '{"status":0,"handler":"put","token":"TOKEN","content_type":"","payload":{"uri":'
        '"dev2","name":"Fan","iot_type":"iot#type-1","tags":[]}}'
    ),
    (
        '{"status":0,"handler":"commit","token":"TOKEN","content_type":"","payload":'
        '"a479f92cc26342e465129189bed015ea564ebeb9"}'
    ),
]
EVENT = (
    '{"status":0,"handler":"event","token":"TOKEN","content_type":"","payload":'
    '{"device_uri":"dev1","service_uri":"svc","value":[{"name":"metadata","value":'
    '"meta"},{"name":"data","value":"{\\"v\\":1}"}]}}'
)
# Section 5, the values made up where the reference leaves them out.
COMMAND = (
    '{"status":0,"handler":"command","token":"","content_type":"map","payload":{'
    '"device_url":"dev1","service_url":"on","protocol_parts":[{"name":"metadata",'
    '"value":""},{"name":"data","value":"{\\"on\\": true}"}],"worker_id":"w","task_id":'
    '"t","device_instance_id":"iot#1","service_name":"on","output_name":"o","time":'
    '"1500554317"}}'
)
RESPONSE = (
    '{"status":0,"handler":"response","token":"TOKEN","content_type":"","payload":{'
    '"device_url":"dev1","service_url":"on","protocol_parts":[{"name":"metadata",'
    '"value":"status"},{"name":"data","value":"200"}],"worker_id":"w","task_id":"t",'
    '"device_instance_id":"iot#1","service_name":"on","output_name":"o","time":'
    '"1500554317"}}'
)
_TOKEN = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)


class Recorded:
    """A platform that reads and writes texts, and understands nothing."""

    def __init__(self, websocket: WebSocket) -> None:
        self.websocket = websocket
        self.tokens: list[str] = []

    async def read(self) -> str:
        text = await self.websocket.receive()
        assert isinstance(text, str)
        self.tokens += _TOKEN.findall(text)
        return _TOKEN.sub("TOKEN", text)

    async def say_ok(self) -> None:
        ok = (
            '{"status":200,"handler":"response","token":"TOKEN",'
            '"content_type":"string","payload":"ok"}'
        )
        await self.websocket.send(ok.replace("TOKEN", self.tokens[-1]))


@asynccontextmanager
async def recorded(environment: Environment) -> AsyncGenerator[Mailbox[Recorded]]:
    """Give each connection that is made."""
    box: Mailbox[Recorded] = Mailbox()

    async def serve(stream: ByteStream) -> None:
        box.put(Recorded(await accept_websocket(stream)))

    async with (
        environment.network.listen_tcp("127.0.0.1", 8093) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, serve)
        yield box
        tg.cancel_scope.cancel()


def two_devices() -> list[Device]:
    first = Device("dev1", "iot#type-1", "Lamp")
    first.add_tag("room", "kitchen")
    first.add_tag("floor", "1")
    return [first, Device("dev2", "iot#type-1", "Fan")]


async def test_the_recorded_frames_of_the_original_client():
    environment = new_environment()
    async with (
        recorded(environment) as platforms,
        open_connector(
            CONFIG, pool(two_devices()), environment=environment
        ) as connector,
    ):
        platform = await platforms.receive()
        assert await platform.read() == HELLO
        await platform.websocket.send(WELCOME)
        for asked in ASKED:
            assert await platform.read() == asked
            await platform.say_ok()
        await connector.wait_ready()
        async with anyio.create_task_group() as tg:
            tg.start_soon(connector.event, "dev1", "svc", {"v": 1}, "meta")
            assert await platform.read() == EVENT
            await platform.say_ok()
        await platform.websocket.send(COMMAND)
        async with connector.commands() as commands, anyio.create_task_group() as tg:
            command = await anext(commands)
            assert command.data == '{"on": true}'
            tg.start_soon(command.respond, "200", "status")
            assert await platform.read() == RESPONSE
            await platform.say_ok()
        # Each request has a token of its own.
        assert len(set(platform.tokens)) == len(platform.tokens) == len(ASKED) + 2


async def test_the_goodbye_is_that_of_the_original_client():
    environment = new_environment()
    async with recorded(environment) as platforms:
        async with open_connector(CONFIG, pool(), environment=environment):
            platform = await platforms.receive()
            assert await platform.read() == HELLO
        with pytest.raises(anyio.EndOfStream):
            await platform.websocket.receive()
        assert platform.websocket.close_code == 1000
        assert platform.websocket.close_reason == "closed by client"


STEPS = ["handshake", "clear", "put1", "put2", "put3", "commit"]
Breaking = Callable[..., None]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("kind", ["hang_up_next", "cut_next", "lose_reply_next"])
async def test_synchronisation_that_is_broken_off_is_done_anew(step: str, kind: str):
    """Before a step was done, after it, and where its answer never comes."""
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        getattr(platform.faults, kind)(on=step)
        async with open_connector(
            platform.config, lamps(3), environment=environment
        ) as connector:
            await until_state(connector, Waiting)
            with anyio.fail_after(60):
                await connector.wait_ready()
            assert {one.uri for one in platform.devices if one.is_online} == set(
                connector.devices
            )
            (gateway_of_it,) = [
                one for one in platform.gateways.values() if one.devices
            ]
            assert len(gateway_of_it.hash) == 40
            before = len(platform.messages)
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
            assert handlers(platform)[before:] == ["handshake"]


@pytest.mark.parametrize("step", ["clear", "commit"])
async def test_a_step_that_is_refused_is_asked_for_again(step: str):
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.refuse_next(on=step)
        async with open_connector(
            platform.config, lamps(1), environment=environment
        ) as connector:
            waiting = await until_state(connector, Waiting)
            assert "refuses with status 500" in str(waiting.reason)
            await connector.wait_ready()
            assert platform.device("lamp-1").is_online


async def test_a_busy_platform_has_time():
    """Up to 30 s each for clear and commit, in which it answers no ping."""
    async with gateway(2, sim={"busy_s": 29}) as (platform, connector):
        assert anyio.current_time() >= 58
        assert len(platform.log) == 1
        began = anyio.current_time()
        async with anyio.create_task_group() as tg:
            tg.start_soon(connector.update, connector.devices["lamp-1"])
            await anyio.sleep(1)
            # Whose turn comes later has its own time from then on.
            assert await connector.event("lamp-1", "state", "1")
        assert anyio.current_time() - began >= 29
        assert len(platform.log) == 1


async def test_one_that_is_too_busy_fails_what_it_is_asked_and_is_asked_again():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment, busy_s=31) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        waiting = await until_state(connector, Waiting)
        assert "the platform is busy" in str(waiting.reason)
        platform.busy_s = 1
        await connector.wait_ready()


async def test_a_connection_that_is_lost_while_it_synchronises():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment, busy_s=20) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        results: list[bool] = []

        async def change(connector: Connector) -> None:
            results.append(await connector.update(connector.devices["lamp-1"]))

        async with anyio.create_task_group() as tg:
            await until_state(connector, Synchronising)
            tg.start_soon(change, connector)
            await anyio.sleep(1)
            await platform.drop()
            began = anyio.current_time()
        # Who waited was told at once, not when its time was over.
        assert results == [False]
        assert anyio.current_time() - began < 1
        await connector.wait_ready()
