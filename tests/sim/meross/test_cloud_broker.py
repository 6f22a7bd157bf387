"""The simulated cloud's brokers: who is let in, and what reaches whom."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import ConnectFailed, LinkLost, UsageError
from structiot.meross.wire.cloud import Path
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.mqtt import (
    app_id_of,
    app_password,
    client_id_of_app,
    device_password,
    publish_topic,
    request_topic,
    user_topic,
)
from structiot.mqtt import MqttAuthRefused, SubscribeRefused
from structiot.sim.meross import MerossCloudSim, sim_meross_cloud
from structiot.sim.shared import show_fault
from structiot.testing import MemoryNetwork
from tests.sim.meross.asking_cloud import HOST, asker
from tests.sim.meross.cloud_clients import UUID, App, Device, app_of, device_of, mqtt_of

pytestmark = pytest.mark.virtual_time

OTHER = "u" * 32
ONLINE = "Appliance.System.Online"
TOGGLE = "Appliance.Control.ToggleX"


@asynccontextmanager
async def cloud_with_plug(**arguments: Any) -> AsyncIterator[MerossCloudSim]:
    environment = Environment(network=MemoryNetwork())
    async with sim_meross_cloud(
        host=HOST, environment=environment, **arguments
    ) as cloud:
        cloud.register(uuid=UUID, name="Desk plug")
        yield cloud


@asynccontextmanager
async def app_and_plug(
    **arguments: Any,
) -> AsyncIterator[tuple[MerossCloudSim, App, Device]]:
    """An app, and a plug that the app knows to be online."""
    async with (
        cloud_with_plug(**arguments) as cloud,
        app_of(cloud, retry_refused=True) as app,
        device_of(cloud, retry_refused=True) as device,
    ):
        assert (await app.hear()).payload == {"online": {"status": 1}}
        yield cloud, app, device


# ---------------------------------------------------------------- who is let in


@pytest.mark.parametrize("suffix", ["", "_abc", "_a_b"])
async def test_a_device_is_let_in_whatever_its_suffix(suffix):
    async with cloud_with_plug() as cloud, device_of(cloud, suffix=suffix):
        assert cloud.broker.clients == [f"fmware:{UUID}{suffix}"]
        assert cloud.devices[UUID].status == 1


async def test_others_are_not_let_in():
    async with cloud_with_plug() as cloud:
        user_id, mac = cloud.user_id, cloud.devices[UUID].mac
        app, device = client_id_of_app(app_id_of("x")), f"fmware:{UUID}_1"
        right_app = app_password(user_id, cloud.key)
        right_device = device_password(user_id, mac, cloud.key)
        for client_id, name, password in (
            (app, user_id, "wrong"),
            (app, "999999", app_password("999999", cloud.key)),
            ("somebody", user_id, right_app),
            (app, mac, right_device),
            (device, mac, "wrong"),
            (device, mac, right_app),
            (f"fmware:{OTHER}_1", mac, right_device),
            (device, "48:e1:e9:00:00:00", right_device),
        ):
            with pytest.raises(MqttAuthRefused):
                async with mqtt_of(cloud, client_id, name, password):
                    pass
        assert cloud.broker.clients == []


async def test_topics_of_others_are_closed():
    async with cloud_with_plug(apps_hear="own") as cloud, app_of(cloud) as app:
        for closed in (
            "#",
            "/app/+/subscribe",
            "/app/999999/subscribe",
            f"/app/{cloud.user_id}-{app_id_of('other')}/subscribe",
            f"/appliance/{UUID}/subscribe",
            "/appliance/+/publish",
        ):
            with pytest.raises(SubscribeRefused):
                async with app.mqtt.subscription(closed):
                    pass


async def test_an_app_may_hear_what_others_ask_and_are_answered():
    async with cloud_with_plug() as cloud, app_of(cloud) as app:
        async with app.mqtt.subscription(f"/appliance/{UUID}/subscribe") as heard:
            async with app_of(cloud, "two") as other:
                asked = await other.ask(TOGGLE)
            assert app.understood(await anext(heard)).message_id == asked.message_id
        with pytest.raises(SubscribeRefused):
            async with app.mqtt.subscription(f"/app/{cloud.user_id}-x/subscribe"):
                pass
    async with cloud_with_plug(apps_hear="answers") as cloud, app_of(cloud) as app:
        async with app.mqtt.subscription(f"/app/{cloud.user_id}-x/subscribe"):
            pass
    with pytest.raises(UsageError, match=r"apps hear .*, not 'all'"):
        async with cloud_with_plug(apps_hear="all"):
            pass


# ---------------------------------------------------------------- what reaches whom


async def test_a_request_reaches_the_device_and_its_answer_the_app():
    async with app_and_plug() as (cloud, app, device), app_of(cloud, "two") as other:
        asked = await app.ask(TOGGLE, Method.SET, payload={"togglex": {"onoff": 1}})
        heard = await device.hear()
        assert heard.namespace == TOGGLE
        assert heard.payload == asked.payload
        await device.answer(heard)
        answer = await app.hear(1)
        assert answer.method is Method.SETACK
        assert answer.message_id == asked.message_id
        assert await other.hears_nothing(1)
        assert await app.hears_nothing(0)
        assert dict(cloud.messages) == {UUID: 1}


async def test_what_a_device_tells_reaches_all_apps_as_it_is():
    async with app_and_plug() as (cloud, app, device), app_of(cloud, "two") as other:
        told = await device.push(TOGGLE, payload={"togglex": []}, uuid=UUID)
        for one in (app, other):
            heard = await one.hear()
            assert (heard.message_id, heard.payload) == (told.message_id, told.payload)
            assert heard.sender == publish_topic(UUID)
            assert heard.uuid == UUID
            assert await one.hears_nothing(1)


async def test_nobody_speaks_for_others():
    async with app_and_plug() as (cloud, app, device):
        cloud.register(uuid=OTHER, name="Other")
        await app.say(publish_topic(UUID), TOGGLE)
        await app.say(user_topic(cloud.user_id), TOGGLE)
        await app.ask(TOGGLE, uuid="n" * 32)
        await device.say(publish_topic(OTHER), TOGGLE)
        await device.say(request_topic(UUID), TOGGLE)
        await device.say("/app/999999/subscribe", TOGGLE)
        assert await app.hears_nothing()
        assert await device.hears_nothing()
        assert dict(cloud.messages) == {}


async def test_a_request_to_an_absent_device_is_lost():
    async with cloud_with_plug() as cloud, app_of(cloud) as app:
        await app.ask(TOGGLE)
        assert await app.hears_nothing(1)
        async with device_of(cloud) as device:
            assert await device.hears_nothing()
        assert dict(cloud.messages) == {UUID: 1}


async def test_what_is_no_message_is_passed_on_all_the_same():
    async with app_and_plug() as (_, app, device):
        await app.mqtt.publish(request_topic(UUID), b"\xff{", qos=1)
        assert (await anext(device.heard[0])).payload == b"\xff{"


# ---------------------------------------------------------------- what the cloud says


async def test_apps_hear_who_comes_and_goes():
    async with cloud_with_plug() as cloud, app_of(cloud) as app:
        async with device_of(cloud):
            online = await app.hear()
            assert online.namespace == ONLINE
            assert online.method is Method.PUSH
            assert online.payload == {"online": {"status": 1}}
            assert online.device_uuid == UUID
            assert online.timestamp_ms is None
        assert (await app.hear()).payload == {"online": {"status": 2}}
        assert cloud.devices[UUID].status == 2


async def test_a_bind_is_acknowledged_and_its_versions_are_noted():
    async with app_and_plug() as (cloud, app, device):
        bind = {"firmware": {"version": "7.0.1"}, "hardware": {"version": 5}}
        told = await device.say(
            publish_topic(UUID),
            "Appliance.Control.Bind",
            Method.SET,
            payload={"bind": bind},
            sender=request_topic(UUID),
        )
        answer = await device.hear()
        assert answer.method is Method.SETACK
        assert answer.namespace == "Appliance.Control.Bind"
        assert answer.message_id == told.message_id
        assert answer.payload == {}
        assert answer.sender.startswith("/cloud/sub/")
        plug = cloud.devices[UUID]
        assert (plug.firmware, plug.hardware) == ("7.0.1", "5")
        assert (await app.hear()).method is Method.SET


@pytest.mark.parametrize(
    ("namespace", "payload"),
    [
        ("Appliance.System.Clock", {"clock": {"timestamp": 1}}),
        ("Appliance.Control.ConsumptionConfig", {"config": {"voltageRatio": 188}}),
    ],
)
async def test_what_devices_want_back_comes_back(namespace, payload):
    async with app_and_plug() as (cloud, _, device):
        told = await device.push(namespace, payload=payload, uuid=UUID)
        echo = await device.hear()
        assert echo.namespace == namespace
        assert echo.method is Method.PUSH
        assert (echo.message_id, echo.timestamp_s) == (
            told.message_id,
            told.timestamp_s,
        )
        assert echo.uuid is None
        assert echo.trigger == "CloudControl"
        if "clock" in payload:
            now = echo.payload["clock"]
            assert now == {"timestamp": int(cloud.clock.now_s())}
        else:
            assert echo.payload == payload


async def test_an_unbound_device_is_told_and_not_let_in_again():
    async with app_and_plug() as (cloud, app, device):
        cloud.unbind(UUID)
        assert (await app.hear()).namespace == "Appliance.Control.Unbind"
        assert (await device.hear()).namespace == "Appliance.Control.Unbind"
        assert UUID not in cloud.devices
        await anyio.sleep(60)
        assert not device.mqtt.is_connected


async def test_a_device_may_unbind_itself():
    async with app_and_plug() as (cloud, app, device):
        await device.push("Appliance.Control.Unbind")
        assert (await app.hear()).device_uuid == UUID
        assert not cloud.devices


# ---------------------------------------------------------------- budget and ban


async def test_too_many_messages_in_an_hour_ban_the_account():
    async with (
        app_and_plug(messages_per_hour=3) as (cloud, app, device),
        asker(cloud.url, cloud.environment.network) as ask,
    ):
        await ask.sign_in()
        for _ in range(3):
            await app.ask(TOGGLE)
            await device.hear()
            await anyio.sleep(1000)
        assert cloud.messages_in_hour(UUID) == 3
        await anyio.sleep(601)
        await app.ask(TOGGLE)
        await device.hear()
        assert cloud.ban_reason is None
        await app.ask(TOGGLE)
        assert await device.hears_nothing()
        assert cloud.is_banned, "the fourth within an hour"
        assert cloud.messages[UUID] == 5
        assert await ask.code(Path.DEVICES) == 1003
        with pytest.raises(MqttAuthRefused):
            async with app_of(cloud, "two"):
                pass
        assert not any(one.startswith("app:") for one in cloud.broker.clients)
        cloud.unban()
        await anyio.sleep(60)
        assert app.mqtt.is_connected


async def test_what_devices_say_costs_nothing():
    async with app_and_plug(messages_per_hour=1) as (cloud, app, device):
        for _ in range(5):
            await device.push(TOGGLE)
            await app.hear()
        assert not cloud.is_banned
        assert dict(cloud.messages) == {}


# ---------------------------------------------------------------- two brokers, outages


async def test_devices_of_one_account_are_on_different_brokers():
    async with cloud_with_plug(second_broker=True) as cloud:
        cloud.register(uuid=OTHER, name="Other", mac="48:e1:e9:00:00:01", broker=1)
        with pytest.raises(MqttAuthRefused):
            async with device_of(cloud, OTHER):
                pass
        async with (
            app_of(cloud, broker=0) as first,
            app_of(cloud, broker=1) as second,
            device_of(cloud, OTHER, broker=1) as device,
        ):
            assert (await second.hear()).device_uuid == OTHER
            await second.ask(TOGGLE, uuid=OTHER)
            await device.answer_next()
            await second.hear(1)
            assert await first.hears_nothing()


async def test_a_broker_is_away_for_an_hour_and_everybody_comes_back():
    async with app_and_plug() as (cloud, app, device):
        async with anyio.create_task_group() as tg:
            tg.start_soon(cloud.broker.reboot, 3600)
            await anyio.sleep(60)
            assert cloud.devices[UUID].status == 2
            assert cloud.broker.clients == []
            with pytest.raises(ConnectFailed):
                async with app_of(cloud, "two"):
                    pass
        await anyio.sleep(60)
        assert cloud.devices[UUID].status == 1
        await app.ask(TOGGLE)
        assert (await device.hear()).namespace == TOGGLE


async def test_all_brokers_restart():
    async with cloud_with_plug(second_broker=True) as cloud:
        ports = [one.port for one in cloud.brokers]
        await show_fault(cloud, "brokers_away=5")
        assert [one.port for one in cloud.brokers] == ports
        async with app_of(cloud, broker=1):
            pass


async def test_a_client_of_the_same_id_takes_the_place_of_the_first():
    async with cloud_with_plug() as cloud, app_of(cloud) as app:
        with pytest.raises(LinkLost):
            async with device_of(cloud, auto_reconnect=False):
                await app.hear()
                async with device_of(cloud):
                    assert (await app.hear()).payload == {"online": {"status": 2}}
                    assert (await app.hear()).payload == {"online": {"status": 1}}
                    assert cloud.devices[UUID].status == 1
