"""`sim_sepl_platform`: logins, synchronisation, each handler, and what ends a connection."""

from __future__ import annotations

import anyio
import pytest

from structiot.errors import UsageError
from structiot.sim import SeplPlatformSim, sim_sepl_platform
from tests.sim.connector.raw_gateway import LAMP, RawGateway, connected, gateway

pytestmark = pytest.mark.virtual_time

FAN = {"uri": "dev2", "name": "Fan", "iot_type": "iot#type-1", "tags": []}
HASH = "a479f92cc26342e465129189bed015ea564ebeb9"
OK = (200, "ok")


async def synchronise(raw: RawGateway, *devices: object) -> None:
    assert await raw.ask("clear") == OK
    for one in devices:
        assert await raw.ask("put", one) == OK
    assert await raw.ask("commit", HASH) == OK


# ------------------------------------------------------------ logins


async def test_a_new_gateway_gets_an_id_and_has_committed_nothing(platform):
    async with gateway(platform) as raw:
        assert raw.gid.startswith("iot#")
        assert raw.hash == ""
        assert platform.connections == 1
    async with gateway(platform, "iot#nobody-knows-it") as other:
        assert other.gid not in {raw.gid, "iot#nobody-knows-it"}


async def test_what_was_committed_is_told_at_the_next_login(platform):
    async with gateway(platform) as raw:
        await synchronise(raw, LAMP, FAN)
    async with gateway(platform, raw.gid) as again:
        assert (again.gid, again.hash) == (raw.gid, HASH)


async def test_the_gateway_of_another_user_is_none(environment):
    users = {"anna": "a", "berta": "b"}
    async with sim_sepl_platform(users, environment=environment) as platform:
        async with connected(platform) as anna:
            await anna.log_in("anna", "a")
        async with connected(platform) as berta:
            await berta.log_in("berta", "b", gid=anna.gid)
            assert berta.gid != anna.gid
        assert [one.user for one in platform.gateways.values()] == ["anna", "berta"]


@pytest.mark.parametrize(
    "first",
    [
        {"user": "testuser", "pw": "wrong", "gid": "", "token": "credentials"},
        {"user": "nobody", "pw": "secret", "gid": "", "token": "credentials"},
        {"user": "testuser", "gid": "", "token": "credentials"},
        {"user": 7, "pw": "secret", "gid": ""},
        {"user": "testuser", "pw": "secret", "gid": 7},
        ["testuser", "secret"],
        "no JSON",
        "",
    ],
)
async def test_a_login_that_is_refused_is_closed_without_a_word(platform, first):
    async with connected(platform) as raw:
        await raw.tell(first)
        with pytest.raises(anyio.EndOfStream):
            await raw.websocket.receive()
        assert (raw.websocket.close_code, raw.websocket.close_reason) == (1000, "")
    assert platform.connections == 0
    assert [one.what for one in platform.log] == ["refused"]


async def test_a_password_is_not_kept_with_what_came(platform):
    async with gateway(platform):
        pass
    (message,) = platform.messages
    assert message.handler == "handshake"
    assert message.payload["pw"] == "***"
    assert "secret" not in repr(platform.messages)


async def test_who_does_not_log_in_is_closed_after_40_s(platform):
    async with connected(platform) as raw:
        begun_at = anyio.current_time()
        assert await raw.closed() == (1000, "")
        assert anyio.current_time() - begun_at == 40


# ------------------------------------------------------------ handlers


async def test_a_put_makes_a_device_once_and_then_renames_it(platform):
    async with gateway(platform, has_lamp=True) as raw:
        device = platform.device("dev1")
        assert (device.name, device.type) == ("Lamp", "iot#type-1")
        assert device.is_online
        other = {
            **LAMP,
            "name": "Desk",
            "iot_type": "iot#2",
            "tags": ["room:hall", "x"],
        }
        assert await raw.ask("put", other) == OK
        assert platform.devices == (device,)
        assert (device.name, device.type) == ("Desk", "iot#type-1")
        # What the client has dropped stays, and a tag without a colon is left out.
        assert device.tags == ["room:hall", "floor:1"]


