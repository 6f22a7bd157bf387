"""What clients make the broker hold is counted, bounded, and gone when it ends: row B28.

Counted are live objects and allocated memory, not what the broker believes.
"""

from __future__ import annotations

import gc
import tracemalloc
from collections.abc import Callable
from functools import cache
from typing import Any

import pytest

from structiot.mqtt.broker.core import matching
from structiot.mqtt.broker.core.ledger import Ledger
from structiot.mqtt.broker.core.retained import Retained, RetainedStore, _Level
from structiot.mqtt.broker.core.sessions import Delivery, Session, Subscription
from structiot.mqtt.wire.codec import encode
from structiot.mqtt.wire.messages import (
    Disconnect,
    Message,
    Pubrec,
    Subscribe,
    SubscriptionRequest,
    Will,
)
from structiot.mqtt.wire.properties import PublishProperties, WillProperties
from tests.wire.broker.clients import House, ScriptedClient, lasting
from tests.wire.broker.paper import KeptHouse

# What has ended goes by itself, or not at all.
pytestmark = pytest.mark.usefixtures("no_collector")
versions = pytest.mark.parametrize("version", [4, 5])


def living(*kinds: type) -> int:
    return sum(type(one) in kinds for one in gc.get_objects())


# -- what has ended is gone


def by_clean_start(house: House) -> None:
    house.client("s", 5, clean_start=True).disconnect()


def by_taking_over(house: House) -> None:
    house.client("s", 5, **lasting(5, 86_400))
    house.client("s", 5, clean_start=True).disconnect()


def by_expiry(house: House) -> None:
    house.pass_time(86_400)


def by_number(house: House) -> None:
    for name in "abc":
        house.subscriber("x", client_id=name, version=5, **lasting(5, 86_400)).lose()
    house.pass_time(1)
    for name in "abc":
        house.client(name, 5, clean_start=True).disconnect()


@pytest.mark.parametrize("house_of", [House, KeptHouse], ids=["memory", "store"])
@pytest.mark.parametrize("end", [by_clean_start, by_taking_over, by_expiry, by_number])
def test_b28_an_ended_session_is_gone_with_all_it_held(
    house_of: type[House], end: Callable[[House], None]
):
    before = living(Session, Delivery, Subscription)
    house = house_of(sessions=3)
    will = Will(
        topic="w", payload=bytes(1000), properties=WillProperties(will_delay_s=99_999)
    )
    options = lasting(5, 86_400)
    client = house.subscriber(
        "a", qos=2, client_id="s", version=5, will=will, **options
    )
    client.publish("b", qos=2)
    house.publish("a", bytes(1000), qos=2)
    client.got()
    client.send(Pubrec(packet_id=1))
    client.lose()
    for _ in range(100):
        house.publish("a", bytes(1000), qos=1)
    del client
    end(house)
    assert living(Session, Delivery, Subscription) == before
    assert not house.core.sessions
    assert house.core.ledger.held_bytes == 0
    assert house.core.deadlines.next_at is None


def test_b28_a_connection_that_lingers_does_not_keep_the_session():
    house = House()
    before = living(Session, Delivery)
    lingering = house.subscriber("a", qos=1, client_id="s", **lasting(4))
    lingering.is_stuck = True
    for _ in range(50):
        house.publish("a", qos=1)
    house.client("s", clean_start=True).lose()
    assert lingering.is_ended
    assert living(Session, Delivery) == before


def test_b28_alarms_of_what_has_ended_are_few():
    house = House()
    for number in range(5000):
        house.client(keep_alive_s=65_535).lose()
        house.client("p", 5).publish(
            "a" if number % 2 else "b",
            b"" if number % 3 else b"x",
            retain=True,
            properties={"message_expiry_s": 86_400},
        )
    assert len(house.core.deadlines) <= 1100


# -- what is counted is what is allocated

MANY = 400
Making = Callable[[House, ScriptedClient], object]


def filters(name_of: Callable[[int], str], count: int = MANY) -> Making:
    def make(house: House, client: ScriptedClient) -> None:
        for number in range(0, count, 50):
            client.subscribe(*(name_of(number + one) for one in range(50)))

    return make


