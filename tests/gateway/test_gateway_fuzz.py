"""Whatever anybody publishes on the gateway's broker, its devices still work."""

from __future__ import annotations

import json
import math
from contextlib import suppress
from datetime import UTC

import anyio
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from structiot.errors import UsageError
from structiot.gateway import CommandFailed
from structiot.gateway.entities.orders import device_order, entity_order
from structiot.mqtt.wire.topics import name_fault
from tests.gateway.houses import LAX, LAX_CLIENT
from tests.gateway.memory_house import House, followed, of_kind
from tests.gateway.scripted_driver import (
    ScriptedDriver,
    plug,
    scripted,
    source_of,
    stay,
)

# The mark does not see that a test with `given` is asynchronous.
pytestmark = pytest.mark.usefixtures("virtual_time")

# What MQTT lets a topic hold: anything but NUL, wildcards and halves of surrogates.
LEVELS = st.text(
    st.characters(blacklist_categories=["Cs"], blacklist_characters="\0+#/"),
    max_size=20,
)
LONG = st.integers(1, 65_400).map(lambda size: "A" * size)
TOPICS = st.one_of(
    st.lists(LEVELS, min_size=1, max_size=5).map(lambda n: "structiot/" + "/".join(n)),
    st.tuples(LEVELS, LEVELS).map(lambda n: f"structiot/{n[0]}/{n[1]}/set"),
    st.tuples(st.sampled_from(["desk", "gateway", ""]), LEVELS).map(
        lambda n: f"structiot/{n[0]}/{n[1]}/set"
    ),
    st.sampled_from(["structiot/desk/set", "structiot/desk/relay/set"]),
    st.sampled_from(
        ["ping", "devices", "info", "device/reopen", "driver/restart", "reload"]
    ).map(lambda what: f"structiot/gateway/request/{what}"),
    LEVELS.map(lambda what: f"structiot/gateway/request/{what}"),
    LONG.map(lambda level: f"structiot/gateway/request/{level}"),
    LONG.map(lambda level: f"structiot/{level}//set"),
    LONG.map(lambda level: f"structiot/desk/{level}/set"),
    LEVELS.map(lambda level: f"homeassistant/device/structiot_{level}/config"),
    st.lists(LEVELS, min_size=1, max_size=4).map(
        lambda n: "/".join(["homeassistant", *n])
    ),
    st.just("homeassistant/status"),
    LEVELS.map(lambda level: f"structiot/gateway/drivers/{level}"),
).filter(lambda topic: name_fault(topic) is None)
KEYS = st.one_of(
    st.sampled_from(["+", "#", "\0", "\ud800", "k" * 70_000, "relay", "", "a/b"]),
    st.text(max_size=5),
)
VALUES = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(KEYS, inner, max_size=3)
    ),
    max_leaves=8,
)
ANNOUNCEMENTS = st.fixed_dictionaries(
    {
        "origin": st.just({"name": "structiot"}) | VALUES,
        "availability": st.just([{"topic": "structiot/gateway/availability"}]) | VALUES,
        "components": st.dictionaries(KEYS, VALUES, max_size=4) | VALUES,
    },
    optional={
        "device": st.just({"identifiers": ["structiot_toy_1"]}) | VALUES,
        "migrate_discovery": VALUES,
    },
)
# Of commands and requests, with members that mean something.
ORDERS = st.fixed_dictionaries(
    {},
    optional={
        "value": st.sampled_from(["ON", {"relay": "ON"}, True]) | VALUES,
        "id": st.integers() | VALUES,
        "deadline": st.datetimes().map(str) | VALUES,
        "within_s": st.floats() | VALUES,
        "relay": VALUES,
        "device": st.just("desk") | VALUES,
        "system": st.just("toy") | VALUES,
        "page": st.integers() | VALUES,
        "transaction": VALUES,
    },
)
PAYLOADS = st.one_of(
    st.binary(max_size=50),
    st.sampled_from(
        [b"", b"ON", b"online", b"[" * 100_000, b'{"a":' * 50_000, b"\x1b[2J\n" * 900]
    ),
    (ANNOUNCEMENTS | ORDERS | VALUES).map(lambda value: json.dumps(value).encode()),
)
MESSAGES = st.lists(st.tuples(TOPICS, PAYLOADS, st.booleans()), max_size=6)
EVIL = json.dumps(
    {
        "origin": {"name": "structiot"},
        "availability": [{"topic": "structiot/gateway/availability"}],
        "components": {"+": {}, "#": {}, "\0": {}, "\ud800": {}, "k" * 70_000: {}},
    }
).encode()


@given(
    payload=ORDERS.map(lambda value: json.dumps(value).encode()) | st.binary(),
    now=st.datetimes(timezones=st.just(UTC)),
)
@settings(max_examples=100, deadline=None)
def test_whatever_is_published_as_an_order_is_one_or_says_what_is_wrong(payload, now):
    for order in (entity_order(payload), device_order(payload)):
        if order is None:
            continue
        assert isinstance(order.id, str | int | None)
        assert order.fault.isprintable()
        assert len(order.fault) < 400
        assert not math.isnan(order.left_s(now))
        with suppress(UsageError):
            assert isinstance(order.payload(), bytes)


@given(before=MESSAGES, live=MESSAGES)
@example(
    before=[("structiot/" + "A" * 65_520 + "//set", b"ON", True)],
    live=[("structiot/" + "A" * 65_520 + "//set", b"ON", False)],
)
@example(before=[("homeassistant/device/structiot_old/config", EVIL, True)], live=[])
@example(
    before=[], live=[("structiot/a\x1b]0;x\x07\n/b\x1b[2J/set", b"\x1b[2J", False)]
)
@settings(
    max_examples=30,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
async def test_devices_work_whatever_anybody_publishes(caplog, before, live):
    caplog.clear()
    house, device = House(), plug()

    async def serve_one(driver: ScriptedDriver) -> None:
        driver.registry.add(source_of(device, name="Desk"))
        await stay(driver)

    driver = scripted(serve_one)
    driver.finds_more = False
    async with (
        house.broker(limits=LAX),
        house.client(config=LAX_CLIENT) as stranger,
    ):
        for topic, payload, retain in before:
            await stranger.publish(topic, payload, qos=1, retain=retain)
        async with house.gateway(driver) as gateway, followed(gateway) as events:
            await anyio.sleep(5)
            for topic, payload, retain in live:
                await stranger.publish(topic, payload, qos=1, retain=retain)
            await anyio.sleep(5)
            assert gateway.is_connected
            # It may have been told to open it, or everything, anew.
            assert gateway.devices["desk"].is_available
            asked = len(device.commands)
            await stranger.publish("structiot/desk/relay/set", b"ON", qos=1)
            await anyio.sleep(1)
            assert device.commands[asked:] == [("relay", True)]
            assert not [t for t in gateway.publisher.wanted if name_fault(t)]
    for text in caplog.messages:
        assert text.isprintable()
        assert len(text) < 2000
    for failed in of_kind(events, CommandFailed):
        for text in (failed.device, failed.entity, failed.payload, failed.error):
            assert text.isprintable()
            assert len(text) <= 400
