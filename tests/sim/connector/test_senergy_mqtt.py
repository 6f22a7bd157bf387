"""`sim_senergy`'s broker: who is let in, what is heard, what is ignored, commands."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import anyio
import pytest

from structiot.errors import CommandRefused, LinkLost, ReplyTimeout, UsageError
from structiot.mqtt import MqttAuthRefused, MqttClient, SubscribeRefused
from structiot.sim import SenergyRules, SenergySim, show_fault, sim_senergy
from tests.sim.connector.raw_senergy import LAMP, command_of, logged_in, mqtt_of

pytestmark = pytest.mark.virtual_time


@asynccontextmanager
async def lamp(platform: SenergySim) -> AsyncIterator[tuple[MqttClient, str]]:
    """A client whose user has a lamp, and the user's id."""
    async with logged_in(platform) as raw:
        await raw.make(LAMP)
    async with mqtt_of(platform) as client:
        yield client, platform.user.id


# ------------------------------------------------------------ who is let in


async def test_others_and_sessions_that_last_are_not_let_in(senergy_sim):
    for changes in (
        {"password": "wrong"},
        {"username": "nobody"},
        {"cleansession": False},
    ):
        with pytest.raises(MqttAuthRefused):
            async with mqtt_of(senergy_sim, **changes):
                pass
    senergy_sim.rules.wants_clean_start = False
    async with mqtt_of(senergy_sim, cleansession=False):
        assert senergy_sim.broker.clients == ["raw"]


async def test_one_client_connects_eleven_times_in_a_row_and_then_after_a_rest(
    senergy_sim,
):
    async def connect(client_id="raw") -> None:
        async with mqtt_of(senergy_sim, client_id):
            await anyio.sleep(1)

    for _ in range(11):
        await connect()
    with pytest.raises(MqttAuthRefused):
        await connect()
    await connect("another")
    await anyio.sleep(28)
    await connect()
    assert senergy_sim.broker.connections == 13


async def test_the_client_id_is_a_hub_if_that_is_wanted(environment):
    rules = SenergyRules(checks_hubs=True)
    async with (
        sim_senergy(rules=rules, environment=environment) as platform,
        logged_in(platform) as raw,
    ):
        await raw.make(LAMP)
        hub_id = await raw.make_hub()
        with pytest.raises(MqttAuthRefused):
            async with mqtt_of(platform, "no-hub"):
                pass
        async with mqtt_of(platform, hub_id) as client:
            topic = f"command/{platform.user.id}/dev1/+"
            assert await client.subscribe([(topic, 2)]) == [0x80]
            body = {"id": hub_id, "name": "N", "device_local_ids": ["dev1"]}
            await raw.call("PUT", "hubs", hub_id, json=body)
            assert await client.subscribe([(topic, 2)]) == [2]


# ------------------------------------------------------------ what is heard


async def test_only_commands_of_own_devices_are_heard(senergy_sim):
    async with lamp(senergy_sim) as (client, owner):
        for closed in (
            f"command/{owner}/unknown/+",
            f"command/{owner}/dev1/on",
            f"command/{owner}/+/+",
            f"command/{owner}/dev1/#",
            "command/dev1/+",
            "command/somebody/dev1/+",
            f"event/{owner}/dev1/+",
            "ignored/#",
            "#",
        ):
            with pytest.raises(SubscribeRefused):
                async with client.subscription(closed):
                    pass
        assert senergy_sim.online == set()
        async with (
            client.subscription(f"command/{owner}/dev1/+", qos=2),
            client.subscription(f"notifications/{owner}/#"),
        ):
            assert senergy_sim.online == {"dev1"}
        assert senergy_sim.online == set()


async def test_topics_without_the_owner_are_as_good_where_they_were_of_old(environment):
    rules = SenergyRules(wants_owner_topics=False)
    async with (
        sim_senergy(rules=rules, environment=environment) as platform,
        lamp(platform) as (client, owner),
    ):
        async with client.subscription("command/dev1/+"):
            assert platform.online == {"dev1"}
        await client.publish("event/dev1/power", '{"data": "1"}', qos=1)
        await client.publish(f"event/{owner}/dev1/power", '{"data": "2"}', qos=1)
        assert [one.data for one in platform.events] == ["1", "2"]


async def test_a_device_is_offline_when_its_client_has_gone(senergy_sim):
    async with lamp(senergy_sim) as (client, owner):
        await client.subscribe([(f"command/{owner}/dev1/+", 2)])
        assert senergy_sim.online == {"dev1"}
    assert senergy_sim.online == set()


# ------------------------------------------------------------ what is published


async def test_events_come_and_those_of_unknown_services_are_dropped(environment):
    types = {"lamp": ["power"]}
    async with (
        sim_senergy(device_types=types, environment=environment) as platform,
        lamp(platform) as (client, owner),
    ):
        for service in ("power", "taste"):
            topic = f"event/{owner}/dev1/{service}"
            await client.publish(topic, '{"metadata": "m", "data": "5"}', qos=1)
        (event,) = platform.events
        assert (event.device, event.service) == ("dev1", "power")
        assert (event.data, event.metadata) == ("5", "m")
        assert not platform.ignored


