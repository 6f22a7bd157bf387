"""Commands of the simulated SEPL platform, and what it notes of all that comes."""

from __future__ import annotations

import ssl
from typing import Any

import anyio
import pytest
import trustme

from structiot.errors import ConnectFailed, LinkLost, UsageError
from structiot.sim import (
    SeplEvent,
    SeplLogEntry,
    SeplMessage,
    SeplResponse,
    sim_sepl_platform,
)
from structiot.testing import cancel_sweep
from tests.sim.connector.raw_gateway import LAMP, RawGateway, connected, gateway

pytestmark = pytest.mark.virtual_time

PARTS = {"metadata": "", "data": '{"on": true}'}
OK = (200, "ok")


async def respond(raw: RawGateway, data: str, times: int = 1) -> dict[str, Any]:
    """Answer the next command, and give its payload."""
    payload = await raw.command()
    parts = [{"name": "metadata", "value": "m"}, {"name": "data", "value": data}]
    for _ in range(times):
        assert await raw.ask("response", {**payload, "protocol_parts": parts}) == OK
    return payload


async def test_a_command_is_sent_and_its_response_awaited(platform):
    async with gateway(platform, has_lamp=True) as raw, anyio.create_task_group() as tg:
        heard: list[dict[str, Any]] = []

        async def answer() -> None:
            heard.append(await respond(raw, "done"))

        tg.start_soon(answer)
        response = await platform.send_command("dev1", "on", PARTS)
        assert (response.data, response.metadata) == ("done", "m")
        assert (response.device_uri, response.service_uri) == ("dev1", "on")
        assert response.user == "testuser"
        assert response.is_awaited
    (payload,) = heard
    assert payload["protocol_parts"] == [
        {"name": "metadata", "value": ""},
        {"name": "data", "value": '{"on": true}'},
    ]
    assert set(payload) == {
        "device_url", "service_url", "protocol_parts", "worker_id", "task_id",
        "device_instance_id", "service_name", "output_name", "time",
    }  # fmt: skip
    assert payload["device_instance_id"] == platform.device("dev1").id
    assert response.payload["worker_id"] == payload["worker_id"]


async def test_a_service_without_input_gets_null_and_other_members_are_sent(platform):
    async with gateway(platform, has_lamp=True) as raw, anyio.create_task_group() as tg:
        members = {"service": {"id": 1.5}, "service_name": None}

        async def send() -> None:
            await platform.send_command("dev1", "state", members=members)

        tg.start_soon(send)
        payload = await respond(raw, "on")
        assert payload["protocol_parts"] is None
        assert payload["service"] == {"id": 1.5}
        assert payload["service_name"] is None


async def test_a_device_that_nobody_listens_to_gets_no_command(platform):
    with pytest.raises(UsageError, match="nobody listens to the device 'dev1'"):
        await platform.send_command("dev1", "on")
    async with gateway(platform, has_lamp=True):
        with pytest.raises(UsageError):
            await platform.send_command("dev1", "on", user="somebody else")


async def test_everybody_who_listens_gets_a_command_and_the_first_response_counts(
    platform,
):
    async with gateway(platform, has_lamp=True) as one:
        assert await one.ask("commit", "hash") == OK
        async with gateway(platform, one.gid) as two, anyio.create_task_group() as tg:

            async def answer_late() -> None:
                await anyio.sleep(1)
                await respond(one, "late")

            tg.start_soon(answer_late)
            tg.start_soon(respond, two, "early", 2)
            response = await platform.send_command("dev1", "on", PARTS)
            assert response.data == "early"
    assert [(one.data, one.is_awaited) for one in platform.responses] == [
        ("early", True),
        ("early", False),
        ("late", False),
    ]


async def test_a_response_may_come_by_a_later_connection(platform):
    async with gateway(platform, has_lamp=True) as raw, anyio.create_task_group() as tg:
        assert await raw.ask("commit", "hash") == OK
        data: list[str | None] = []

        async def send() -> None:
            data.append((await platform.send_command("dev1", "on", PARTS)).data)

        tg.start_soon(send)
        payload = await raw.command()
        await platform.drop()
        async with gateway(platform, raw.gid) as again:
            assert await again.ask("response", payload) == OK
    assert data == ['{"on": true}']