@pytest.mark.parametrize(
    "payload",
    [
        None,
        "dev1",
        {},
        {**LAMP, "name": None},
        {**LAMP, "uri": ""},
        {**LAMP, "uri": 1},
        {**LAMP, "iot_type": ""},
        {**LAMP, "tags": "room:kitchen"},
        {**LAMP, "tags": [1]},
    ],
)
async def test_a_put_of_no_device_is_an_error(platform, payload):
    async with gateway(platform) as raw:
        status, text = await raw.ask("put", payload)
        assert (status, type(text)) == (500, str)
    assert platform.devices == ()


async def test_types_and_services_are_known_where_they_are_given(environment):
    types = {"iot#type-1": ["svc"]}
    async with (
        sim_sepl_platform(device_types=types, environment=environment) as platform,
        gateway(platform, has_lamp=True) as raw,
    ):
        assert (await raw.ask("put", {**FAN, "iot_type": "iot#none"}))[0] == 500
        assert await raw.event("1") == OK
        assert (await raw.event("1", service="none"))[0] == 400


async def test_a_uri_that_two_devices_have_can_be_neither_put_nor_deleted(platform):
    for name in ("One", "Two"):
        platform.add_device("dev1", type="iot#type-1", name=name)
    async with gateway(platform) as raw:
        assert (await raw.ask("put", LAMP))[0] == 400
        assert (await raw.ask("delete", "dev1"))[0] == 500
    with pytest.raises(UsageError, match="no user 'nobody'"):
        platform.add_device("dev1", type="iot#type-1", name="x", user="nobody")
    with pytest.raises(UsageError, match="no device 'dev9'"):
        platform.device("dev9")


async def test_a_device_that_is_disconnected_stays_and_is_offline(platform):
    async with gateway(platform, has_lamp=True) as raw:
        assert await raw.ask("disconnect", "dev1") == OK
        assert not platform.device("dev1").is_online
        assert (await raw.ask("disconnect", "dev1"))[0] == 500
        assert (await raw.ask("disconnect", None))[0] == 400
        assert (await raw.event("1"))[0] == 400


async def test_a_device_that_is_deleted_is_gone(platform):
    async with gateway(platform, has_lamp=True) as raw:
        assert await raw.ask("disconnect", "dev1") == OK
        assert await raw.ask("delete", "dev1") == OK
        assert platform.devices == ()
        assert (await raw.ask("delete", "dev1"))[0] == 500
        assert (await raw.ask("delete", 1))[0] == 400


async def test_a_commit_binds_what_is_listened_to(platform):
    async with gateway(platform) as raw:
        await synchronise(raw, LAMP, FAN)
        known = platform.gateways[raw.gid]
        assert (known.hash, known.devices) == (HASH, ["dev1", "dev2"])
        assert await raw.ask("disconnect", "dev1") == OK
        assert known.devices == ["dev1", "dev2"]
        assert await raw.ask("commit", "anything") == OK
        assert (known.hash, known.devices) == ("anything", ["dev2"])
        assert (await raw.ask("commit", None))[0] == 400
        assert await raw.ask("clear") == OK
        assert (known.hash, known.devices) == ("", [])
        assert not platform.device("dev2").is_online


@pytest.mark.parametrize(
    "payload",
    [
        None,
        {"device_uri": "dev1", "value": []},
        {"device_uri": "dev1", "service_uri": "svc"},
        {"device_uri": "dev1", "service_uri": "svc", "value": {}},
        {"device_uri": "dev1", "service_uri": "svc", "value": ["1"]},
        {"device_uri": "dev1", "service_uri": "svc", "value": [{"name": "data"}]},
        {
            "device_uri": "dev1",
            "service_uri": "svc",
            "value": [{"name": "data", "value": 1}],
        },
        {"device_uri": "dev2", "service_uri": "svc", "value": []},
    ],
)
async def test_an_event_that_is_none_is_not_taken(platform, payload):
    async with gateway(platform, has_lamp=True) as raw:
        assert (await raw.ask("event", payload))[0] == 400
    assert not platform.events


async def test_other_handlers_are_unknown(platform):
    async with gateway(platform) as raw:
        for name in ("mute", "remove", "", "command"):
            assert (await raw.ask(name, "dev1"))[0] == 400


# ------------------------------------------------------------ what ends a connection


async def test_the_sixth_error_in_a_row_closes_and_says_why(platform):
    async with gateway(platform) as raw:
        for _ in range(5):
            assert (await raw.ask("disconnect", "dev1"))[0] == 500
        assert await raw.ask("clear") == OK
        for _ in range(6):
            assert (await raw.ask("disconnect", "dev1"))[0] == 500
        code, reason = await raw.closed()
        assert code == 1000
        assert "errors" in reason
    assert platform.log[-1].is_end
    assert "errors" in platform.log[-1].what


