"""Through the cloud's brokers answers reach who asked, and nothing else does."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace

import anyio
import pytest
import trustme

from structiot import Environment
from structiot._kit.net.memory import MemoryNetwork
from structiot.errors import (
    AuthRefused,
    CertificateRefused,
    ConnectFailed,
    LinkLost,
    ReplyTimeout,
    StructiotError,
    UsageError,
)
from structiot.meross.errors import MerossRefused, WrongKey
from structiot.meross.link.brokers import BrokerPlace, Brokers, open_brokers
from structiot.meross.link.exchange import ClockWasWrong
from structiot.meross.wire.envelope import Envelope, Method, encode_envelope
from structiot.meross.wire.mqtt import (
    app_password,
    app_topic,
    publish_topic,
    user_topic,
)
from structiot.mqtt import MqttClient, open_mqttclient
from structiot.mqtt.broker import Passwords, hash_password, open_broker
from structiot.testing import cancel_sweep
from tests.link.meross.scripted import (
    KEY,
    OTHER_UUID,
    RUNTIME,
    TOGGLE,
    UUID,
    ScriptedDevice,
    environment_of,
)

pytestmark = pytest.mark.virtual_time

USER = "123456"
APP = "0" * 32
PLACE = BrokerPlace("127.0.0.1", 1883)
URI = f"mqtt://{PLACE.host}:{PLACE.port}"


class Heard:
    """What an account is told."""

    def __init__(self) -> None:
        self.pushes: list[Envelope] = []
        self.connected: list[BrokerPlace] = []
        self.lost: list[StructiotError] = []


class House:
    """Brokers of an account, a device, and somebody else on the broker."""

    def __init__(self, environment: Environment, device: ScriptedDevice) -> None:
        self.environment = environment
        self.device = device
        self.heard = Heard()

    @asynccontextmanager
    async def brokers(
        self, ssl_context: ssl.SSLContext | None = None
    ) -> AsyncGenerator[Brokers]:
        async with open_brokers(
            USER,
            KEY,
            APP,
            on_push=self.heard.pushes.append,
            on_connected=self.heard.connected.append,
            on_lost=lambda _, error: self.heard.lost.append(error),
            is_tls=ssl_context is not None,
            ssl_context=ssl_context,
            environment=self.environment,
        ) as brokers:
            yield brokers

    @asynccontextmanager
    async def somebody(self) -> AsyncGenerator[MqttClient]:
        async with open_mqttclient(URI, environment=self.environment) as client:
            yield client


@asynccontextmanager
async def house() -> AsyncGenerator[House]:
    environment = environment_of(MemoryNetwork())
    device = ScriptedDevice(answers={RUNTIME: {"runtime": {"signal": 70}}, TOGGLE: {}})
    async with (
        open_broker(URI, environment=environment),
        device.on_broker(URI, environment),
    ):
        yield House(environment, device)


def push(message_id: str = "1", key: str = KEY, method: Method = Method.PUSH) -> bytes:
    envelope = Envelope(
        namespace=TOGGLE,
        method=method,
        payload={"togglex": [{"channel": 0, "onoff": 1}]},
        message_id=message_id,
        sender=publish_topic(UUID),
        timestamp_s=1_700_000_000,
    )
    return encode_envelope(envelope, key)


async def test_a_device_is_asked_and_answers():
    async with house() as home, home.brokers() as brokers:
        assert not brokers.is_connected(PLACE)
        reply = await brokers.request(PLACE, UUID, Method.GET, RUNTIME)
        assert reply.payload == {"runtime": {"signal": 70}}
        assert brokers.is_connected(PLACE)
        await brokers.request(PLACE, UUID, Method.SET, TOGGLE, {"togglex": {}})
        assert home.heard.connected == [PLACE]
    request = home.device.requests[0]
    assert request.sender == app_topic(USER, APP)
    assert request.uuid == UUID


async def test_requests_at_once_get_each_its_own_answer():
    async with house() as home, home.brokers() as brokers:
        home.device.answers |= {f"Appliance.{n}": {"n": n} for n in range(50)}
        found: dict[int, object] = {}

        async def ask(number: int) -> None:
            reply = await brokers.request(
                PLACE, UUID, Method.GET, f"Appliance.{number}"
            )
            found[number] = reply.payload["n"]

        async with anyio.create_task_group() as tg:
            for number in range(50):
                tg.start_soon(ask, number)
    assert found == {n: n for n in range(50)}


async def test_what_devices_tell_is_heard_once_and_only_if_it_is_signed():
    async with house() as home, home.brokers() as brokers, home.somebody() as other:
        await brokers.ready(PLACE, timeout_s=10)
        for data in (
            push("1"),
            push("1"),
            push("2", key="f" * 32),
            b"nonsense",
            push("3", method=Method.GETACK),
            push("4", method=Method.SET),
            push("5"),
        ):
            await other.publish(user_topic(USER), data, qos=1)
        await anyio.wait_all_tasks_blocked()
    assert [one.message_id for one in home.heard.pushes] == ["1", "5"]
    assert home.heard.pushes[0].device_uuid == UUID
    counts = brokers.counts
    assert (counts.repeated, counts.unsigned, counts.malformed) == (1, 1, 2)


async def test_what_the_broker_has_kept_is_no_news():
    async with house() as home, home.somebody() as other:
        await other.publish(user_topic(USER), push(), qos=1, retain=True)
        async with home.brokers() as brokers:
            await brokers.ready(PLACE, timeout_s=10)
            await anyio.wait_all_tasks_blocked()
    assert home.heard.pushes == []


async def test_answers_of_others_late_ones_and_those_on_the_wrong_topic_do_not_count():
    async with house() as home, home.brokers() as brokers, home.somebody() as other:
        home.device.garble = lambda _: None
        answers = app_topic(USER, APP)

        async def interfere() -> None:
            await anyio.sleep(1)
            true = home.device.answer(home.device.requests[-1])
            foreign = replace(true, sender=publish_topic(OTHER_UUID))
            await other.publish(answers, encode_envelope(foreign, KEY), qos=1)
            await other.publish(answers, encode_envelope(true, "f" * 32), qos=1)
            await other.publish(user_topic(USER), encode_envelope(true, KEY), qos=1)
            await anyio.sleep(10)
            for _ in range(2):
                await other.publish(answers, encode_envelope(true, KEY), qos=1)

        async with anyio.create_task_group() as tg:
            tg.start_soon(interfere)
            with pytest.raises(ReplyTimeout, match=UUID):
                await brokers.request(PLACE, UUID, Method.GET, RUNTIME, timeout_s=5)
        await anyio.wait_all_tasks_blocked()
        counts = brokers.counts
        assert (counts.foreign, counts.unsigned, counts.late) == (1, 1, 2)
        home.device.garble = None
        await brokers.request(PLACE, UUID, Method.GET, RUNTIME)
    assert home.heard.pushes == []


async def test_errors_and_a_wrong_key_are_told_as_such():
    async with house() as home, home.brokers() as brokers:
        with pytest.raises(MerossRefused, match=f"^{UUID}.*5000"):
            await brokers.request(PLACE, UUID, Method.GET, "Appliance.Unknown")
        home.device.key = "f" * 32
        with pytest.raises(WrongKey):
            await brokers.request(PLACE, UUID, Method.GET, RUNTIME)


async def test_a_clock_that_differs_is_noticed_for_the_next_request():
    async with house() as home, home.brokers() as brokers:
        home.device.clock_s = 3_600
        with pytest.raises(ClockWasWrong, match="clock"):
            await brokers.request(PLACE, UUID, Method.GET, RUNTIME)
        await brokers.request(PLACE, UUID, Method.GET, RUNTIME)


async def test_a_lost_broker_fails_who_waits_and_is_found_again():
    environment = environment_of(MemoryNetwork())
    home = House(environment, ScriptedDevice(answers={RUNTIME: {}}))
    failed: list[StructiotError] = []

    async def ask(brokers: Brokers) -> None:
        try:
            await brokers.request(PLACE, UUID, Method.GET, RUNTIME, timeout_s=100)
        except LinkLost as exc:
            failed.append(exc)

    async with home.brokers() as brokers, anyio.create_task_group() as tg:
        async with open_broker(URI, environment=environment):
            await brokers.ready(PLACE, timeout_s=10)
            tg.start_soon(ask, brokers)
            await anyio.wait_all_tasks_blocked()
        await anyio.sleep(1)
        assert len(failed) == 1
        assert len(home.heard.lost) == 1
        with pytest.raises(ConnectFailed, match="within 3 s"):
            await brokers.request(PLACE, UUID, Method.GET, RUNTIME, timeout_s=3)
        await anyio.sleep(3_600)
        async with (
            open_broker(URI, environment=environment),
            home.device.on_broker(URI, environment),
        ):
            await brokers.request(PLACE, UUID, Method.GET, RUNTIME, timeout_s=100)
            assert home.heard.connected == [PLACE, PLACE]
            async with home.somebody() as other:
                await other.publish(user_topic(USER), push(), qos=1)
                await anyio.wait_all_tasks_blocked()
            assert len(home.heard.pushes) == 1
            assert len(home.heard.lost) == 1


class Counted(Passwords):
    """Counts the logins that were tried."""

    tries = 0

    def check(self, name: str, password: bytes) -> bool:
        self.tries += 1
        return super().check(name, password)


async def test_a_refused_login_is_parked_until_somebody_wants_it_tried_again():
    environment = environment_of(MemoryNetwork())
    home = House(environment, ScriptedDevice())
    wrong = Counted({USER: hash_password("another")})
    right = Counted({USER: hash_password(app_password(USER, KEY))})
    async with home.brokers() as brokers:
        async with open_broker(URI, passwords=wrong, environment=environment):
            for _ in range(3):
                with pytest.raises(AuthRefused) as caught:
                    await brokers.request(PLACE, UUID, Method.GET, RUNTIME)
                assert caught.value.account == USER
                await anyio.sleep(3_600)
        async with open_broker(URI, passwords=right, environment=environment):
            await anyio.sleep(3_600)
            assert (wrong.tries, right.tries) == (1, 0)
            assert len(home.heard.lost) == 1
            brokers.unpark()
            await brokers.ready(PLACE, timeout_s=10)
            assert home.heard.connected == [PLACE]


@pytest.mark.parametrize("is_trusted", [True, False])
async def test_brokers_are_trusted_by_their_certificates_only(is_trusted):
    authority = trustme.CA()
    own = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(PLACE.host).configure_cert(own)
    trusted = ssl.create_default_context()
    if is_trusted:
        authority.configure_trust(trusted)
    environment = environment_of(MemoryNetwork())
    home = House(environment, ScriptedDevice())
    uri = f"mqtts://{PLACE.host}:{PLACE.port}"
    async with (
        open_broker(uri, ssl_context=own, environment=environment),
        home.brokers(trusted) as brokers,
    ):
        if is_trusted:
            await brokers.ready(PLACE, timeout_s=10)
            return
        for _ in range(2):
            with pytest.raises(CertificateRefused):
                await brokers.ready(PLACE, timeout_s=10)
            await anyio.sleep(3_600)
        assert len(home.heard.lost) == 1


async def test_each_broker_has_a_connection_of_its_own_unless_one_is_for_all():
    environment = environment_of(MemoryNetwork())
    home = House(environment, ScriptedDevice())
    other_place = BrokerPlace("127.0.0.1", 1884)
    async with (
        open_broker(URI, environment=environment),
        open_broker("mqtt://127.0.0.1:1884", environment=environment),
        home.brokers() as brokers,
    ):
        brokers.connect(PLACE)
        brokers.connect(other_place)
        brokers.connect(PLACE)
        await brokers.ready(PLACE, timeout_s=10)
        await brokers.ready(other_place, timeout_s=10)
        assert sorted(home.heard.connected) == [PLACE, other_place]
        async with open_brokers(
            USER,
            KEY,
            "1" * 32,
            on_push=home.heard.pushes.append,
            on_connected=home.heard.connected.append,
            on_lost=lambda *_: None,
            override=(PLACE.host, PLACE.port),
            is_tls=False,
            environment=environment,
        ) as overridden:
            await overridden.ready(BrokerPlace("mqtt-eu.meross.com", 443), timeout_s=1)
            assert home.heard.connected[-1] == PLACE


async def test_one_account_has_only_so_many_brokers():
    home = House(environment_of(MemoryNetwork()), ScriptedDevice())
    async with home.brokers() as brokers:
        for number in range(32):
            brokers.connect(BrokerPlace("127.0.0.1", 2000 + number))
        brokers.connect(PLACE)
        with pytest.raises(ConnectFailed, match="more than 32 brokers"):
            await brokers.ready(PLACE, timeout_s=1)


async def test_an_answer_is_no_request():
    async with house() as home, home.brokers() as brokers:
        with pytest.raises(UsageError):
            await brokers.request(PLACE, UUID, Method.SETACK, RUNTIME)


async def test_nothing_is_left_wherever_a_request_is_cancelled():
    async with house() as home:

        async def flow() -> None:
            async with home.brokers() as brokers:
                await brokers.request(PLACE, UUID, Method.GET, RUNTIME)

        assert await cancel_sweep(flow, steps_of="all") > 20


async def test_no_secret_is_in_any_log_or_repr(caplog):
    caplog.set_level("DEBUG")
    async with house() as home, home.brokers() as brokers:
        await brokers.request(PLACE, UUID, Method.GET, RUNTIME)
        shown = f"{caplog.text} {brokers!r} {vars(brokers)}"
    for secret in (KEY, app_password(USER, KEY)):
        assert secret not in shown
