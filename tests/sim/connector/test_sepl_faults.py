"""What the simulated SEPL platform gets wrong when it is told to."""

from __future__ import annotations

from contextlib import suppress

import anyio
import pytest

from structiot.errors import (
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    TransportError,
    UsageError,
)
from structiot.sim import (
    NAMED_SEPL_FAULTS,
    SEPL_FRAMES,
    SEPL_LIES,
    parse_fault,
    show_fault,
)
from tests.sim.connector.raw_gateway import LAMP, connected, gateway

pytestmark = pytest.mark.virtual_time

OK = (200, "ok")


GOOD = (
    '{"status":200,"handler":"response","token":"token-1",'
    '"content_type":"string","payload":"ok"}'
)
# What is right in the end, or lies about what there is in other messages alone.
HARMLESS = {"pong", "pings", "fragments", "crumbs", "command_after", "not_a_number"}
OF_OTHERS = ("gid", "hash", "device", "service", "parts", "task", "newer")


@pytest.mark.parametrize("name", sorted({*SEPL_FRAMES, *SEPL_LIES}))
async def test_what_is_wrong_in_one_answer_is_right_in_the_next(platform, name):
    await show_fault(platform, f"{name}@put*1")
    heard: object = None
    async with gateway(platform) as raw:
        await raw.start("put", LAMP)
        with suppress(anyio.EndOfStream, LinkLost, ProtocolViolation):
            heard = await raw.websocket.receive()
    is_good = isinstance(heard, str) and heard == GOOD
    assert is_good == (name in HARMLESS or name.startswith(OF_OTHERS))
    assert platform.faults.shown == 1
    async with gateway(platform) as again:
        assert await again.ask("put", LAMP) == OK
    assert len(platform.devices) == 1


def test_every_fault_has_a_name_and_is_said_what_it_is():
    assert {*SEPL_FRAMES, *SEPL_LIES} < set(NAMED_SEPL_FAULTS)
    assert all(NAMED_SEPL_FAULTS.values())
    assert parse_fault("forget_hash+5").name == "forget_hash"
    assert parse_fault("token_missing@commit*2").on == "commit"


async def test_lies_and_frames_are_asked_for_by_name(platform):
    platform.faults.lie_next("wrong_token", on="put")
    platform.faults.frame_next("binary", on="commit")
    async with gateway(platform) as raw:
        token = await raw.start("put", LAMP)
        assert (await raw.hear())["token"] != token
        await raw.start("commit", "x")
        assert isinstance(await raw.websocket.receive(), bytes)
    with pytest.raises(UsageError, match="no fault 'truth'; there are"):
        platform.faults.lie_next("truth")
    with pytest.raises(UsageError, match="no fault 'picture'; there are"):
        platform.faults.frame_next("picture")


async def test_the_third_put_of_a_connection_is_refused(platform):
    platform.faults.refuse_next(on="put3")
    async with gateway(platform) as raw:
        said = [await raw.ask("put", {**LAMP, "uri": f"dev{n}"}) for n in range(4)]
        assert said == [OK, OK, (500, "refused"), OK]
    assert [one.uri for one in platform.devices] == ["dev0", "dev1", "dev3"]


async def test_an_event_of_one_device_is_refused_as_it_is_said(platform):
    platform.faults.refusal_status = 400
    platform.faults.refusal_text = "formatting failed"
    async with gateway(platform, has_lamp=True) as raw:
        platform.faults.refuse_next(on="dev1")
        assert await raw.event("1") == (400, "formatting failed")
        assert await raw.event("1") == OK
    platform.faults.clear()
    assert (platform.faults.refusal_status, len(platform.events)) == (500, 1)


