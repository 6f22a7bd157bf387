"""SENERGY: commands and their answers, events, errors."""

from __future__ import annotations

import re
from typing import Any

import anyio
import pytest

from structiot.connector import Command, PlatformRefused
from structiot.errors import CommandRefused, ReplyTimeout
from structiot.sim import SenergySim, fault_proxy
from tests.link.connector.gateways import until
from tests.link.connector.senergy_house import connector_of, senergy
from tests.sim.connector.raw_senergy import mqtt_of

pytestmark = pytest.mark.virtual_time


async def ask(
    platform: SenergySim, connector: Any, handler: Any, *args: Any, **named: Any
) -> Any:
    """Send a command, have it handled, and give the response or the error."""
    answer: list[Any] = []
    async with anyio.create_task_group() as tg:
        tg.start_soon(connector.serve, handler)

        async def send() -> None:
            try:
                answer.append(await platform.send_command(*args, **named))
            except (CommandRefused, ReplyTimeout) as exc:
                answer.append(exc)
            tg.cancel_scope.cancel()

        tg.start_soon(send)
    return answer[0]


# ---------------------------------------------------------------- commands


async def test_a_command_is_taken_apart_and_answered():
    seen: list[Command] = []

    async def handler(command: Command) -> None:
        seen.append(command)
        assert await command.respond({"level": 5}, metadata="m")

    async with senergy() as platform, connector_of(platform) as connector:
        parts = {"metadata": "", "data": '{"on":true}', "third": "x"}
        response = await ask(platform, connector, handler, "dev1", "on", parts)
    (command,) = seen
    assert (command.device_id, command.service) == ("dev1", "on")
    assert command.device is not None
    assert command.device.name == "Lamp"
    assert command.protocol_parts == parts
    assert response.parts == {"metadata": "m", "data": '{"level":5}'}
    assert response.topic.endswith("/dev1/on")


async def test_a_command_without_parts_has_none():
    async def handler(command: Command) -> None:
        assert (command.data, command.metadata) == (None, None)
        await command.respond(None)

    async with senergy() as platform, connector_of(platform) as connector:
        response = await ask(platform, connector, handler, "dev1", "state")
        assert response.parts == {}


async def test_a_command_for_a_service_too_long_to_be_answered_is_refused():
    """Its topic may come, and that of its answer is too long to go."""
    async with senergy() as platform, connector_of(platform) as connector:
        with pytest.raises(CommandRefused, match="longer than 1000 bytes"):
            await platform.send_command("dev1", "s" * 65_475)
        assert connector.is_ready
        assert await connector.event("dev1", "state", 1)


async def test_a_command_that_fails_is_told_on_its_error_topic():
    async def handler(_: Command) -> None:
        await anyio.lowlevel.checkpoint()
        raise RuntimeError("too hot")

    async with senergy() as platform, connector_of(platform) as connector:
        error = await ask(platform, connector, handler, "dev1", "on")
        assert isinstance(error, CommandRefused)
        assert "too hot" in error.peer_text
        (told,) = platform.errors
        assert told.topic.startswith(f"error/command/{platform.user.id}/")


@pytest.mark.parametrize(("age_s", "is_taken"), [(25, True), (35, False), (-60, True)])
async def test_commands_that_are_too_old_are_refused_in_words(age_s, is_taken):
    async def handler(command: Command) -> None:
        await command.respond("yes")

    async with senergy() as platform, connector_of(platform) as connector:
        answer = await ask(platform, connector, handler, "dev1", "on", age_s=age_s)
        if is_taken:
            assert answer.data == "yes"
        else:
            assert re.search("3[56] s old", answer.peer_text)


@pytest.mark.parametrize("content", [b"garbage", b"[]", b'{"payload": {}}', b"\xff"])
async def test_what_is_no_command_is_told_and_does_no_harm(content):
    async def handler(command: Command) -> None:
        await command.respond("yes")

    async with senergy() as platform, connector_of(platform) as connector:
        owner = platform.user.id
        platform.broker.publish(f"command/{owner}/dev1/on", content, qos=2)
        platform.broker.publish(f"command/{owner}/dev1/on", content, qos=0)
        response = await ask(platform, connector, handler, "dev1", "on")
        assert response.data == "yes"
        assert [one.topic for one in platform.errors] == [
            f"error/device/{owner}/dev1"
        ] * 2


