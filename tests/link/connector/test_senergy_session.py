"""SENERGY: logins and tokens, what ends a session, and how it comes back."""

from __future__ import annotations

import anyio
import pytest

from structiot import Environment
from structiot.connector import DevicePool, Waiting, open_connector
from structiot.errors import AuthRefused, ConfigError, ConnectFailed, RateLimited
from structiot.sim import (
    HTTP_FRAMES,
    JSON_LIES,
    Fault,
    FaultKind,
    SenergyRules,
    show_fault,
)
from structiot.testing import MemoryNetwork, cancel_sweep
from tests.link.connector.gateways import until, until_state
from tests.link.connector.senergy_house import (
    changes_of,
    connector_of,
    lamp,
    pool,
    senergy,
    until_ready_again,
)
from tests.sim.connector.raw_senergy import logged_in

pytestmark = pytest.mark.virtual_time


async def logins_of_a_refused_connector(platform, **changes):
    """Open a connector whose login is refused, and give how long that took."""
    before = anyio.current_time()
    with pytest.raises(AuthRefused) as caught:
        async with connector_of(platform, is_ready=False, **changes):
            await anyio.sleep(600)
    assert "secret" not in str(caught.value)
    return anyio.current_time() - before, caught.value


# ---------------------------------------------------------------- logins


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (
            {"api_url": "{0}/devices"},
            "api_url, POST /hubs: the platform refuses with status 404",
        ),
        ({"token_url": "{0}/nothing"}, "client_id at token_url: no token that is good"),
    ],
)
async def test_a_wrong_address_is_named_by_its_setting(change, why):
    async with senergy() as platform:
        wrong = {key: text.format(platform.url) for key, text in change.items()}
        async with (
            connector_of(platform, is_ready=False, **wrong) as connector,
            connector.states() as states,
        ):
            async for state in states:
                if isinstance(state, Waiting):
                    assert why in str(state.reason)
                    break


async def test_a_refused_login_is_final_at_once():
    async with senergy() as platform:
        took_s, error = await logins_of_a_refused_connector(platform, password="wrong")
        assert took_s < 1
        assert error.code == 401
        assert "Invalid user credentials" in str(error)
        assert len(platform.calls) == 1


async def test_a_refusal_without_a_word_is_taken_for_one_when_it_comes_again():
    async with senergy() as platform:
        for _ in range(3):
            platform.faults.frame_next("status_403", on="token")
        took_s, error = await logins_of_a_refused_connector(platform)
        assert 1 < took_s < 60
        assert error.code is None


async def test_a_refusal_that_repeats_the_password_does_not_show_it():
    body = b'{"error":"invalid_grant","you_said":"secret"}'
    answer = b"HTTP/1.1 400 No\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
    async with senergy() as platform:
        fault = Fault(kind=FaultKind.FRAME, on="token", change=lambda _: answer)
        platform.faults.add(fault)
        _, error = await logins_of_a_refused_connector(platform)
        assert "you_said" in str(error)
        assert "***" in str(error)


async def test_a_client_id_that_is_unknown_is_a_refused_login():
    async with senergy(rules=SenergyRules(client_id="known")) as platform:
        _, error = await logins_of_a_refused_connector(platform, client_id="other")
        assert "Invalid client" in str(error)


async def test_a_password_that_is_changed_while_it_runs_ends_it():
    async with senergy() as platform:
        with pytest.raises(AuthRefused):
            async with connector_of(platform) as connector:
                async with logged_in(platform):
                    platform.change_password("testuser", "another")
                platform.revoke_tokens()
                assert not await connector.add(lamp("dev3"))
                await anyio.sleep(600)


async def test_tokens_are_renewed_before_they_end_and_again_by_a_login():
    async with senergy() as platform, connector_of(platform) as connector:
        third = lamp("dev3")
        assert await connector.add(third)
        for number in range(40):
            await anyio.sleep(60)
            third.name = f"Name {number}"
            assert await connector.update(third)
        assert platform.logins == 1
        assert 7 <= platform.renewals <= 9
        await anyio.sleep(7200)
        third.name = "Late"
        assert await connector.update(third)
        assert platform.logins == 2
        # Never is a call made with a token that has ended.
        assert all(one.status == 200 for one in platform.calls)