async def test_a_message_is_lost_and_an_answer_is_lost(platform):
    platform.faults.drop_next(on="put1")
    platform.faults.lose_reply_next(on="put2")
    async with gateway(platform) as raw:
        await raw.start("put", LAMP)
        await raw.start("put", {**LAMP, "uri": "dev2"})
        assert await raw.ask("clear") == OK
    assert [one.uri for one in platform.devices] == ["dev2"]
    statuses = [(one.handler, one.status) for one in platform.messages]
    assert statuses == [
        ("handshake", 200),
        ("put", None),
        ("put", None),
        ("clear", 200),
    ]


async def test_it_breaks_off_in_the_middle_of_a_synchronisation(platform):
    platform.faults.hang_up_next(on="put2")
    async with gateway(platform, has_lamp=True) as raw:
        await raw.start("put", {**LAMP, "uri": "dev2"})
        with pytest.raises(LinkLost):
            await raw.hear()
        await anyio.sleep(1)
    assert [one.uri for one in platform.devices] == ["dev1"]
    assert platform.log[-1].what == "broken off by the platform"


async def test_an_answer_comes_twice_late_or_bit_by_bit(platform):
    platform.faults.duplicate_next(on="put1")
    platform.faults.delay_next(5, on="put2")
    platform.faults.trickle_next(5, on="put3")
    async with gateway(platform) as raw:
        token = await raw.start("put", LAMP)
        assert [(await raw.hear())["token"] for _ in range(2)] == [token] * 2
        late = await raw.start("put", LAMP)
        assert await raw.ask("clear") == OK
        begun_at = anyio.current_time()
        assert (await raw.hear())["token"] == late
        assert anyio.current_time() - begun_at == 5
        assert await raw.ask("put", LAMP) == OK
        assert 9 <= anyio.current_time() - begun_at <= 10


async def test_a_handshake_is_refused_late_or_never_answered(platform):
    platform.faults.refuse_next(on="handshake")
    platform.faults.drop_next(on="handshake")
    async with connected(platform) as raw:
        with pytest.raises(anyio.EndOfStream):
            await raw.log_in()
    async with connected(platform) as raw:
        with anyio.move_on_after(15) as patience:
            await raw.log_in()
        assert patience.cancelled_caught
    platform.faults.hang_up_next(on="handshake")
    async with connected(platform) as raw:
        with pytest.raises(LinkLost):
            await raw.log_in()


async def test_a_command_comes_before_the_answer_to_the_handshake(platform):
    async with gateway(platform, has_lamp=True) as raw:
        assert await raw.ask("commit", "hash") == OK
    platform.faults.delay_next(5, on="handshake")
    async with connected(platform) as again, anyio.create_task_group() as tg:
        first = {"user": "testuser", "pw": "secret", "gid": raw.gid, "token": "c"}
        await again.tell(first)
        await anyio.sleep(1)
        tg.start_soon(platform.send_command, "dev1", "on")
        payload = await again.command()
        assert (await again.hear())["payload"] == {"gid": raw.gid, "hash": "hash"}
        assert await again.ask("response", payload) == OK


async def test_faults_of_commands_are_those_that_name_them(platform):
    async with gateway(platform, has_lamp=True) as raw, anyio.create_task_group() as tg:
        platform.faults.drop_next()
        platform.faults.lie_next("parts_twice", on="command")
        tg.start_soon(platform.send_command, "dev1", "on", {"data": "1"})
        assert len((await raw.command())["protocol_parts"]) == 2
        assert platform.faults.waiting == 1
        platform.faults.drop_next(on="command")
        tg.start_soon(platform.send_command, "dev1", "on", {"data": "1"})
        await anyio.sleep(1)
        tg.cancel_scope.cancel()


@pytest.mark.parametrize("kind", ["refuse", "no_frame", "hang_up"])
async def test_it_is_no_websocket_server_for_once(platform, kind):
    await show_fault(platform, f"{kind}@upgrade*1")
    with pytest.raises(ConnectFailed):
        async with connected(platform):
            pass
    async with gateway(platform):
        pass