def queued(**options: Any) -> Making:
    def make(house: House, client: ScriptedClient) -> None:
        client.subscribe("q/#", qos=2)
        client.lose()
        publisher = house.client("p", 5)
        for number in range(MANY):
            topic = options.get("topic", "q/{}").format(number)
            payload = bytes(options.get("size", 10))
            properties = options.get("properties")
            publisher.publish(topic, payload, qos=1, properties=properties, packet_id=1)
        publisher.disconnect()

    return make


def half_done(house: House, client: ScriptedClient) -> None:
    """Sent at QoS 2, confirmed by PUBREC and never completed."""
    client.subscribe("q/#", qos=2)
    for number in range(MANY):
        house.publish(f"q/{number}" + "x" * 1000, bytes(10), qos=2)
    for _ in client.got():
        pass
    client.send(*(Pubrec(packet_id=one) for one in range(1, MANY + 1)))
    client.got()


def unreleased(house: House, client: ScriptedClient) -> None:
    for number in range(1, 10 * MANY):
        client.publish("b", qos=2, packet_id=number)
        client.got()


def unread(house: House, client: ScriptedClient) -> None:
    client.is_stuck = True
    client.send_bytes(b"\xc0\0" * 100_000)


def unfinished(house: House, client: ScriptedClient) -> None:
    client.send_bytes(b"\x30\xff\xff\x3f" + bytes(500_000))


def aliases(house: House, client: ScriptedClient) -> None:
    for number in range(1, 65):
        properties = {"topic_alias": number}
        client.publish(f"{number}" + "t" * 20_000, properties=properties)


@cache
def topics_and_properties() -> tuple[bytes, ...]:
    return tuple(
        encode(
            Message(
                f"{number}/" + "t" * 200,
                properties=PublishProperties(user_properties=((str(number), "v"),)),
            ),
            5,
        )
        for number in range(4000)
    )


def remembered(house: House, client: ScriptedClient) -> None:
    """Topics and properties that the decoder knows again."""
    for data in topics_and_properties():
        client.send_bytes(data)


def wills(house: House, client: ScriptedClient) -> None:
    for number in range(20):
        pairs = tuple((str(one), "") for one in range(number, 900 + number))
        will = Will(
            topic="w" * 1000,
            payload=bytes(1000),
            properties=WillProperties(will_delay_s=99, user_properties=pairs),
        )
        house.client(f"w{number}", 5, will=will, **lasting(5, 100)).lose()


def wide_names(house: House, client: ScriptedClient) -> None:
    for number in range(20):
        name = f"{number}🙂" + "x" * 9000
        house.client(name, 5, username=name + "u", **lasting(5, 100)).lose()


GUESTS: list[ScriptedClient] = []


def chatty_connects(house: House, client: ScriptedClient) -> None:
    kept = []
    for number in range(20):
        pairs = tuple((f"{number}{one}", "") for one in range(1000))
        properties = {"user_properties": pairs}
        kept.append(house.client(f"c{number}", 5, properties=properties))
    GUESTS[:] = kept


def retained(name_of: Callable[[int], str], **options: Any) -> Making:
    def make(house: House, client: ScriptedClient) -> None:
        for number in range(MANY):
            client.publish(name_of(number), retain=True, **options)

    return make


PAIRS = {"user_properties": tuple((str(one), "x" * 30) for one in range(50))}


@pytest.mark.parametrize(
    "make",
    [
        pytest.param(filters(str), id="short filters"),
        pytest.param(filters(lambda n: f"{n}/{n}/{n}"), id="filters"),
        pytest.param(filters(lambda n: f"{n}" + "/" * 60), id="deep filters"),
        pytest.param(filters(lambda n: f"{n}" + "ж" * 900 + "🙂"), id="wide filters"),
        pytest.param(
            filters(lambda n: f"a/{n}🙂" + "x" * 900), id="wide filters below"
        ),
        pytest.param(filters(lambda n: f"$share/g{n}/{n}"), id="shared filters"),
        pytest.param(queued(), id="messages"),
        pytest.param(queued(size=5000), id="large messages"),
        pytest.param(queued(topic="q/{}" + "🙂" * 900), id="long topics"),
        pytest.param(queued(properties=PAIRS), id="user properties"),
        pytest.param(
            queued(properties={"correlation_data": bytes(900)}), id="properties"
        ),
        half_done,
        unreleased,
        unread,
        unfinished,
        aliases,
        remembered,
        wills,
        wide_names,
        chatty_connects,
        pytest.param(retained(str), id="retained"),
        pytest.param(retained(lambda n: f"{n}/{n}/{n}"), id="retained below"),
        pytest.param(
            retained(lambda n: f"a/{n}🙂" + "x" * 900), id="retained with wide names"
        ),
        pytest.param(retained(str, properties=PAIRS), id="retained properties"),
        pytest.param(
            retained(str, properties={"message_expiry_s": 99}), id="retained for a time"
        ),
    ],
)
def test_b28_what_is_allocated_is_charged(make: Making):
    house = House()
    client = house.client("s", 5, **lasting(5, 1000))
    client.publish("warm/up", retain=True, properties={"message_expiry_s": 9})
    if make is remembered:
        # What all clients have together is bounded by itself.
        make(house, house.client("other", 5))
    ledger = house.core.ledger
    charged = ledger.held_bytes
    tracemalloc.start()
    try:
        make(house, client)
        client.got()
        gc.collect()
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    charged = ledger.held_bytes - charged
    # The test's own clients cost some.
    assert allocated < charged + 120_000
    assert charged < 6 * allocated


