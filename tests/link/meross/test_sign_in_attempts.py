"""How often one signs in to Meross's cloud, in one program and in those after it."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager, suppress
from datetime import timedelta
from typing import Any

import anyio
import pytest

from structiot import Environment
from structiot.meross.account_state import AccountState, open_account_state
from structiot.meross.errors import (
    AccountBanned,
    CloudUnavailable,
    MfaRequired,
    TooManyTokens,
    TooOften,
    WrongMfaCode,
    WrongPassword,
)
from structiot.meross.wire.cloud import Path
from structiot.testing.clock import virtual_clock
from tests.link.meross.scripted_cloud import (
    EMAIL,
    EU,
    PASSWORD,
    ScriptedCloud,
    scripted_cloud,
    signed_in,
)

pytestmark = pytest.mark.virtual_time


def remembering(cloud: ScriptedCloud) -> AbstractAsyncContextManager[AccountState]:
    """Remember attempts from block to block."""
    return open_account_state(None, environment=cloud.environment)


async def test_failures_are_few_and_then_one_a_minute():
    async with scripted_cloud() as cloud, remembering(cloud) as state:
        cloud.answer(Path.SIGN_IN, *[1402] * 100)
        asked = 0
        for _ in range(600):
            with pytest.raises((CloudUnavailable, TooOften)) as caught:
                async with signed_in(cloud, state=state):
                    pass
            # Whoever was not asked is told what it was, and when it is of use again.
            is_asked, asked = len(cloud.sign_ins) > asked, len(cloud.sign_ins)
            assert isinstance(caught.value, CloudUnavailable) is is_asked
            assert "1402" in str(caught.value)
            if isinstance(caught.value, TooOften):
                again_at_s = anyio.current_time() + (caught.value.retry_after_s or 0)
                assert again_at_s == cloud.sign_ins[-1].at_s + 60
            await anyio.sleep(1)
        assert [one.at_s for one in cloud.sign_ins] == [
            0, 1, 2, *range(62, 600, 60),
        ]  # fmt: skip
        cloud.answers.clear()
        await anyio.sleep(60)
        async with signed_in(cloud, state=state) as account:
            await account.devices()


async def test_attempts_that_are_cut_short_count():
    async with scripted_cloud(delay_s=5.0) as cloud, remembering(cloud) as state:
        for _ in range(10):
            with pytest.raises((TooOften, TimeoutError)), anyio.fail_after(1):
                async with signed_in(cloud, state=state):
                    pass
        assert len(cloud.sign_ins) == 3


@pytest.mark.parametrize(
    ("code", "error", "hours"),
    [(1004, WrongPassword, 24), (1033, MfaRequired, 24), (1301, TooManyTokens, 5)],
)  # fmt: skip
async def test_what_was_refused_is_not_tried_again_by_the_next_program(
    code, error, hours, tmp_path
):
    async with scripted_cloud() as cloud:
        cloud.answer(Path.SIGN_IN, *[code] * 3)
        for hour in range(hours):
            async with open_account_state(
                tmp_path / "state", environment=cloud.environment
            ) as state:
                with pytest.raises(error, match=str(code)) as caught:
                    async with signed_in(cloud, state=state):
                        pass
            assert caught.value.code == code
            assert caught.value.account == EMAIL
            assert bool(getattr(caught.value, "__notes__", ())) == (hour > 0)
            await anyio.sleep(3600)
        assert len(cloud.sign_ins) == 1
        async with open_account_state(
            tmp_path / "state", environment=cloud.environment
        ) as state:
            with pytest.raises(error):
                async with signed_in(cloud, state=state):
                    pass
            assert len(cloud.sign_ins) == 2
        assert PASSWORD.encode() not in (tmp_path / "state").read_bytes()


@pytest.mark.parametrize(("code", "times"), [(1301, 1), (1402, 3)])
async def test_a_clock_that_was_ahead_delays_nothing_for_ever(code: int, times: int):
    async with scripted_cloud() as cloud, remembering(cloud) as state:
        ahead = Environment(
            network=cloud.network, clock=lambda: virtual_clock() + timedelta(days=900)
        )
        cloud.answer(Path.SIGN_IN, *[code] * times)
        for environment in (ahead, cloud.environment, cloud.environment):
            for _ in range(3):
                with pytest.raises((TooManyTokens, CloudUnavailable, TooOften)):
                    async with signed_in(cloud, state=state, environment=environment):
                        pass
        await anyio.sleep(6 * 3_600)
        async with signed_in(cloud, state=state):
            pass


@pytest.mark.parametrize("change", ["password", "mfa", "a person", "both"])
async def test_what_was_refused_is_tried_with_another_login_at_once(change: str):
    async def mfa() -> str:
        return "1"

    changes: dict[str, dict[str, Any]] = {
        "password": {"password": PASSWORD},
        "mfa": {"password": "wrong", "mfa": mfa},
        "a person": {"password": "wrong", "retry_refused": True},
        "both": {"mfa": mfa},
    }
    async with scripted_cloud() as cloud, remembering(cloud) as state:
        with pytest.raises(WrongPassword):
            async with signed_in(cloud, state=state, password="wrong", url=EU):
                pass
        with suppress(WrongPassword):
            async with signed_in(cloud, state=state, url=EU, **changes[change]):
                pass
        assert len(cloud.sign_ins) == 2


async def test_a_mistyped_one_time_code_is_not_remembered_beyond_the_block():
    codes = iter(["1", "123456"])

    async def mfa() -> str:
        return next(codes)

    async with (
        scripted_cloud(mfa_code="123456") as cloud,
        remembering(cloud) as state,
    ):
        with pytest.raises(WrongMfaCode):
            async with signed_in(cloud, state=state, mfa=mfa):
                pass
        async with signed_in(cloud, state=state, mfa=mfa):
            assert cloud.made == 1


@pytest.mark.parametrize(
    "kept",
    [{}, {"error": 7, "message": None, "at_s": "x", "failures": "many"},
     {"error": "__name__", "at_s": 1e308, "failures": -1},
     {"error": "WrongPassword", "salt": 7, "proof": []},
     {"error": "WrongPassword", "salt": "\udc80", "proof": "\udc80ä"}],
)  # fmt: skip
async def test_a_note_of_a_failure_may_hold_anything(kept: dict[str, object]):
    async with scripted_cloud() as cloud, remembering(cloud) as state:
        await state.keep("sign-in", kept)
        async with signed_in(cloud, state=state) as account:
            await account.devices()


@pytest.mark.parametrize("code", [1003, 1035])
async def test_a_banned_account_is_left_alone_and_may_be_forgiven(code: int):
    async with scripted_cloud() as cloud, remembering(cloud) as state:
        store = cloud.kept()
        cloud.answer(Path.DEVICES, *[code] * 100)
        for _ in range(100):
            async with signed_in(cloud, state=state, store=store) as account:
                with pytest.raises(AccountBanned):
                    await account.devices()
            await anyio.sleep(120)
        assert [one.at_s for one in cloud.asked] == [0, 120, 240, 3840, 7440, 11040]
        cloud.answers.clear()
        # A person has heard that it is over.
        async with signed_in(
            cloud, state=state, store=store, retry_refused=True
        ) as account:
            await account.devices()
