"""Events: each at least once, those of a device in order, and kept while offline."""

from __future__ import annotations

from itertools import groupby

import anyio
import pytest

from structiot import LinkLost, UsageError
from structiot.connector import (
    Device,
    PlatformRefused,
    PlatformResponse,
    Waiting,
    open_connector,
)
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from tests.link.connector.gateways import (
    TYPE,
    gateway,
    handlers,
    lamp,
    lamps,
    new_environment,
    until,
    until_state,
)

pytestmark = pytest.mark.virtual_time


def data_of(platform: SeplPlatformSim) -> list[str | None]:
    return [one.data for one in platform.events]


async def test_an_event_is_answered_by_the_platforms_response():
    async with gateway() as (platform, connector):
        response = await connector.event("lamp-1", "state", "1", "of today")
        assert response == PlatformResponse(200, "string", "ok")
        (event,) = platform.events
        assert (event.device_uri, event.service_uri) == ("lamp-1", "state")
        assert event.parts == {"metadata": "of today", "data": "1"}


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ("text", "text"),
        ("", ""),
        ({"on": True, "name": "Größe"}, '{"on":true,"name":"Größe"}'),
        ([1, 2.5, None], "[1,2.5,null]"),
        (7, "7"),
        (True, "true"),
        (None, ""),
    ],
)
async def test_what_is_no_text_is_sent_as_json(data: object, text: str):
    async with gateway() as (platform, connector):
        await connector.event(lamp(1), "state", data, metadata=data)
        (event,) = platform.events
        assert event.parts == {"metadata": text, "data": text}


async def test_what_cannot_be_sent_is_refused_at_once():
    async with gateway() as (platform, connector):
        for data in (b"bytes", float("nan"), {1, 2}, object()):
            with pytest.raises(UsageError, match="cannot be written as JSON"):
                await connector.event("lamp-1", "state", data)
        with pytest.raises(UsageError, match="device is Device or str"):
            await connector.event(7, "state", "1")  # type: ignore[arg-type]
        with pytest.raises(UsageError, match="service is str"):
            await connector.event("lamp-1", 7, "1")  # type: ignore[arg-type]
        with pytest.raises(PlatformRefused, match=r"not sent: .* 1048576 at most"):
            await connector.event("lamp-1", "state", "x" * 1_100_000)
        assert handlers(platform)[4:] == []
        assert connector.events_waiting == 0


async def test_an_event_that_the_platform_refuses():
    async with gateway(sim={"device_types": {TYPE: ["state"]}}) as (
        _,
        connector,
    ):
        with pytest.raises(PlatformRefused) as refused:
            await connector.event("lamp-1", "no such service", "1")
        assert (refused.value.status, refused.value.was_sent) == (400, True)
        assert str(refused.value) == (
            "event no such service of device lamp-1: the platform refuses with status "
            f"400: {refused.value.text}"
        )
        with pytest.raises(PlatformRefused) as refused:
            await connector.event("nobody", "state", "1")
        assert (refused.value.status, refused.value.was_sent) == (400, False)
        assert str(refused.value) == (
            "event state of device nobody: not sent: the gateway does not offer this "
            "device"
        )
        assert await connector.event("lamp-1", "state", "1")
        assert connector.events_waiting == 0


async def test_many_that_are_refused_cost_nothing_else():
    async with gateway(sim={"device_types": {TYPE: ["state"]}}) as (
        platform,
        connector,
    ):
        for _ in range(20):
            with pytest.raises(PlatformRefused):
                await connector.event("lamp-1", "no such service", "1")
        assert await connector.event("lamp-1", "state", "1")
        # Six in a row would have had the platform hang up.
        assert len(platform.log) == 1


async def test_many_that_are_refused_at_once_cost_nothing_else():
    async with gateway(16, sim={"device_types": {TYPE: ["state"]}}) as (
        platform,
        connector,
    ):
        refused = []

        async def tell(number: int) -> None:
            for _ in range(4):
                with pytest.raises(PlatformRefused):
                    await connector.event(lamp(number), "no such service", "1")
                refused.append(number)

        async with anyio.create_task_group() as tg:
            for number in range(1, 17):
                tg.start_soon(tell, number)
        assert len(refused) == 64
        assert await connector.event("lamp-1", "state", "1")
        assert len(platform.log) == 1


