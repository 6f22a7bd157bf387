"""What SENERGY's HTTP side says by statuses, and tokens that are good for nothing."""

from __future__ import annotations

import json
from typing import Any

import anyio
import pytest

from structiot import AuthRefused
from structiot.connector import Waiting
from structiot.errors import RateLimited
from structiot.sim import Fault, FaultKind, SenergyRules, SenergySim
from tests.link.connector.gateways import until, until_state
from tests.link.connector.senergy_house import connector_of, lamp, senergy

pytestmark = pytest.mark.virtual_time


# ---------------------------------------------------------------- redirects, statuses


def answering(line: str, *fields: str, body: bytes | None = None) -> Any:
    """Make a change of a reply into one with another head."""

    def change(content: bytes) -> bytes:
        sent = content if body is None else body
        lines = [f"HTTP/1.1 {line}", *fields, f"Content-Length: {len(sent)}", "", ""]
        return "\r\n".join(lines).encode() + sent

    return change


def always(platform: SenergySim, on: str, change: Any) -> None:
    kind = FaultKind.FRAME
    platform.faults.always(Fault(kind=kind, on=on, change=change))


@pytest.mark.parametrize("on", ["token", "hubs", "devices"])
@pytest.mark.parametrize("status", [301, 308])
async def test_where_we_are_sent_is_said_and_not_followed(status: int, on: str):
    there = "http://u:p@elsewhere.example/x?access_token=t"
    async with senergy() as platform:
        change = answering(f"{status} Moved", f"Location: {there}", body=b"")
        always(platform, on, change)
        async with connector_of(platform, is_ready=False) as connector:
            waiting = await until_state(connector, Waiting)
            assert "the address is another one" in str(waiting.reason)
            assert "http://***@elsewhere.example/x" in str(waiting.reason)
            assert "access_token" not in str(waiting.reason)
            await anyio.sleep(600)
            assert len(platform.calls) < 50
            platform.faults.clear()
            with anyio.fail_after(300):
                await connector.wait_ready()


@pytest.mark.parametrize("line", ["201 Created", "202 Accepted"])
async def test_what_is_done_may_be_said_in_other_words(line: str):
    async with senergy() as platform:
        always(platform, "hubs", answering(line))
        always(platform, "devices", answering(line))
        async with connector_of(platform) as connector:
            assert await connector.add(lamp("dev3"))
            assert connector.refused == {}
            assert len(platform.hubs) == 1


@pytest.mark.parametrize("after", ["1e300", "99999999999", "-5", "nan", "later", ""])
async def test_who_says_how_long_to_stay_away_is_believed_for_an_hour(after: str):
    async with senergy() as platform:
        change = answering("429 Slow", f"Retry-After: {after}", body=b"")
        platform.faults.add(Fault(kind=FaultKind.FRAME, on="token", change=change))
        async with connector_of(platform, is_ready=False) as connector:
            waiting = await until_state(connector, Waiting)
            assert isinstance(waiting.reason, RateLimited)
            assert 0 < waiting.retry_at - anyio.current_time() <= 3600
            with anyio.fail_after(3700):
                await connector.wait_ready()


async def test_hubs_that_are_not_like_ours_do_not_hinder_ours():
    odd: list[object] = [
        7,
        None,
        {},
        {"id": ""},
        {"id": "\x00"},
        {"id": "x" * 999},
        [[]],
    ]
    async with senergy() as platform:
        platform.faults.always(
            Fault(
                kind=FaultKind.CHANGE,
                on="device-repository",
                change=lambda content: json.dumps(
                    [*odd, *json.loads(content)]
                ).encode(),
            )
        )
        async with connector_of(platform):
            assert len(platform.hubs) == 1


# ---------------------------------------------------------------- tokens


async def calls_until_refused(platform: SenergySim) -> tuple[int, AuthRefused]:
    with pytest.raises(AuthRefused) as caught:
        async with connector_of(platform, is_ready=False):
            await anyio.sleep(24 * 3600)
    assert "secret" not in str(caught.value)
    return len(platform.calls), caught.value


async def test_tokens_that_are_good_for_nothing_are_asked_for_three_times():
    """As many times as for a refusal without a word; after that it cannot succeed."""
    async with senergy() as platform:
        platform.refusal_status = 401
        for on in ("hubs", "devices"):
            platform.faults.always(Fault(kind=FaultKind.REFUSE, on=on))
        calls, error = await calls_until_refused(platform)
        assert "refuses the token that it has just given" in str(error)
        assert calls <= 20
        assert platform.logins == 3


async def test_tokens_that_have_ended_when_they_come_are_the_same():
    async with senergy(rules=SenergyRules(token_s=0)) as platform:
        calls, _ = await calls_until_refused(platform)
        assert calls <= 20


async def test_tokens_that_become_good_for_nothing_end_it_too():
    """Also where the hub is still found, and only devices are refused."""
    async with senergy() as platform:
        with pytest.raises(AuthRefused):
            async with connector_of(platform) as connector:
                platform.refusal_status = 401
                platform.faults.always(Fault(kind=FaultKind.REFUSE, on="devices"))
                assert not await connector.add(lamp("dev3"))
                platform.calls.clear()
                await anyio.sleep(24 * 3600)
        assert len(platform.calls) < 40


async def test_a_401_for_one_device_is_a_refusal_of_that_device():
    """The token is good for all else."""
    async with senergy() as platform, connector_of(platform) as connector:
        platform.refusal_status = 401
        platform.faults.always(Fault(kind=FaultKind.REFUSE, on="POST"))
        # A login would be refused, too; the token that there is will do.
        assert not await connector.add(lamp("dev3"))
        assert connector.is_ready or platform.logins
        platform.faults.clear()
        await until(lambda: "dev3" in platform.online, within_s=2000)


async def test_tokens_of_a_second_are_renewed_no_oftener_than_calls_are_made():
    async with senergy(rules=SenergyRules(token_s=1)) as platform:
        async with connector_of(platform) as connector:
            for number in range(20):
                await anyio.sleep(10)
                assert await connector.update(lamp("dev1", f"Name {number}"))
        calls = len(platform.calls)
        assert platform.logins + platform.renewals <= calls / 2
        assert all(one.status == 200 for one in platform.calls)