@pytest.mark.parametrize(("strict_legacy", "times"), [(True, 3), (False, 6)])
async def test_what_cannot_be_read_is_answered_without_a_token(
    environment, strict_legacy, times
):
    async with (
        sim_sepl_platform(
            strict_legacy=strict_legacy, environment=environment
        ) as platform,
        gateway(platform) as raw,
    ):
        for text in ("no JSON", "[]", '{"handler": 1, "token": ""}')[:times]:
            await raw.tell(text)
        if not strict_legacy:
            for _ in range(3):
                await raw.tell('{"handler": "clear", "token": 1}')
        for _ in range(6):
            answer = await raw.hear()
            assert (answer["status"], answer["token"]) == (400, "")
        assert (await raw.closed())[0] == 1000


async def test_binary_frames_are_passed_over(platform):
    async with gateway(platform) as raw:
        await raw.websocket.send(b'{"handler": "clear"}')
        assert await raw.ask("clear") == OK


async def test_it_pings_every_20_s_until_the_client_does(platform):
    async with gateway(platform) as raw, anyio.create_task_group() as tg:
        tg.start_soon(raw.closed)
        await anyio.sleep(119)
        assert raw.websocket.pings == 5
        await raw.websocket.ping()
        await anyio.sleep(39)
        assert raw.websocket.pings == 5
        assert platform.connections == 1
        await raw.websocket.ping()
        await anyio.sleep(39)
        assert platform.connections == 1, "a ping renews the 40 s"
        await anyio.sleep(2)
        assert platform.connections == 0
        tg.cancel_scope.cancel()
    assert platform.log[-1].what == "silent for 40 s"


async def test_it_is_busy_with_one_message_at_a_time(platform):
    platform.busy_s = 20
    async with gateway(platform) as raw:
        begun_at = anyio.current_time()
        await raw.start("clear")
        await raw.websocket.ping()
        heard_at = raw.websocket.heard_at
        assert (await raw.hear())["payload"] == "ok"
        assert anyio.current_time() - begun_at == 20
        assert raw.websocket.heard_at == begun_at + 20 > heard_at, "no pong before"
        begun_at = anyio.current_time()
        assert await raw.ask("put", LAMP) == OK
        assert anyio.current_time() == begun_at


async def test_it_is_busy_for_30_s_at_most(environment):
    async with (
        sim_sepl_platform(busy_s=31, environment=environment) as platform,
        gateway(platform) as raw,
    ):
        begun_at = anyio.current_time()
        assert (await raw.ask("commit", HASH))[0] == 500
        assert anyio.current_time() - begun_at == 30
        assert platform.gateways[raw.gid].hash == ""


async def test_devices_are_online_as_long_as_anybody_listens(platform):
    async with gateway(platform) as raw:
        await synchronise(raw, LAMP)
        async with gateway(platform, raw.gid):
            assert platform.gateways[raw.gid].connections == 2
            assert platform.device("dev1").listeners == 2
        await anyio.sleep(1)
        assert platform.device("dev1").is_online
    await anyio.sleep(1)
    assert not platform.device("dev1").is_online
    assert platform.gateways[raw.gid].connections == 0
    assert [one.what for one in platform.log if one.is_end] == [
        "closed by the client"
    ] * 2


# ------------------------------------------------------------ arguments


@pytest.mark.parametrize(
    "arguments",
    [
        {"users": {}},
        {"users": ["testuser"]},
        {"port": "8093"},
        {"device_types": ["iot#type-1"]},
        {"ssl_context": "server.pem"},
        {"busy_s": "20"},
        {"strict_legacy": 1},
        {"records_kept": 0},
        {"environment": None},
    ],
)
async def test_an_argument_that_cannot_be_is_refused(arguments):
    with pytest.raises(UsageError):
        async with sim_sepl_platform(**arguments):
            pass


async def test_what_its_user_writes_into_a_configuration(  # noqa: ASYNC124 - as is its fixture
    platform: SeplPlatformSim,
):
    assert platform.config == {
        "host": platform.host,
        "port": platform.port,
        "user": "testuser",
        "password": "secret",
        "encryption": "no",
    }
    assert platform.url == f"ws://127.0.0.1:{platform.port}/"