async def test_events_are_kept_while_there_is_no_connection():
    async with gateway(2) as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        for number in range(10):
            assert await connector.event(lamp(1), "state", number) is None
            assert await connector.event(lamp(2), "state", number) is None
        assert connector.events_waiting == 20
        await platform.plug_in()
        await until(lambda: not connector.events_waiting)
        for one in ("lamp-1", "lamp-2"):
            found = [e.data for e in platform.events if e.device_uri == one]
            assert found == [str(number) for number in range(10)]
        assert connector.events_dropped == connector.events_repeated == 0


async def test_events_before_the_first_connection_wait_for_it():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        # Which is under way, and waited for.
        assert await connector.event("lamp-1", "state", "early") is not None
        assert data_of(platform) == ["early"]


async def test_events_are_kept_if_the_first_attempt_comes_to_nothing():
    environment = new_environment()
    async with (
        sim_sepl_platform(environment=environment) as platform,
        open_connector(platform.config, lamps(1), environment=environment) as connector,
    ):
        await platform.unplug()
        assert await connector.event("lamp-1", "state", "early") is None
        assert await connector.add(lamp(2)) is False
        await platform.plug_in()
        await connector.wait_ready()
        assert await connector.event("lamp-1", "state", "later") is not None
        assert data_of(platform) == ["early", "later"]
        assert platform.device("lamp-2").is_online


