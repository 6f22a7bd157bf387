"""Platforms that refuse, lie, fall silent, or are none."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest
from anyio.abc import ByteStream

from structiot import (
    AuthRefused,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
)
from structiot.connector import (
    Connecting,
    Ended,
    PlatformRefused,
    Waiting,
    open_connector,
)
from structiot.sim import SEPL_FRAMES, SEPL_LIES, sim_sepl_platform
from structiot.sim.shared.fault_names import show_fault
from tests._support.pairs import pairs
from tests.link.connector.gateways import (
    gateway,
    handlers,
    lamp,
    lamps,
    new_environment,
    until,
    until_state,
)

pytestmark = pytest.mark.virtual_time


async def test_refused_credentials_are_told_from_an_absent_platform_and_are_final(
    caplog: pytest.LogCaptureFixture,
):
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        wrong = {**platform.config, "password": "not the secret"}
        with pytest.raises(AuthRefused, match="hung up when it was told user") as seen:
            async with open_connector(
                wrong, lamps(1), environment=environment
            ) as connector:
                waiting = await until_state(connector, Waiting)
                assert isinstance(waiting.reason, AuthRefused)
                await anyio.sleep_forever()
        assert seen.value.account == "testuser"
        assert handlers(platform) == ["handshake"] * 3
        assert isinstance(connector.state, Ended)
        assert isinstance(connector.state.reason, AuthRefused)
        assert "not the secret" not in caplog.text + str(seen.value)


async def test_who_waits_for_a_connection_hears_of_refused_credentials():
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        wrong = {**platform.config, "user": "nobody"}
        with pytest.raises(AuthRefused):
            async with open_connector(
                wrong, lamps(1), wait_ready=True, environment=environment
            ):
                pytest.fail("there is no connection")


async def test_an_absent_platform_is_looked_for_for_ever():
    environment = new_environment()
    config = {"host": "127.0.0.1", "port": 8093, "user": "u", "password": "p"}
    async with open_connector(config, lamps(1), environment=environment) as connector:
        waiting = await until_state(connector, Waiting)
        for _ in range(20):
            await until_state(connector, Connecting)
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, ConnectFailed)
            assert waiting.reason.port == 8093
        assert waiting.retry_at <= anyio.current_time() + 300


async def test_a_platform_that_goes_down_refuses_nobody():
    """Where the credentials were good before, a connection that breaks says nothing."""
    async with gateway() as (platform, connector):
        platform.faults.hang_up_next(10, on="handshake")
        await platform.drop()
        for _ in range(10):
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, LinkLost)
            await until_state(connector, Connecting)
        await connector.wait_ready()


async def test_two_silent_refusals_are_not_final():
    async with gateway() as (platform, connector):
        for _ in range(3):
            platform.faults.refuse_next(2, on="handshake")
            await platform.drop()
            await until_state(connector, Waiting)
            await connector.wait_ready()
        assert handlers(platform).count("handshake") == 10


async def test_credentials_that_are_refused_later_on_are_final_as_well():
    with pytest.raises(AuthRefused):
        async with gateway() as (platform, _):
            platform.users["testuser"] = "another"
            await platform.drop()
            await anyio.sleep_forever()


@pytest.mark.parametrize("lie", ["status_400", "status_500", "status_404"])
async def test_a_refusal_in_words_is_passed_on(lie: str):
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.lie_next(lie, on="handshake")
        async with open_connector(
            platform.config, lamps(1), environment=environment
        ) as connector:
            waiting = await until_state(connector, Waiting)
            assert f"status {lie[-3:]}" in str(waiting.reason)
            await connector.wait_ready()


async def test_what_is_no_platform_is_said():
    environment = new_environment()

    async def serve(stream: ByteStream) -> None:
        await stream.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")

    config = {"host": "127.0.0.1", "port": 22, "user": "u", "password": "p"}
    async with (
        environment.network.listen_tcp("127.0.0.1", 22) as listener,
        anyio.create_task_group() as tg,
    ):
        tg.start_soon(listener.serve, serve)
        async with open_connector(
            config, lamps(1), environment=environment
        ) as connector:
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, ConnectFailed)
            assert "does not speak websocket" in str(waiting.reason)
        tg.cancel_scope.cancel()


async def test_a_server_that_accepts_and_says_nothing_is_given_up():
    environment = new_environment()
    config = {"host": "127.0.0.1", "port": 8093, "user": "u", "password": "p"}
    async with (
        environment.network.listen_tcp("127.0.0.1", 8093),
        open_connector(config, lamps(1), environment=environment) as connector,
    ):
        began = anyio.current_time()
        waiting = await until_state(connector, Waiting)
        assert isinstance(waiting.reason, ConnectFailed)
        assert anyio.current_time() - began == 15


async def test_a_platform_that_accepts_and_says_nothing_is_given_up():
    async with gateway() as (platform, connector):
        platform.faults.is_silent = True
        await platform.drop()
        await until_state(connector, Waiting)
        waiting = await until_state(connector, Connecting)
        waiting = await until_state(connector, Waiting)
        assert isinstance(waiting.reason, ReplyTimeout | ConnectFailed)
        platform.faults.is_silent = False
        with anyio.fail_after(60):
            await connector.wait_ready()


@pytest.mark.parametrize(
    ("handler", "limit_s"),
    [("event", 10), ("put", 45), ("commit", 45), ("disconnect", 45), ("delete", 45)],
)
async def test_what_is_not_answered_ends_the_connection(handler: str, limit_s: float):
    async with gateway(2) as (platform, connector):
        platform.faults.drop_next(on=handler)
        began = anyio.current_time()
        if handler == "event":
            assert await connector.event("lamp-1", "state", "1") is None
        elif handler in {"disconnect", "delete"}:
            assert await getattr(connector, handler)("lamp-1") is False
        else:
            assert await connector.update(connector.devices["lamp-1"]) is False
        assert anyio.current_time() - began == limit_s
        waiting = await until_state(connector, Waiting)
        assert isinstance(waiting.reason, ReplyTimeout)
        assert waiting.reason.request == handler
        await connector.wait_ready()
        await until(lambda: not connector.events_waiting)


async def test_who_waits_is_told_at_once_that_the_connection_is_lost():
    async with gateway(2) as (platform, connector):
        platform.faults.drop_next(10)
        results: list[object] = []

        async def ask(call: object) -> None:
            results.append(await call)  # type: ignore[misc]

        async with anyio.create_task_group() as tg:
            tg.start_soon(ask, connector.event("lamp-1", "state", "1"))
            tg.start_soon(ask, connector.update(connector.devices["lamp-2"]))
            await anyio.sleep(1)
            await platform.drop()
            began = anyio.current_time()
        assert sorted(map(str, results)) == ["False", "None"]
        assert anyio.current_time() - began < 0.1


async def test_a_platform_that_vanishes_is_noticed():
    """Silence, a ping, and no pong: within 30 s, with nothing asked."""
    async with gateway() as (platform, connector):
        tasks = anyio.create_task_group()
        async with tasks:
            tasks.start_soon(platform.freeze, 3600)
            began = anyio.current_time()
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, LinkLost)
            assert "silent" in waiting.reason.reason
            assert anyio.current_time() - began <= 31
            tasks.cancel_scope.cancel()


async def test_a_connection_of_which_nothing_is_asked_lives_on():
    async with gateway() as (platform, connector):
        await anyio.sleep(6 * 3600)
        assert connector.is_ready
        assert len(platform.log) == 1


# What these do is no error: the message is understood.
HARMLESS_LIES = {
    "content_type_missing", "content_type_number", "content_type_other",
    "payload_missing", "payload_null", "payload_number", "payload_list",
    "payload_text", "payload_odd", "payload_long",
}  # fmt: skip


@pytest.mark.parametrize("lie", SEPL_LIES)
async def test_an_answer_that_is_none_costs_a_repetition_at_most(
    lie: str, caplog: pytest.LogCaptureFixture
):
    async with gateway() as (platform, connector):
        platform.faults.lie_next(lie, on="event")
        response = None
        with suppress(PlatformRefused):
            response = await connector.event("lamp-1", "state", "1")
        if lie in HARMLESS_LIES:
            assert response is not None
        await until(lambda: not connector.events_waiting)
        assert {one.data for one in platform.events} == {"1"}
        assert await connector.event("lamp-1", "state", "2")
        assert "\x1b" not in caplog.text


@pairs("lie, step", SEPL_LIES, ["handshake", "clear", "put", "commit"])
async def test_a_lie_in_synchronising_costs_another_attempt_at_most(
    lie: str, step: str
):
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.lie_next(lie, on=step)
        async with open_connector(
            platform.config, lamps(1), environment=environment
        ) as connector:
            with anyio.fail_after(120):
                await connector.wait_ready()
                await until(lambda: not connector.refused)
            assert platform.device("lamp-1").is_online


@pytest.mark.parametrize("odd", SEPL_FRAMES)
async def test_odd_frames_cost_the_connection_at_most(odd: str):
    async with gateway() as (platform, connector):
        platform.faults.frame_next(odd, on="event")
        await connector.event("lamp-1", "state", "1")
        await until(lambda: not connector.events_waiting)
        with anyio.fail_after(60):
            await connector.wait_ready()
        assert await connector.event("lamp-1", "state", "2")


@pytest.mark.parametrize("odd", SEPL_FRAMES)
async def test_odd_frames_instead_of_a_welcome_cost_an_attempt_at_most(odd: str):
    environment = new_environment()
    async with sim_sepl_platform(environment=environment) as platform:
        platform.faults.frame_next(odd, on="handshake")
        async with open_connector(
            platform.config, lamps(1), environment=environment
        ) as connector:
            with anyio.fail_after(60):
                await connector.wait_ready()


async def test_a_frame_of_a_gigabyte_ends_the_connection():
    async with gateway() as (platform, connector):
        platform.faults.frame_next("long_frame", on="event")
        assert await connector.event("lamp-1", "state", "1") is None
        waiting = await until_state(connector, Waiting)
        assert isinstance(waiting.reason, ProtocolViolation)
        assert "1048576 bytes" in str(waiting.reason)
        await connector.wait_ready()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\x82\x03abc", "binary frame"),
        ("ERROR: unable to create response", "no JSON"),
        ("[]", "a list instead of an object"),
        ('{"handler": "shout", "token": ""}', "of the handler 'shout'"),
        ('{"handler": "response", "token": "x", "status": 200}', "not asked, or twice"),
        ('{"handler": "command", "payload": {"device_url": 7}}', "without a device"),
        ('{"handler": "command", "payload": null}', "a command that is no object"),
        ('{"status": 200}', "without a handler"),
        ('{"handler": "response", "token": "", "payload": 1e999}', "not asked, or"),
    ],
)
async def test_what_comes_out_of_the_blue_is_passed_over_and_said_once(
    content: str | bytes, said: str, caplog: pytest.LogCaptureFixture
):
    async with gateway() as (platform, connector):
        for _ in range(100):
            await platform.say(content)
        assert await connector.event("lamp-1", "state", "1")
        assert caplog.text.count(said) == 1
        assert connector.commands_dropped == 0
        assert len(platform.log) == 1


async def test_an_answer_that_comes_twice_counts_once(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector):
        platform.faults.duplicate_next(3)
        assert await connector.event("lamp-1", "state", "1")
        assert await connector.update(connector.devices["lamp-1"])
        assert connector.is_ready
        assert "not asked, or twice" in caplog.text


async def test_answers_that_overtake_one_another_find_who_asked():
    async with gateway(3) as (platform, connector):
        platform.faults.delay_next(5, on="lamp-1")
        answered: list[int] = []

        async def report(number: int) -> None:
            assert await connector.event(lamp(number), "state", "1")
            answered.append(number)

        async with anyio.create_task_group() as tg:
            for number in (1, 2, 3):
                tg.start_soon(report, number)
                await anyio.sleep(0.1)
        assert answered == [2, 3, 1]


@pytest.mark.parametrize(
    "fault",
    [
        "freeze=20", "freeze=90", "reboot=5", "drop", "busy=25", "forget_hash",
        "forget_gateways", "garble*3", "cut*2", "trickle*2",
    ],
)  # fmt: skip
async def test_it_heals_from_whatever_befalls_the_platform(fault: str):
    async with gateway(2) as (platform, connector):
        async with anyio.create_task_group() as tg:
            tg.start_soon(show_fault, platform, fault)
            for number in range(30):
                with anyio.move_on_after(60):
                    await connector.event("lamp-1", "state", number)
                await connector.update(connector.devices["lamp-2"])
                await anyio.sleep(2)
        platform.faults.clear()
        await until(lambda: not connector.events_waiting)
        with anyio.fail_after(400):
            await connector.wait_ready()
        assert {one.data for one in platform.events} == set(map(str, range(30)))


async def test_a_flood_of_commands_and_nonsense_holds_nobody_up(watched_loop):
    big = '{"handler": "command", "token": "", "payload": {"device_url": "lamp-1", '
    big += '"service_url": "on", "protocol_parts": [{"name": "data", "value": "%s"}]}}'
    deep = '{"handler": "command", "payload": ' + "[" * 30_000 + "]" * 30_000 + "}"
    wide = '{"handler": "command", "payload": [' + "{}," * 60_000 + "1]}"
    async with gateway() as (platform, connector), watched_loop(0.05):
        for _ in range(5):
            await platform.say(big % ("x" * 900_000))
            await platform.say(deep)
            await platform.say(wide)
        for _ in range(500):
            await platform.say(big % "1")
        assert await connector.event("lamp-1", "state", "1")
        assert connector.is_ready
