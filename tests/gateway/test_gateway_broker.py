"""A gateway and its broker: gone, back, forgetful, or unwilling."""

from __future__ import annotations

import itertools
import logging
from functools import partial

import anyio
import anyio.to_thread
import pytest
import trustme

from structiot.gateway import (
    BrokerConnected,
    BrokerLost,
    Gateway,
    TopicRefused,
    open_gateway,
)
from tests._support.mosquitto import Mosquitto
from tests.gateway.broker_watch import watching
from tests.gateway.serving import config_of, section_of, served, strips

pytestmark = pytest.mark.e2e

_numbers = itertools.count(1)


@pytest.fixture
def base() -> str:
    """The topics of one test on the broker that all share."""
    return f"gwb{next(_numbers)}"


async def stop(broker: Mosquitto) -> None:
    await anyio.to_thread.run_sync(broker.stop)


async def start(broker: Mosquitto) -> None:
    await anyio.to_thread.run_sync(broker.start)


async def test_a_broker_that_forgot_everything_is_told_everything_again(
    start_mosquitto, base
):
    broker = start_mosquitto()
    async with strips(1) as sims:
        config = config_of(broker.uri, base, section_of(*sims))
        async with open_gateway(config):
            async with watching(broker.uri, f"{base}/#", f"ha-{base}/#") as watch:
                await watch.until_is(f"{base}/kitchen/availability", "online")
                await watch.until_is(f"{base}/kitchen/total_power/state", "42.5")
                await watch.until_there(f"{base}/gateway/health")
                await watch.until(
                    lambda: "port_6" in watch.latest[f"{base}/gateway/devices"]
                )
                before = await watch.retained("#")
                del before[f"{base}/gateway/health"]
            await anyio.to_thread.run_sync(broker.restart)
            async with watching(broker.uri, f"{base}/#", f"ha-{base}/#") as watch:
                await watch.until(lambda: watch.latest.keys() >= before.keys())
                assert {topic: watch.latest[topic] for topic in before} == before
                await watch.client.publish(f"{base}/kitchen/port_1/set", b"OFF", qos=1)
                await watch.until_is(f"{base}/kitchen/port_1/state", "OFF")


async def test_without_a_broker_the_devices_run_and_the_schedule_shows(
    start_mosquitto, base, caplog
):
    caplog.set_level(logging.INFO, "structiot.gateway")
    broker = start_mosquitto()
    await stop(broker)
    async with strips(1) as sims:
        config = config_of(broker.uri, base, section_of(*sims))
        async with open_gateway(config) as gateway, gateway.events() as events:
            losses: list[BrokerLost] = []
            async for event in events:
                if isinstance(event, BrokerLost):
                    losses.append(event)
                if len(losses) == 2:
                    break
            assert gateway.devices["kitchen"].is_available
            assert not gateway.is_connected
            await start(broker)
            async for event in events:
                if isinstance(event, BrokerConnected):
                    break
            async with watching(broker.uri, f"{base}/#") as watch:
                await watch.until_is(f"{base}/kitchen/port_1/state", "ON")
    place = f"127.0.0.1:{broker.port}"
    for loss in losses:
        assert place in loss.reason
        assert loss.retry_in_s is not None
    said = [m for m in caplog.messages if m.startswith("no MQTT broker: ")]
    assert place in said[0]
    assert said[0].endswith(f"; next attempt in {losses[0].retry_in_s:.1f} s")
    assert "connected to the broker" in caplog.messages


async def test_leaving_without_a_broker_takes_no_time(start_mosquitto, base):
    broker = start_mosquitto()
    await stop(broker)
    async with strips(1) as sims:
        with anyio.fail_after(5):
            async with open_gateway(config_of(broker.uri, base, section_of(*sims))):
                await anyio.sleep(0.3)


async def parked(gateway: Gateway) -> BrokerLost:
    """Wait until the broker is given up for now."""
    async with gateway.events() as events:
        with anyio.fail_after(10):
            async for event in events:
                if isinstance(event, BrokerLost) and event.retry_in_s is None:
                    return event
    raise AssertionError("the gateway has ended")


async def test_a_broker_that_refuses_the_password_is_asked_once(
    start_mosquitto, base, tmp_path
):
    (tmp_path / "passwords").write_text("")
    broker = start_mosquitto(
        "allow_anonymous false\nuser root\nlog_type none\n"
        f"password_file {tmp_path}/passwords\n"
    )
    config = config_of(
        broker.uri, base, {"discover": False}, username="me", password="hunter2"
    )
    async with open_gateway(config) as gateway:
        lost = await parked(gateway)
        with anyio.fail_after(5):
            while gateway.drivers["maxsmart"].state != "running":  # noqa: ASYNC110
                await anyio.sleep(0.01)
    assert "me" in lost.reason
    assert "hunter2" not in lost.reason


async def test_a_topic_that_the_broker_does_not_allow_is_said_once(
    start_mosquitto, base, tmp_path, caplog
):
    (tmp_path / "acl").write_text(f"topic readwrite {base}/#\n")
    broker = start_mosquitto(
        f"allow_anonymous true\nuser root\nlog_type none\nacl_file {tmp_path}/acl\n"
    )
    async with served(broker, base) as (gateway, watch, (sim,)):
        topic = f"ha-{base}/device/structiot_maxsmart_{sim.serial}/config"
        refused = TopicRefused(topic=topic, reason="not authorized")
        async with gateway.events() as events:
            with anyio.fail_after(10):
                while await anext(aiter(events)) != refused:
                    pass
        await watch.client.publish(f"{base}/kitchen/port_1/set", b"OFF", qos=1)
        await watch.until_is(f"{base}/kitchen/port_1/state", "OFF")
        assert sim.ports[1] is False
    line = f"the broker refuses {topic}: not authorized"
    assert caplog.messages.count(line) == 1


async def test_home_assistant_gets_announcements_again_when_it_starts(mosquitto, base):
    async with served(mosquitto, base) as (_, watch, (strip,)):
        topic = f"ha-{base}/device/structiot_maxsmart_{strip.serial}/config"
        await watch.until_there(topic)
        count = [seen for seen, _ in watch.seen].count(topic)
        await watch.client.publish(f"ha-{base}/status", b"online", qos=1)
        await watch.until(lambda: [s for s, _ in watch.seen].count(topic) == count + 1)


async def test_without_discovery_nothing_is_announced(mosquitto, base):
    async with served(mosquitto, base, discovery=False) as (_, watch, _):
        assert not any(topic.startswith("ha-") for topic in watch.latest)


async def test_a_broker_is_reached_over_tls(start_mosquitto, base, tmp_path):
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "server.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "server.key"))
    broker = start_mosquitto(
        f"certfile {tmp_path}/server.pem\nkeyfile {tmp_path}/server.key\n"
        "allow_anonymous true\nuser root\nlog_type none\n"
    )
    uri = f"mqtts://127.0.0.1:{broker.port}/"
    configure = partial(config_of, uri, base, {"discover": False})
    trusting = await anyio.to_thread.run_sync(
        partial(configure, ca_file=f"{tmp_path}/ca.pem")
    )
    async with open_gateway(trusting) as gateway, gateway.events() as events:
        with anyio.fail_after(10):
            while await anext(aiter(events)) != BrokerConnected():
                pass
    async with open_gateway(configure()) as gateway:
        lost = await parked(gateway)
        assert "unknown authority" in lost.reason
        await gateway.reload(trusting)
        async with gateway.events() as events:
            with anyio.fail_after(10):
                while await anext(aiter(events)) != BrokerConnected():
                    pass