@pytest.mark.parametrize(
    ("topic", "payload", "why"),
    [
        ("event/{owner}/unknown/power", "{}", "not found"),
        ("event/somebody/dev1/power", "{}", "mismatch"),
        ("event/dev1/power", "{}", "expect owner"),
        ("event/{owner}/dev1/power", "no JSON", "no JSON"),
        ("error/device/dev1", "text", "expect owner"),
        ("error/device/somebody/dev1", "text", "mismatch"),
        ("weather/here", "sunny", "no matching topic"),
    ],
)
async def test_what_is_ignored_is_acknowledged(senergy_sim, topic, payload, why):
    async with lamp(senergy_sim) as (client, owner):
        await client.publish(topic.format(owner=owner), payload, qos=1)
        (ignored,) = senergy_sim.ignored
        assert ignored.topic == topic.format(owner=owner)
        assert why in ignored.text
        assert not senergy_sim.events
        assert not senergy_sim.errors


async def test_errors_are_kept(senergy_sim):
    async with lamp(senergy_sim) as (client, owner):
        await client.publish("error", "of the client", qos=1)
        await client.publish(f"error/device/{owner}/dev1", "of the device", qos=1)
        assert [one.text for one in senergy_sim.errors] == [
            "of the client",
            "of the device",
        ]


# ------------------------------------------------------------ commands


async def test_a_command_is_answered_by_its_correlation(senergy_sim):
    async with (
        lamp(senergy_sim) as (client, owner),
        client.subscription(f"command/{owner}/dev1/+", qos=2) as commands,
        anyio.create_task_group() as tg,
    ):

        async def answer() -> None:
            message = await anext(commands)
            assert message.topic == f"command/{owner}/dev1/on"
            assert not message.retain
            asked = command_of(message.payload)
            assert asked["payload"] == {"data": "1"}
            assert asked["completion_strategy"] == "pessimistic"
            now_s = senergy_sim.environment.now_utc().timestamp()
            assert asked["timestamp"] == int(now_s)
            payload = {"correlation_id": "unknown", "payload": {"data": "no"}}
            topic = f"response/{owner}/dev1/on"
            await client.publish(topic, json.dumps(payload), qos=2)
            payload = {**payload, "correlation_id": asked["correlation_id"]}
            payload["payload"] = {"data": "yes"}
            await client.publish(topic, json.dumps(payload), qos=2)

        tg.start_soon(answer)
        response = await senergy_sim.send_command("dev1", "on", {"data": "1"})
        assert (response.data, response.is_awaited) == ("yes", True)
        assert [one.data for one in senergy_sim.responses] == ["no", "yes"]


async def test_a_command_can_fail_or_never_be_answered(senergy_sim):
    with pytest.raises(UsageError, match="nobody hears"):
        await senergy_sim.send_command("dev1", "on")
    async with (
        lamp(senergy_sim) as (client, owner),
        client.subscription(f"command/{owner}/dev1/+", qos=2) as commands,
    ):
        before = anyio.current_time()
        with pytest.raises(ReplyTimeout):
            await senergy_sim.send_command("dev1", "on")
        assert anyio.current_time() - before == 60
        await anext(commands)

        async def fail() -> None:
            asked = command_of((await anext(commands)).payload)
            topic = f"error/command/{owner}/{asked['correlation_id']}"
            await client.publish(topic, "too hot", qos=1)

        async with anyio.create_task_group() as tg:
            tg.start_soon(fail)
            with pytest.raises(CommandRefused) as caught:
                await senergy_sim.send_command("dev1", "on")
        assert caught.value.peer_text == "too hot"


# ------------------------------------------------------------ trouble


async def test_messages_meet_the_faults_that_are_meant_for_them(senergy_sim):
    async with lamp(senergy_sim) as (client, owner):
        senergy_sim.faults.refuse_next(on="subscribe")
        assert await client.subscribe([(f"command/{owner}/dev1/+", 2)]) == [0x80]
        senergy_sim.faults.drop_next(on="event")
        for data in "12":
            topic = f"event/{owner}/dev1/power"
            await client.publish(topic, json.dumps({"data": data}), qos=1)
        assert [one.data for one in senergy_sim.events] == ["2"]
    senergy_sim.faults.refuse_next(on="connect")
    with pytest.raises(MqttAuthRefused):
        async with mqtt_of(senergy_sim):
            pass
    senergy_sim.faults.hang_up_next(on="event")
    with pytest.raises(LinkLost):
        async with mqtt_of(senergy_sim) as client:
            await client.publish(f"event/{owner}/dev1/power", "{}", qos=1)
            await anyio.sleep_forever()


async def test_a_restart_ends_connections_and_keeps_what_is_known(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        await raw.make(LAMP)
    async with anyio.create_task_group() as tg:
        with pytest.raises(LinkLost):
            async with mqtt_of(senergy_sim):
                tg.start_soon(show_fault, senergy_sim, "restart=5")
                await anyio.sleep_forever()
    assert list(senergy_sim.devices) == ["dev1"]
    async with mqtt_of(senergy_sim):
        assert senergy_sim.broker.clients == ["raw"]
