"""What the cloud and devices may say wrong: each its own error, and nobody else's matter."""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.errors import StructiotError
from structiot.meross import (
    AccountBanned,
    AccountDisabled,
    CloudUnavailable,
    Credentials,
    MemoryStore,
    MerossApiError,
    MfaRequired,
    TokenExpired,
    TooManyTokens,
    TooOften,
    WrongMfaCode,
    WrongPassword,
    WrongRegion,
)
from structiot.meross.opening import open_meross
from structiot.meross.wire.cloud import Path
from structiot.sim.meross import MerossCloudSim, sim_meross_cloud
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.testing import MemoryNetwork
from tests.link.meross.test_account import EMAIL, PASSWORD, House, house, known

pytestmark = pytest.mark.virtual_time

Cause = Callable[[MerossCloudSim], dict[str, Any]]


@asynccontextmanager
async def cloud_of(**rules: Any) -> AsyncGenerator[tuple[MerossCloudSim, Environment]]:
    environment = Environment(network=MemoryNetwork())
    async with sim_meross_cloud(
        EMAIL,
        PASSWORD,
        host="cloud",
        redirect_from="elsewhere.cloud",
        environment=environment,
        **rules,
    ) as cloud:
        yield cloud, environment


async def wrong_code() -> str:
    await anyio.lowlevel.checkpoint()
    return "000000"


def lost_in_regions(cloud: MerossCloudSim) -> dict[str, Any]:
    cloud.redirects_to = cloud.redirecting_url
    return {"url": cloud.redirecting_url}


def banned(cloud: MerossCloudSim) -> dict[str, Any]:
    cloud.ban()
    return {}


def says(code: int) -> Cause:
    def cause(cloud: MerossCloudSim) -> dict[str, Any]:
        cloud.faults.refusal_code = code
        cloud.faults.always(Fault(kind=FaultKind.REFUSE, on="http"))
        return {}

    return cause


# What is wrong, the rules of the cloud, the error, and its words that say what to do.
CASES: dict[str, tuple[Cause, dict[str, Any], type[StructiotError], str]] = {
    "password": (lambda _: {"password": "x"}, {}, WrongPassword, "mend them"),
    "e-mail": (lambda _: {"email": "x@y.z"}, {}, WrongPassword, "mend them"),
    "region": (lost_in_regions, {}, WrongRegion, "another region at http://elsewhere"),
    "no code": (lambda _: {}, {"mfa_code": "1"}, MfaRequired, "give mfa="),
    "wrong code": (
        lambda _: {"mfa": wrong_code},
        {"mfa_code": "1"},
        WrongMfaCode,
        "with a fresh one",
    ),
    "banned": (banned, {}, AccountDisabled, "leave it alone, and ask Meross"),
    "locked": (says(1035), {}, AccountBanned, "leave it alone for a day"),
    "tokens": (says(1301), {}, TooManyTokens, "do not sign in for five hours"),
    "expired": (says(1200), {}, TokenExpired, "no longer accepted"),
    "unknown token": (says(1022), {}, TokenExpired, "no longer accepted"),
    "often": (says(1028), {}, TooOften, "asked too often"),
    "limit": (says(1042), {}, TooOften, "asked too often"),
    "database": (says(1402), {}, CloudUnavailable, "may last for hours"),
    "signature": (says(1023), {}, CloudUnavailable, "look at the clock"),
    "else": (says(20101), {}, MerossApiError, "refused with 20101"),
}


@pytest.mark.parametrize("case", CASES)
async def test_what_the_cloud_refuses_is_an_error_that_says_what_to_do(case):
    cause, rules, kind, words = CASES[case]
    async with cloud_of(**rules) as (cloud, environment):
        settings: dict[str, Any] = {
            "email": EMAIL,
            "password": PASSWORD,
            "url": cloud.url,
            "store": MemoryStore(),
            **cause(cloud),
        }
        with pytest.raises(kind, match=words) as caught:
            async with open_meross(environment=environment, **settings):
                pass
        assert type(caught.value) is kind
        # Once, and once more where there is another region or a code.
        assert len(cloud.requests) <= 2
        assert {call.path for call in cloud.requests} == {Path.SIGN_IN}
        assert cloud.sign_ins == 0