async def test_who_waits_for_a_response_is_woken_when_the_simulator_ends(environment):
    failed: list[Exception] = []
    async with anyio.create_task_group() as tg:
        async with sim_sepl_platform(environment=environment) as platform:
            async with gateway(platform, has_lamp=True):

                async def send() -> None:
                    try:
                        await platform.send_command("dev1", "on")
                    except LinkLost as exc:
                        failed.append(exc)

                tg.start_soon(send)
                await anyio.sleep(1)
    assert len(failed) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"protocol_parts": "none"},
        {"protocol_parts": [{"name": "data", "value": 200}]},
        {"protocol_parts": [{"value": "200"}]},
        {"task_id": 7},
        {"time": 1500554317},
    ],
)
async def test_a_response_that_cannot_be_read_is_refused(platform, changes):
    async with gateway(platform, has_lamp=True) as raw:
        payload = {"device_url": "dev1", "task_id": "", "protocol_parts": []}
        assert await raw.ask("response", payload) == OK
        assert (await raw.ask("response", {**payload, **changes}))[0] == 400
        assert (await raw.ask("response", "done"))[0] == 400
    assert len(platform.responses) == 1


# ------------------------------------------------------------ what is noted


async def test_events_are_kept_in_order_and_repetitions_counted(platform):
    async with gateway(platform, has_lamp=True) as raw:
        for data in ("1", "2", "1", "1"):
            assert await raw.event(data) == OK
        assert await raw.event("1", service="other") == OK
    assert [(one.number, one.data, one.repeats) for one in platform.events] == [
        (1, "1", 0),
        (2, "2", 0),
        (3, "1", 1),
        (4, "1", 2),
        (5, "1", 0),
    ]
    event = platform.events[0]
    assert event.metadata == "meta"
    assert (event.device_uri, event.service_uri) == ("dev1", "svc")
    assert (event.user, event.connection) == ("testuser", 1)


async def test_a_part_that_is_null_is_an_empty_text(platform):
    async with gateway(platform, has_lamp=True) as raw:
        value = [{"name": "data", "value": None}]
        payload = {"device_uri": "dev1", "service_uri": "svc", "value": value}
        assert await raw.ask("event", payload) == OK
    (event,) = platform.events
    assert (event.data, event.metadata) == ("", None)


async def test_only_the_latest_are_kept(environment):
    async with (
        sim_sepl_platform(records_kept=3, environment=environment) as platform,
        gateway(platform, has_lamp=True) as raw,
    ):
        for data in ("1", "2", "3", "4", "1"):
            await raw.event(data)
        assert [(one.data, one.repeats) for one in platform.events] == [
            ("3", 0),
            ("4", 0),
            ("1", 0),
        ]
        assert len(platform.messages) == 3


async def test_messages_have_what_they_were_answered(platform):
    async with gateway(platform) as raw:
        await raw.ask("put", LAMP)
        await raw.ask("disconnect", "nobody")
        await raw.tell("no JSON")
        await raw.hear()
    assert [(one.handler, one.status) for one in platform.messages] == [
        ("handshake", 200),
        ("put", 200),
        ("disconnect", 500),
        ("", 400),
    ]
    assert platform.messages[1].payload == LAMP
    assert platform.messages[1].token == "token-1"
    assert platform.messages[3].payload == "no JSON"


async def test_what_comes_can_be_followed(platform):
    with platform.following() as records:
        async with gateway(platform, has_lamp=True) as raw:
            await raw.event("1")
            payload = {"task_id": "x", "protocol_parts": None}
            await raw.ask("response", payload)
        kinds = [type(await anext(records)) for _ in range(8)]
        assert kinds == [
            SeplLogEntry,
            SeplMessage,
            SeplMessage,
            SeplEvent,
            SeplMessage,
            SeplResponse,
            SeplMessage,
            SeplLogEntry,
        ]


async def test_it_speaks_tls(environment):
    authority = trustme.CA()
    serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(serving)
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    async with sim_sepl_platform(
        ssl_context=serving, environment=environment
    ) as platform:
        assert platform.url.startswith("wss://")
        assert platform.config["encryption"] == "yes"
        async with connected(platform, tls=trusting) as raw:
            await raw.log_in()
            assert await raw.ask("put", LAMP) == OK
        with pytest.raises(ConnectFailed):
            async with connected(platform):
                pass
        async with connected(platform, tls=trusting) as raw:
            await raw.log_in()


async def test_nothing_is_left_when_it_is_cancelled_anywhere(environment):
    async def flow() -> None:
        async with (
            sim_sepl_platform(environment=environment) as platform,
            gateway(platform, has_lamp=True) as raw,
        ):
            async with anyio.create_task_group() as tg:
                tg.start_soon(respond, raw, "done")
                await platform.send_command("dev1", "on", PARTS)
            await platform.reboot(1)

    assert await cancel_sweep(flow) > 10
