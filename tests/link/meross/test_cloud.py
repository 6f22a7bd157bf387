"""Asking Meross's cloud: the token's life, what is listed, what is counted."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.flow.tasks import service_group
from structiot.errors import (
    AuthRefused,
    ConfigError,
    ConnectFailed,
    UsageError,
)
from structiot.meross.credentials import Credentials, MemoryStore
from structiot.meross.errors import (
    AccountBanned,
    AccountDisabled,
    CloudUnavailable,
    TokenExpired,
    TooManyTokens,
    WrongPassword,
    WrongRegion,
)
from structiot.meross.link.cloud import MerossCloud
from structiot.meross.wire.cloud import Path
from structiot.testing import cancel_sweep
from tests.link.meross.scripted_cloud import (
    EMAIL,
    PASSWORD,
    moved,
    scripted_cloud,
    signed_in,
)

pytestmark = pytest.mark.virtual_time


async def asked_by(account: MerossCloud, callers: int) -> list[object]:
    """Have many ask at once, and give what each got, by class if it is an error."""
    got: list[object] = []

    async def ask() -> None:
        try:
            got.append(await account.devices())
        except Exception as exc:
            got.append(type(exc))

    async with service_group(is_awaited=True) as tasks:
        for _ in range(callers):
            tasks.start_soon(ask)
    return got


def kept_in(store: MemoryStore) -> Credentials | None:
    """Give what is kept; a function, so that types do not remember it."""
    return store.credentials


async def test_a_kept_token_is_used_without_a_question():
    async with scripted_cloud() as cloud:
        async with signed_in(cloud, store=cloud.kept(), password=None) as account:
            assert cloud.asked == []
            assert await account.devices() == ()
        (asked,) = cloud.asked
        assert (asked.host, asked.token) == ("eu.cloud", "kept-token-0")
        # Leaving does not log out.
        assert "kept-token-0" in cloud.tokens


async def test_a_token_lasts_for_many_openings():
    async with scripted_cloud() as cloud:
        store = MemoryStore()
        for _ in range(24):
            async with signed_in(cloud, store=store) as account:
                await account.devices()
            await anyio.sleep(3600)
        assert cloud.made == 1


async def test_twenty_at_once_make_one_sign_in():
    async with scripted_cloud(delay_s=0.5) as cloud:
        store = cloud.kept(token="too-old")
        async with signed_in(cloud, store=store) as account:
            assert await asked_by(account, 20) == [()] * 20
            assert account.credentials.token.reveal() == "secret-token-1"
        assert cloud.made == 1
        assert kept_in(store) == account.credentials


@pytest.mark.parametrize("code", [1019, 1022, 1200])
async def test_a_token_that_was_of_use_is_healed_again(code):
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        for _ in range(3):
            await account.devices()
            await anyio.sleep(3600)
            cloud.answer(Path.DEVICES, code)
            await account.devices()
        assert cloud.made == 4


async def test_a_fresh_token_that_is_refused_is_the_end():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        cloud.answer(Path.DEVICES, *[1019] * 50)
        assert await asked_by(account, 20) == [TokenExpired] * 20
        asked = len(cloud.asked)
        for _ in range(10):
            await anyio.sleep(600)
            with pytest.raises(TokenExpired, match="1019"):
                await account.devices()
        assert cloud.made == 1
        assert len(cloud.asked) == asked


async def test_a_token_of_the_future_is_healed():
    """It was made by a clock that was ahead, or ours was set back."""
    async with scripted_cloud() as cloud:
        store = cloud.kept(token="too-old", issued_on="2099-01-01T00:00:00")
        async with signed_in(cloud, store=store) as account:
            await account.devices()
        assert cloud.made == 1


async def test_one_that_was_healed_and_is_refused_at_once_is_the_end():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        await account.devices()
        await anyio.sleep(3600)
        cloud.answer(Path.DEVICES, 1022, 1022)
        with pytest.raises(TokenExpired):
            await account.devices()
        assert cloud.made == 2


async def test_twenty_at_once_share_a_failure():
    async with scripted_cloud(delay_s=0.5) as cloud:
        store = cloud.kept(token="too-old")
        async with signed_in(cloud, store=store) as account:
            cloud.answer(Path.SIGN_IN, 1402)
            assert await asked_by(account, 20) == [CloudUnavailable] * 20
            assert len(cloud.sign_ins) == 1
            # The token is known to be of no use: nobody shows it again.
            assert await account.devices() == ()
            assert cloud.paths(Path.DEVICES)[-1].token == "secret-token-1"
            assert len(cloud.paths(Path.DEVICES)) == 21


async def test_what_a_retry_cannot_cure_is_tried_once():
    async with scripted_cloud() as cloud:
        store = cloud.kept(token="too-old")
        async with signed_in(cloud, store=store) as account:
            cloud.answer(Path.SIGN_IN, 1301)
            for _ in range(50):
                with pytest.raises(TooManyTokens, match="five hours"):
                    await account.devices()
                await anyio.sleep(600)
            assert len(cloud.sign_ins) == 1
            assert len(cloud.asked) == 2
        with pytest.raises(WrongPassword):
            async with signed_in(cloud, store=store, password="other") as account:
                await account.devices()


@pytest.mark.parametrize(
    ("code", "error"), [(1003, AccountDisabled), (1035, AccountBanned)]
)
async def test_an_account_that_is_refused_at_any_call_is_left_alone(code, error):
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        cloud.answer(Path.FIRMWARE, code)
        with pytest.raises(error):
            await account.firmware_versions()
        asked = len(cloud.asked)
        for _ in range(10):
            with pytest.raises(error):
                await account.devices()
            await anyio.sleep(600)
        assert len(cloud.asked) == asked


async def test_failures_within_a_block_are_few_too():
    async with scripted_cloud() as cloud:
        store = cloud.kept(token="too-old")
        async with signed_in(cloud, store=store) as account:
            cloud.answer(Path.SIGN_IN, *[5000] * 100)
            for _ in range(300):
                with pytest.raises(CloudUnavailable):
                    await account.devices()
                await anyio.sleep(1)
            assert [one.at_s for one in cloud.sign_ins] == [0, 1, 2, 62, 122, 182, 242]


async def test_without_a_password_a_token_cannot_be_healed():
    async with scripted_cloud() as cloud:
        store = cloud.kept(token="too-old")
        async with signed_in(cloud, store=store, password=None) as account:
            for _ in range(5):
                with pytest.raises(TokenExpired, match="no password"):
                    await account.devices()
            assert len(cloud.asked) == 1


async def test_a_token_that_another_program_has_made_is_taken():
    async with scripted_cloud() as cloud:
        store = cloud.kept()
        async with signed_in(cloud, store=store) as account:
            await account.devices()
            cloud.tokens.clear()
            store.credentials = cloud.kept(token="newer").credentials
            cloud.tokens.add("newer")
            assert await account.devices() == ()
            cloud.tokens.clear()
            # What that one has put there last is refused as well.
            store.credentials = cloud.kept(token="refused-too").credentials
            assert await account.devices() == ()
        assert cloud.made == 1


async def test_another_user_is_not_taken_for_the_same():
    async with scripted_cloud() as cloud:
        store = cloud.kept(token="too-old")
        cloud.user = "999"
        async with signed_in(cloud, store=store) as account:
            for _ in range(3):
                with pytest.raises(AuthRefused, match="another user"):
                    await account.devices()
        assert len(cloud.sign_ins) == 2
        assert store.credentials is not None
        assert store.credentials.token.reveal() == "too-old"


async def test_a_store_holds_one_account():
    async with scripted_cloud() as cloud:
        store = cloud.kept(user_email="Other@example.org")
        with pytest.raises(ConfigError, match=r"O\*\*\*@example\.org's"):
            async with signed_in(cloud, store=store):
                pass
        async with signed_in(cloud, store=store, email="other@example.ORG") as account:
            await account.devices()


class SlowDisk(MemoryStore):
    async def save(self, credentials: Credentials) -> None:
        await anyio.sleep(5)
        await super().save(credentials)


async def test_a_token_that_was_made_is_kept_by_whoever_is_cancelled():
    async with scripted_cloud() as cloud:
        store = SlowDisk()
        with anyio.move_on_after(1) as scope:
            async with signed_in(cloud, store=store) as account:
                await account.devices()
        assert scope.cancelled_caught
        assert kept_in(store) is not None
        assert anyio.current_time() == 5


class FullDisk(MemoryStore):
    async def save(self, credentials: Credentials) -> None:
        raise ConfigError("the disk is full")


async def test_a_token_that_cannot_be_kept_is_used_all_the_same(caplog):
    async with scripted_cloud() as cloud:
        async with signed_in(cloud, store=FullDisk()) as account:
            assert await account.devices() == ()
    assert "the disk is full" in caplog.text


async def test_a_region_may_be_told_at_any_call():
    async with scripted_cloud() as cloud:
        async with signed_in(cloud, store=cloud.kept()) as account:
            cloud.answer(Path.DEVICES, moved("http://us.cloud"))
            cloud.home = "us.cloud"
            assert await account.devices() == ()
            cloud.home = "eu.cloud"
            # The next goes where the sign-in has said.
            await account.devices()
            hosts = [one.host for one in cloud.asked]
            assert hosts == ["eu.cloud", "us.cloud", "eu.cloud"]
            cloud.answer(
                Path.DEVICES, moved("http://us.cloud"), moved("http://eu.cloud")
            )
            with pytest.raises(WrongRegion):
                await account.devices()
            assert len(cloud.asked) == 5
            for number in range(6):
                cloud.answer(Path.DEVICES, moved(f"http://host-{number}"))
                with pytest.raises(ConnectFailed):
                    await account.devices()
            cloud.answer(Path.DEVICES, moved("http://one-too-many"))
            with pytest.raises(WrongRegion, match="server to server"):
                await account.devices()


async def test_the_region_of_an_old_file_is_found_and_kept():
    async with scripted_cloud() as cloud:
        store = cloud.kept(domain=None, mqtt_domain=None)
        async with signed_in(cloud, store=store) as account:
            await account.devices()
            await account.devices()
        hosts = [one.host for one in cloud.asked]
        assert hosts == ["us.cloud", "eu.cloud", "eu.cloud"]
        assert store.credentials is not None
        assert store.credentials.domain == "http://eu.cloud"


async def test_logging_out_gives_the_token_back():
    async with scripted_cloud() as cloud:
        store = MemoryStore()
        async with signed_in(cloud, store=store) as account:
            cloud.answer(Path.LOG_OUT, 5000)
            with pytest.raises(CloudUnavailable):
                await account.log_out()
            assert kept_in(store) == account.credentials
            await account.log_out()
            await account.log_out()
            assert (cloud.tokens, kept_in(store)) == (set(), None)
            for use in (account.devices, account.firmware_versions):
                with pytest.raises(UsageError, match="logged out"):
                    await use()
            await account.sign_in()
            cloud.tokens.clear()
            await account.log_out()
        assert kept_in(store) is None
        assert cloud.made == 2


async def test_after_the_block_nothing_is_asked():
    async with scripted_cloud() as cloud:
        async with signed_in(cloud) as account:
            pass
        asked = len(cloud.asked)
        with pytest.raises(UsageError, match="has ended"):
            await account.devices()
        assert len(cloud.asked) == asked


async def test_nothing_is_left_wherever_it_is_cancelled():
    async def mfa() -> str:
        await anyio.sleep(1)
        return "42"

    async with scripted_cloud(mfa_code="42") as cloud:

        async def flow() -> None:
            store = MemoryStore()
            made = cloud.made
            cloud.tokens.clear()
            async with signed_in(cloud, mfa=mfa, store=store) as account:
                # Whatever is cut short afterwards: the token is kept.
                assert kept_in(store) == account.credentials
                await account.devices()
                cloud.tokens.clear()
                await anyio.sleep(100)
                assert await asked_by(account, 3) == [()] * 3
                await account.log_out()
            assert (cloud.made, kept_in(store)) == (made + 2, None)

        assert await cancel_sweep(flow) > 20


async def test_an_account_goes_on_wherever_a_call_was_cancelled():
    async with scripted_cloud(delay_s=0.4) as cloud:
        async with signed_in(cloud) as account:
            for tenths in range(1, 20):
                with anyio.move_on_after(tenths / 10):
                    cloud.tokens.clear()
                    await account.devices()
                await anyio.sleep(100)
            assert await account.devices() == ()
            assert cloud.asked[-1].params == {}


async def test_what_an_account_shows_of_itself():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        assert repr(account) == f"<MerossCloud of {EMAIL}>"
        assert PASSWORD not in repr(vars(account))