async def test_it_accepts_and_says_nothing(platform):
    async with gateway(platform) as raw:
        await show_fault(platform, "silent")
        await raw.start("put", LAMP)
        with anyio.move_on_after(35) as patience:
            await raw.hear()
        assert patience.cancelled_caught
        assert raw.websocket.pings == 0
        with anyio.move_on_after(15) as patience:
            async with connected(platform):
                pass
        assert patience.cancelled_caught
    assert platform.devices == ()
    platform.faults.clear()
    async with gateway(platform):
        pass


async def test_it_stands_still_for_a_while(platform):
    async with gateway(platform) as raw, anyio.create_task_group() as tg:
        tg.start_soon(show_fault, platform, "freeze=100")
        await anyio.sleep(1)
        begun_at = anyio.current_time()
        await raw.websocket.ping()
        await raw.start("put", LAMP)
        tg.start_soon(platform.say, "at last")
        with anyio.move_on_after(98):
            await raw.hear()
        assert raw.websocket.heard_at < begun_at, "neither a pong nor a ping"
        said = {await raw.websocket.receive() for _ in range(2)}
        assert "at last" in said
        assert anyio.current_time() - begun_at == 99
    assert len(platform.devices) == 1


async def test_it_restarts_and_keeps_what_it_had(platform):
    async with gateway(platform, has_lamp=True) as raw:
        assert await raw.ask("commit", "hash") == OK
        port = platform.port
        await show_fault(platform, "reboot=5")
        with pytest.raises(TransportError):
            await raw.hear()
    assert platform.port == port
    assert not platform.device("dev1").is_online
    async with gateway(platform, raw.gid) as again:
        assert (again.gid, again.hash) == (raw.gid, "hash")
        assert platform.device("dev1").is_online
    assert platform.log[1].what == "the platform is off the network"


async def test_connections_break_off_or_are_closed(platform):
    async with gateway(platform) as one, gateway(platform) as two:
        await show_fault(platform, "drop")
        for raw in (one, two):
            with pytest.raises(LinkLost):
                await raw.hear()
    async with gateway(platform) as raw:
        await platform.close_all(1012, "service restart")
        assert await raw.closed() == (1012, "service restart")
    assert platform.connections == 0


async def test_it_forgets(platform):
    async with gateway(platform, has_lamp=True) as raw:
        assert await raw.ask("commit", "hash") == OK
    await show_fault(platform, "forget_hash")
    async with gateway(platform, raw.gid) as again:
        assert (again.gid, again.hash) == (raw.gid, "")
    await show_fault(platform, "forget_gateways")
    async with gateway(platform, raw.gid) as again:
        assert again.gid != raw.gid


async def test_it_is_busy_or_loses_updates(platform):
    await show_fault(platform, "busy=7")
    await show_fault(platform, "lost_updates")
    async with gateway(platform, has_lamp=True) as raw:
        begun_at = anyio.current_time()
        assert await raw.ask("commit", "hash") == OK
        assert anyio.current_time() - begun_at == 7
        assert await raw.ask("put", {**LAMP, "name": "Desk"}) == OK
    assert platform.device("dev1").name == "Lamp"


async def test_anything_may_be_said_out_of_the_blue(platform):
    async with gateway(platform) as raw:
        await platform.say({"handler": "response", "token": "x", "status": 200})
        await platform.say("ERROR: unable to create response")
        await platform.say(SEPL_FRAMES["binary"](b"\x00"))
        assert (await raw.hear())["token"] == "x"
        assert await raw.websocket.receive() == "ERROR: unable to create response"
        assert await raw.websocket.receive() == b"\x00"


async def test_who_takes_nothing_is_given_up(platform):
    async with gateway(platform, has_lamp=True):
        with pytest.raises(LinkLost, match="taken nothing for 40 s"):
            while True:
                await platform.say("x" * 60_000)
    await anyio.sleep(1)
    assert platform.connections == 0