async def test_a_token_that_is_about_to_end_is_not_used_any_more():
    async with senergy() as platform, connector_of(platform) as connector:
        await anyio.sleep(265)
        assert await connector.add(lamp("dev3"))
        assert platform.renewals == 0
        await anyio.sleep(10)
        assert await connector.add(lamp("dev4"))
        assert platform.renewals == 1


async def test_revoked_tokens_cost_one_more_login_and_nothing_else():
    async with senergy() as platform, connector_of(platform) as connector:
        platform.revoke_tokens()
        assert await connector.add(lamp("dev3"))
        assert platform.logins == 2
        assert connector.is_ready
        assert platform.broker.connections == 1


async def test_a_hub_of_somebody_else_is_a_fault_of_the_configuration():
    async with senergy(users={"anna": "a", "berta": "b"}) as platform:
        async with connector_of(platform):
            (hub_id,) = platform.hubs
        with pytest.raises(ConfigError, match="somebody else's"):
            async with connector_of(
                platform, user="berta", password="b", gid=hub_id, is_ready=False
            ):
                await anyio.sleep(60)


async def test_addresses_that_are_none_are_told():
    async with senergy() as platform:
        with pytest.raises(ConfigError):
            async with connector_of(platform, api_url="http://", is_ready=False):
                await anyio.sleep(60)


# ---------------------------------------------------------------- the broker


async def test_a_broker_that_refuses_what_the_platform_took_is_left_alone_for_a_while():
    async with senergy() as platform:
        platform.faults.refuse_next(on="connect")
        async with connector_of(platform, is_ready=False) as connector:
            async with connector.states() as states:
                async for state in states:
                    if isinstance(getattr(state, "reason", None), RateLimited):
                        break
            before = anyio.current_time()
            await connector.wait_ready()
            assert anyio.current_time() - before >= 30
            assert platform.online == {"dev1", "dev2"}


async def test_connections_that_are_cut_again_and_again_stay_below_the_limit():
    async with senergy() as platform, connector_of(platform) as connector:
        async with connector.states() as states:
            with anyio.move_on_after(3600):
                async for state in states:
                    assert not isinstance(getattr(state, "reason", None), RateLimited)
                    for client_id in platform.broker.clients:
                        platform.broker.disconnect(client_id)
        assert platform.broker.connections > 20


async def test_a_lost_connection_is_made_again_and_commands_come_again():
    async with senergy() as platform, connector_of(platform) as connector:
        changes_of(platform)
        (client_id,) = platform.broker.clients
        platform.broker.disconnect(client_id)
        await until_ready_again(connector)
        assert platform.online == {"dev1", "dev2"}
        assert changes_of(platform) == []


async def test_a_platform_that_is_away_at_first_is_waited_for():
    async with senergy() as platform:
        await platform.broker.unplug()
        await platform.unplug()
        async with connector_of(platform, is_ready=False) as connector:
            await anyio.sleep(1000)
            assert not await connector.add(lamp("dev3"))
            await platform.plug_in()
            await anyio.sleep(200)
            assert not connector.is_ready
            await platform.broker.plug_in()
            with anyio.fail_after(300):
                await connector.wait_ready()
            assert platform.online == {"dev1", "dev2", "dev3"}


async def test_no_platform_at_all_is_told_as_a_state():
    environment = Environment(network=MemoryNetwork())
    config = {
        "platform": "senergy",
        "host": "10.0.0.1",
        "user": "u",
        "password": "p",
        "encryption": "no",
        "api_url": "http://10.0.0.1/device-manager",
        "token_url": "http://10.0.0.1/token",
        "client_id": "c",
    }
    async with (
        open_connector(config, DevicePool(), environment=environment) as connector,
        connector.states() as states,
    ):
        async for state in states:
            if (reason := getattr(state, "reason", None)) is not None:
                assert isinstance(reason, ConnectFailed)
                break