async def test_of_more_than_so_many_the_oldest_are_dropped_counted_and_logged(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway(2, outbox_items=10) as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        for number in range(25):
            await connector.event(f"lamp-{1 + number % 2}", "state", number)
        assert connector.events_waiting == 10
        assert connector.events_dropped == 15
        assert caplog.text.count("events wait for the platform") == 1
        await platform.plug_in()
        await until(lambda: not connector.events_waiting)
        assert sorted(int(data or "") for data in data_of(platform)) == list(
            range(15, 25)
        )


async def test_by_default_a_thousand_are_kept():
    async with gateway() as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        for number in range(1100):
            await connector.event("lamp-1", "state", number)
        assert connector.events_dropped == 100
        await platform.plug_in()
        await until(lambda: not connector.events_waiting)
        assert data_of(platform) == [str(number) for number in range(100, 1100)]


@pytest.mark.parametrize(
    ("text", "kept"), [("x" * 1_000_000, 16), ("\N{SNOWMAN}" * 150_000, 55)]
)
async def test_kept_events_are_bounded_by_their_bytes(text: str, kept: int):
    """A snowman takes two bytes of memory."""
    async with gateway() as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        for number in range(60):
            await connector.event("lamp-1", str(number), text)
        assert connector.events_waiting == kept
        assert connector.events_dropped == 60 - kept
        await platform.plug_in()
        await until(lambda: not connector.events_waiting)
        assert next(one.service_uri for one in platform.events) == str(60 - kept)


async def test_without_an_outbox_none_is_kept():
    async with gateway(outbox_items=0) as (platform, connector):
        assert await connector.event("lamp-1", "state", "1")
        platform.faults.hang_up_next(on="event")
        with pytest.raises(LinkLost, match="has not reached the platform"):
            await connector.event("lamp-1", "state", "2")
        with pytest.raises(LinkLost, match="has not reached the platform"):
            await connector.event("lamp-1", "state", "3")
        assert connector.events_waiting == connector.events_dropped == 0
        await connector.wait_ready()
        assert await connector.event("lamp-1", "state", "4")
        assert data_of(platform) == ["1", "4"]


async def test_without_an_outbox_one_that_nobody_waits_for_is_lost_with_its_connection():
    async with gateway(outbox_items=0) as (platform, connector):
        platform.faults.drop_next(on="event")
        with anyio.move_on_after(1):
            await connector.event("lamp-1", "state", "1")
        assert connector.events_waiting == 1
        await platform.drop()
        await until_state(connector, Waiting)
        assert connector.events_waiting == 0
        await connector.wait_ready()
        assert await connector.event("lamp-1", "state", "2")
        assert data_of(platform) == ["2"]


async def test_an_event_whose_answer_is_lost_is_repeated_and_counted():
    async with gateway() as (platform, connector):
        platform.faults.cut_next(on="event")
        assert await connector.event("lamp-1", "state", "1") is None
        await until(lambda: not connector.events_waiting)
        assert [one.repeats for one in platform.events] == [0, 1]
        assert connector.events_repeated == 1


async def test_what_comes_while_older_ones_are_sent_stands_behind_them():
    async with gateway() as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        for number in range(100):
            await connector.event("lamp-1", "state", number)
        await platform.plug_in()
        await connector.wait_ready()
        assert await connector.event("lamp-1", "state", "last")
        assert data_of(platform) == [*map(str, range(100)), "last"]


async def test_a_kept_event_that_is_refused_is_logged_and_holds_up_nothing(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway(sim={"device_types": {TYPE: ["state"]}}) as (
        platform,
        connector,
    ):
        await platform.unplug()
        await until_state(connector, Waiting)
        await connector.event("lamp-1", "no such service", "1")
        await connector.event("lamp-1", "state", "2")
        await platform.plug_in()
        await until(lambda: not connector.events_waiting)
        assert data_of(platform) == ["2"]
        said = (
            "is refused: event no such service of device lamp-1: the platform refuses"
        )
        assert said in caplog.text


async def test_an_event_whose_caller_is_cancelled_is_sent_all_the_same():
    async with gateway() as (platform, connector):
        platform.busy_s = 20
        async with anyio.create_task_group() as tg:
            tg.start_soon(connector.add, lamp(2))
            await anyio.sleep(1)
            with anyio.move_on_after(1) as scope:
                await connector.event("lamp-1", "state", "1")
            assert scope.cancelled_caught
            assert connector.events_waiting == 1
        await until(lambda: not connector.events_waiting)
        assert data_of(platform) == ["1"]


async def test_what_waits_when_the_block_is_left_has_two_seconds_to_go():
    async with gateway(3) as (platform, connector):
        with anyio.CancelScope() as scope:
            scope.cancel()
            await connector.event("lamp-1", "state", "not this one")
        for number in range(1, 4):
            with anyio.move_on_after(0.0):
                await connector.event(f"lamp-{number}", "state", "last")
    assert [one.data for one in platform.events] == ["last"] * len(platform.events)


async def test_what_could_not_be_sent_before_the_end_is_said(
    caplog: pytest.LogCaptureFixture,
):
    async with gateway() as (platform, connector):
        await platform.unplug()
        await until_state(connector, Waiting)
        await connector.event("lamp-1", "state", "1")
    assert "1 event could not be sent before the end" in caplog.text
    with pytest.raises(UsageError, match="has ended"):
        await connector.event("lamp-1", "state", "2")


async def test_events_of_many_devices_are_under_way_at_once():
    async with gateway(20) as (platform, connector):
        platform.faults.delay_s = 1.0
        began = anyio.current_time()
        for data in range(2):
            # Those of one device follow each other: at once, both of the last one may be
            # left to the end.
            async with anyio.create_task_group() as tg:
                for number in range(1, 21):
                    tg.start_soon(connector.event, f"lamp-{number}", "state", str(data))
        # Four at a time: the platform hangs up where it refuses more than five in a row.
        assert 10 <= anyio.current_time() - began < 11
        for number in range(1, 21):
            mine = [e for e in platform.events if e.device_uri == f"lamp-{number}"]
            assert len(mine) == 2


@pytest.mark.timeout(120)
@pytest.mark.parametrize(
    ("each", "restarts"),
    [(100, 5), pytest.param(1000, 50, marks=pytest.mark.thorough)],
)
async def test_events_while_the_platform_is_restarted_again_and_again(each, restarts):
    """Each at least once, those of a device in order, repetitions counted."""
    devices = 10
    async with gateway(devices) as (platform, connector):

        async def report(device: Device) -> None:
            for number in range(each):
                await connector.event(device, "state", number)
                await anyio.sleep(0.5)

        async def restart() -> None:
            for number in range(restarts):
                await anyio.sleep(each * 0.5 / restarts - 2)
                # In the middle of an answer, before it, and between two of them.
                if number % 3:
                    [platform.faults.cut_next, platform.faults.hang_up_next][
                        number % 3 - 1
                    ](on="event")
                    await anyio.sleep(0.6)
                await platform.reboot(1)

        async with anyio.create_task_group() as tg:
            for number in range(1, devices + 1):
                tg.start_soon(report, lamp(number))
            tg.start_soon(restart)
        await until(lambda: not connector.events_waiting)
        assert sum(one.what == "connected" for one in platform.log) > restarts
        assert connector.events_dropped == 0
        repeated = 0
        for number in range(1, devices + 1):
            mine = [e.data for e in platform.events if e.device_uri == f"lamp-{number}"]
            once = [data for data, _ in groupby(mine)]
            assert once == [str(number) for number in range(each)]
            repeated += len(mine) - len(once)
        assert 0 < repeated <= connector.events_repeated
