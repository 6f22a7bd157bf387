"""What becomes of an account's brokers: refused, moved, with another key; logged out."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.redact import Secret
from structiot.errors import StructiotError, UsageError
from structiot.meross import MemoryStore
from structiot.meross.credentials import Credentials
from structiot.meross.link.brokers import BrokerPlace
from structiot.meross.wire.mqtt import app_password
from structiot.mqtt import open_broker
from structiot.mqtt.broker import hash_password
from tests.link.meross.test_account import EMAIL, House, house, known, lists
from tests.link.meross.test_brokers import Counted

pytestmark = pytest.mark.virtual_time

BROKER = BrokerPlace("10.9.9.9", 1883)
URI = f"mqtt://{BROKER.host}:{BROKER.port}"
A_DAY_S = 86_400


def logins(home: House, key: str) -> Counted:
    user = home.cloud.user_id
    return Counted({user: hash_password(app_password(user, key))})


async def test_a_broker_that_has_refused_is_tried_again_once_an_hour():
    async with house() as home:
        wrong, right = logins(home, "x" * 32), logins(home, home.cloud.key)
        async with home.account(broker=BROKER) as meross:
            async with open_broker(URI, passwords=wrong, environment=home.environment):
                await anyio.sleep(3 * 3_600)
                assert 3 <= wrong.tries <= 5
                assert len(lists(home.cloud)) <= 9
            async with open_broker(URI, passwords=right, environment=home.environment):
                await anyio.sleep(3_700)
                assert meross.brokers.is_connected(BROKER)
                assert right.tries == 1


def with_another_key(home: House, token: str) -> MemoryStore:
    """Give a store that holds a token, and a key from before."""
    credentials = Credentials(
        token=Secret(token),
        key=Secret("f" * 32),
        user_id=home.cloud.user_id,
        email=EMAIL,
        domain=home.cloud.url,
    )
    return MemoryStore(credentials)


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
@pytest.mark.parametrize("has_password", [True, False])
async def test_another_key_is_taken_up_where_the_token_is_healed(policy, has_password):
    """As after a change of the password, of which another program has a token."""
    async with house(["mss310", "msl120"]) as home:
        good = MemoryStore()
        async with home.account(store=good) as meross:
            await known(meross)
        assert good.credentials is not None
        token = good.credentials.token.reveal()
        store = with_another_key(home, token)
        login = {} if has_password else {"password": None}
        async with home.account(store=store, policy=policy, **login) as meross:
            await anyio.sleep(600)
            with pytest.raises(StructiotError):
                await meross.device("Device 0").turn_on()
            home.cloud.expire_token()
            if not has_password:
                async with home.account(store=(newer := MemoryStore())):
                    store.credentials = newer.credentials
            await anyio.sleep(3_700)
            for name in ("Device 0", "Device 1"):
                device = await known(meross, name)
                await device.turn_on()
                assert device.is_available
            assert meross.brokers.account.key == home.cloud.key


async def test_a_broker_that_no_device_is_on_any_more_is_left():
    async with (
        house(second_broker=True) as home,
        home.account(policy="cloud_only") as meross,
    ):
        plug = await known(meross)
        before = plug.route.broker
        assert before is not None
        home.cloud.devices[plug.info.id].broker = 1
        await meross.refresh()
        await anyio.sleep(5)
        assert plug.route.broker not in {before, None}
        assert meross.brokers.is_connected(plug.route.broker)
        assert not meross.brokers.is_connected(before)


async def test_one_broker_for_all_is_lost_and_back():
    async with house() as home:
        right = logins(home, home.cloud.key)
        async with home.account(broker=BROKER, policy="cloud_only") as meross:
            plug = meross.device("Device 0")
            async with open_broker(URI, passwords=right, environment=home.environment):
                await anyio.sleep(10)
                assert meross.brokers.is_connected(BROKER)
            await anyio.sleep(10)
            assert not plug.is_available
            assert str(BROKER.port) in plug.availability.reason


async def test_whoever_has_logged_out_uses_the_devices_to_the_end():
    async with house(["msh300hk"]) as home, home.account() as meross:
        # A hub is asked for what hangs on it, and the cloud for its list each day.
        await meross.log_out()
        device = await known(meross)
        await home.cloud.restart_brokers()
        await anyio.sleep(A_DAY_S + 200)
        async with device.events():
            await anyio.sleep(60)
        assert device.is_available
        await device.request("Appliance.System.All")
        with pytest.raises(UsageError, match="logged out"):
            await meross.refresh()