async def test_a_command_that_comes_twice_is_answered_twice_and_once_is_enough():
    async def handler(command: Command) -> None:
        await command.respond("yes")

    async with senergy() as platform, connector_of(platform) as connector:
        platform.faults.duplicate_next(on="command")
        response = await ask(platform, connector, handler, "dev1", "on")
        assert response.data == "yes"


async def test_a_command_may_be_answered_by_the_next_session():
    async with senergy() as platform, connector_of(platform) as connector:

        async def handler(command: Command) -> None:
            for client_id in platform.broker.clients:
                platform.broker.disconnect(client_id)
            await anyio.sleep(0.1)
            assert await command.respond("late")

        response = await ask(platform, connector, handler, "dev1", "on")
        assert response.data == "late"


# ---------------------------------------------------------------- events


async def test_an_event_comes_and_is_acknowledged():
    async with senergy() as platform, connector_of(platform) as connector:
        response = await connector.event("dev1", "power", {"w": 1}, metadata="m")
        assert response is not None
        assert (response.status, response.payload) == (200, None)
        (event,) = platform.events
        assert (event.device, event.service) == ("dev1", "power")
        assert event.parts == {"metadata": "m", "data": '{"w":1}'}


async def test_an_event_that_would_be_ignored_is_refused():
    async with senergy() as platform, connector_of(platform) as connector:
        with pytest.raises(PlatformRefused, match="no such device") as caught:
            await connector.event("unknown", "power", 1)
        assert caught.value.status == 404
        for device, service in (("dev1", "a/b"), ("a#b", "power")):
            with pytest.raises(PlatformRefused, match=r"not sent: the id .* has"):
                await connector.event(device, service, 1)
        text = "event power of device dev1: not sent: an event of more than 1,000,000"
        with pytest.raises(PlatformRefused, match=text):
            await connector.event("dev1", "power", "x" * 1_000_001)
        assert not platform.ignored
        assert connector.is_ready


async def test_a_device_that_is_disconnected_may_still_tell():
    async with senergy() as platform, connector_of(platform) as connector:
        await connector.disconnect("dev1")
        assert await connector.event("dev1", "power", 1) is not None
        assert len(platform.events) == 1


async def test_events_while_the_platform_is_away_come_later_in_order():
    async with senergy() as platform, connector_of(platform) as connector:
        await platform.broker.unplug()
        await until(lambda: not connector.is_ready)
        for number in range(20):
            with anyio.move_on_after(0.01):
                await connector.event("dev1", "power", number)
        assert connector.events_waiting == 20
        await platform.broker.plug_in()
        await until(lambda: not connector.events_waiting)
        assert [one.data for one in platform.events] == [str(n) for n in range(20)]


async def test_a_broker_that_does_not_acknowledge_ends_the_session():
    async with senergy() as platform:
        environment, port = platform.environment, platform.broker.port
        proxied = fault_proxy(platform.host, port, environment=environment)
        async with (
            proxied as proxy,
            connector_of(
                platform, host=proxy.address[0], port=proxy.address[1]
            ) as connector,
        ):
            proxy.stall()
            before = anyio.current_time()
            assert await connector.event("dev1", "power", 1) is None
            # The goodbye to who does not answer is short.
            assert 10 <= anyio.current_time() - before <= 12
            proxy.cut()
            proxy.flow()
            await until(lambda: platform.events)
            assert connector.events_repeated


async def test_what_others_publish_reaches_nobody():
    async with senergy() as platform, connector_of(platform) as connector:
        async with mqtt_of(platform) as client:
            topic = f"command/{platform.user.id}/dev1/on"
            await client.publish(topic, "{}", qos=1)
        assert connector.is_ready
        assert len(platform.ignored) == 1