async def test_a_token_too_many_is_an_error_and_no_reason_to_try_again():
    async with cloud_of(max_tokens=1) as (cloud, environment):
        settings: dict[str, Any] = {
            "email": EMAIL,
            "password": PASSWORD,
            "url": cloud.url,
            "environment": environment,
        }
        async with open_meross(**settings, store=MemoryStore()):
            with pytest.raises(TooManyTokens, match="then keep one"):
                async with open_meross(**settings, store=MemoryStore()):
                    pass
        assert cloud.sign_ins == 1


async def test_an_expired_token_without_a_password_says_what_is_missing():
    async with cloud_of() as (cloud, environment):
        store = MemoryStore()
        async with open_meross(
            email=EMAIL,
            password=PASSWORD,
            url=cloud.url,
            store=store,
            environment=environment,
        ):
            cloud.expire_token()
        assert isinstance(await store.load(), Credentials)
        with pytest.raises(TokenExpired, match="give email= and password="):
            async with open_meross(store=store, url=cloud.url, environment=environment):
                pass
        assert cloud.sign_ins == 1


def onoff(home: House, number: int = 0) -> int:
    state: int = home.sims[number].device.digest()["togglex"][0]["onoff"]
    return state


async def test_a_broker_that_is_lost_for_an_hour():
    """It heals by itself, and all states are asked for anew, within the budget."""
    async with (
        house(["mss310", "msl120", "msh300hk"]) as home,
        home.account(policy="cloud_only", store=MemoryStore()) as meross,
    ):
        devices = [await known(meross, f"Device {n}") for n in range(3)]
        async with devices[0].events(), devices[1].events(), devices[2].events():
            await anyio.sleep(3600)
            before = dict(home.cloud.messages)
            states = [onoff(home, 0), onoff(home, 1)]
            async with anyio.create_task_group() as tg:
                tg.start_soon(home.cloud.restart_brokers, 3600)
                await anyio.sleep(1800)
                assert not any(one.is_available for one in devices)
                for number in (0, 1):
                    await home.sims[number].press()
            # It is away no more: within two minutes everything is as it was.
            await anyio.sleep(120)
            assert all(one.is_available for one in devices)
            assert devices[0].states["switch"] is not bool(states[0])
            assert devices[1].states["light"].is_on is not bool(states[1])
            await anyio.sleep(3600)
            for sim in home.sims:
                assert home.cloud.messages[sim.uuid] - before[sim.uuid] < 180
                assert home.cloud.messages_in_hour(sim.uuid) < 180
            dropped = meross.stats(timedelta(hours=1)).dropped.total
            assert dropped <= 3


NEW = "Appliance.Control.Planted"


@pytest.mark.parametrize(
    ("kind", "told"), [(FaultKind.CHANGE, [NEW] * 3), (FaultKind.DUPLICATE, 3)]
)
async def test_pushes_that_nobody_knows_and_those_that_come_twice(kind, told, caplog):
    """An unknown namespace is passed on, what was said before is not, word for word."""
    async with (
        house() as home,
        home.account(policy="cloud_only", store=MemoryStore()) as meross,
    ):
        plug = await known(meross)
        async with plug.events(), plug.notifications() as notes:
            await anyio.sleep(30)
            caplog.set_level(logging.WARNING, "structiot")
            states = dict(plug.states)
            fault = Fault(
                kind=kind,
                on="PUSH",
                change=lambda data: data.replace(
                    b"Control.ToggleX", b"Control.Planted"
                ),
            )
            home.sims[0].faults.add(fault, 3)
            for _ in range(3):
                await home.sims[0].press()
                await anyio.sleep(5)
            names = [notes.receive_nowait().namespace for _ in range(len(notes))]
            if kind is FaultKind.CHANGE:
                assert names == told
                assert dict(plug.states) == states
            else:
                assert len(names) == told
            assert caplog.records == []