# ---------------------------------------------------------------- the HTTP side


async def test_a_change_that_http_did_not_take_is_made_when_it_is_back():
    async with senergy() as platform, connector_of(platform) as connector:
        await platform.unplug()
        assert not await connector.add(lamp("dev3"))
        await anyio.sleep(60)
        assert "dev3" not in platform.devices
        await platform.plug_in()
        with anyio.fail_after(300):
            await connector.wait_ready()
        assert platform.online == {"dev1", "dev2", "dev3"}


async def test_an_answer_that_does_not_come_ends_the_session():
    async with senergy() as platform, connector_of(platform) as connector:
        platform.faults.drop_next(on="devices")
        before = anyio.current_time()
        assert not await connector.add(lamp("dev3"))
        assert anyio.current_time() - before == pytest.approx(45, abs=1)
        await until(lambda: platform.online == {"dev1", "dev2", "dev3"})


async def test_too_many_calls_are_no_reason_to_make_more():
    async with senergy() as platform:
        await show_fault(platform, "http_status=429")
        async with connector_of(platform, is_ready=False) as connector:
            await anyio.sleep(300)
            assert len(platform.calls) <= 10
            platform.faults.clear()
            with anyio.fail_after(300):
                await connector.wait_ready()


@pytest.mark.parametrize("is_ready", [False, True])
async def test_a_platform_that_has_enough_of_devices_is_left_alone_as_well(is_ready):
    async with senergy() as platform:
        platform.refusal_status = 429
        platform.faults.refuse_next(on="devices", times=0 if is_ready else 1)
        async with connector_of(platform, is_ready=is_ready) as connector:
            if is_ready:
                platform.faults.refuse_next(on="devices")
                assert not await connector.add(lamp("dev3"))
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, RateLimited)
            assert waiting.retry_at - anyio.current_time() > 25
            await until(lambda: platform.online >= {"dev1", "dev2"})


@pytest.mark.parametrize("status", [500, 502, 503, 504])
async def test_a_platform_in_trouble_is_asked_again(status):
    async with senergy() as platform:
        await show_fault(platform, f"http_status={status}")
        async with connector_of(platform, is_ready=False) as connector:
            await anyio.sleep(60)
            assert not connector.is_ready
            platform.faults.clear()
            with anyio.fail_after(300):
                await connector.wait_ready()


LIES = [*JSON_LIES, *HTTP_FRAMES]


@pytest.mark.parametrize("on", ["token", "hubs", "devices"])
@pytest.mark.parametrize("lie", LIES)
async def test_whatever_is_wrong_with_an_answer_it_is_ready_once_it_is_right(lie, on):
    async with senergy() as platform:
        faults = platform.faults
        for _ in range(2):
            (faults.lie_next if lie in JSON_LIES else faults.frame_next)(lie, on=on)
        async with connector_of(platform) as connector:
            assert await connector.add(lamp("dev3"))
            assert platform.online >= {"dev1", "dev2"}


# ---------------------------------------------------------------- cancellation


@pytest.mark.timeout(120)
async def test_a_connector_leaves_nothing_wherever_it_is_cancelled():
    async with senergy() as platform:

        async def flow():
            async with connector_of(platform, pool(lamp())) as connector:
                await connector.add(lamp("dev2"))
                await connector.event("dev1", "power", {"w": 1})
                await connector.disconnect("dev2")

        assert await cancel_sweep(flow) > 20


@pytest.mark.timeout(120)
async def test_a_session_leaves_nothing_wherever_its_tasks_are_cancelled(stride: int):
    async with senergy() as platform:

        async def flow():
            async with connector_of(platform, pool(lamp())) as connector:
                await connector.event("dev1", "power", {"w": 1})

        assert await cancel_sweep(flow, steps_of="all", stride=stride) > 100