@versions
def test_b28_a_packet_that_has_come_to_its_end_is_credited_at_once(version: int):
    house = House()
    client = house.client("s", version)
    packet = encode(Message("t", bytes(10_000)), version)
    client.send_bytes(packet[:9_000])
    client.send_bytes(packet[9_000:])
    before = house.core.ledger.held_bytes
    # Of the payload 9,000 bytes; what stands before it is not kept.
    client.send_bytes(packet[:-1_000])
    assert house.core.ledger.held_bytes >= before + 9_000
    client.send_bytes(packet[-1_000:])
    assert house.core.ledger.held_bytes == before
    client.send_bytes(packet)
    assert house.core.ledger.held_bytes == before


def test_b28_what_matches_is_remembered_within_bounds(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(matching, "MAX_CACHED_TARGETS", 10_000)
    house = House()
    for number in range(2):
        house.client(f"s{number}").subscribe(*map(overlapping, range(256)))
    tracemalloc.start()
    try:
        for number in range(1000):
            house.publish("x/" * 8 + str(number))
        gc.collect()
        allocated, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert allocated < 3_000_000


def overlapping(number: int) -> str:
    return "/".join("+" if number >> bit & 1 else "x" for bit in range(8)) + "/#"


def test_b28_who_walks_over_retained_messages_does_not_hold_those_that_are_gone():
    store = RetainedStore(max_items=9999, max_bytes=1 << 30, ledger=Ledger(1 << 30))
    walks = []
    for number in range(4):
        for name in range(3000):
            store.add(Retained(f"{number}/{name}", b"x", 0, None, None))
        walk = store.walk("+/+")
        while next(walk) is None:
            pass
        walks.append(walk)
        for name in range(3000):
            store.remove(f"{number}/{name}")
    assert living(_Level) < 4 * 300


def test_b10_a_walk_gives_what_is_there_when_it_comes_by_and_nothing_twice():
    store = RetainedStore(max_items=9999, max_bytes=1 << 30, ledger=Ledger(1 << 30))
    for number in range(1000):
        store.add(Retained(f"a/{number}", b"x", 0, None, None))
    given: list[str] = []
    for item in store.walk("a/+"):
        if item is None:
            continue
        given.append(item.topic)
        if len(given) == 100:
            for number in range(0, 1000, 2):
                store.remove(f"a/{number}")
            store.add(Retained("a/new", b"x", 0, None, None))
    assert len(set(given)) == len(given)
    assert {f"a/{number}" for number in range(1, 1000, 2)} <= set(given)
    # A few were at hand already.
    assert sum(int(name[2:]) % 2 == 0 for name in given if name != "a/new") < 200


@versions
@pytest.mark.parametrize("count", [10, 500])
def test_b28_what_is_still_done_for_a_session_that_has_ended_is_not_charged(
    version: int, count: int
):
    house = House()
    for number in range(count):
        house.publish(f"t/{number}", b"x", qos=1, retain=True)
    before = house.core.ledger.held_bytes
    client = house.client("s", version)
    requests = (SubscriptionRequest(topic_filter="t/#", qos=1),)
    subscribe = Subscribe(packet_id=1, subscriptions=requests)
    # It ends while it is told what is retained.
    client.send_bytes(encode(subscribe, version) + encode(Disconnect(), version))
    house.pass_time(1)
    assert not house.core.sessions
    assert house.core.ledger.held_bytes == before
