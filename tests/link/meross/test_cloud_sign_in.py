"""Signing in to Meross's cloud: regions, one-time codes, refusals, and how often."""

from __future__ import annotations

import anyio
import pytest

from structiot._kit.http.messages import HttpReply
from structiot._kit.http.server import RawReply
from structiot.errors import (
    AuthRefused,
    CommandRefused,
    ConfigError,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    RateLimited,
    ReplyTimeout,
    TransportError,
    UsageError,
)
from structiot.meross.credentials import MemoryStore
from structiot.meross.errors import (
    AccountBanned,
    AccountDisabled,
    CloudUnavailable,
    MerossApiError,
    MfaRequired,
    NotSignedIn,
    TokenExpired,
    TooManyTokens,
    TooOften,
    WrongMfaCode,
    WrongPassword,
    WrongRegion,
)
from structiot.meross.wire.cloud import Path
from structiot.meross.wire.digests import md5_hex
from tests.link.meross.scripted_cloud import (
    EMAIL,
    EU,
    KEY,
    PASSWORD,
    US,
    USER,
    moved,
    scripted_cloud,
    signed_in,
)

pytestmark = pytest.mark.virtual_time

CODES = {
    WrongPassword: (1000, 1001, 1002, 1004, 1005, 1006, 1008),
    AccountDisabled: (1003,),
    AccountBanned: (1035,),
    MfaRequired: (1033,),
    WrongMfaCode: (1032,),
    TooManyTokens: (1301,),
    TokenExpired: (1019, 1022, 1200),
    TooOften: (1028, 1042),
    CloudUnavailable: (1023, 1201, 1402, 5000, 10001, 10002, 10003, 10006),
    MerossApiError: (500, 1007, 1041, 1043, 1255, 5020, 20101, 20112, 99999, -1),
}


async def test_a_sign_in_says_what_the_cloud_wants_to_know():
    async with scripted_cloud() as cloud, signed_in(cloud, country="de") as account:
        (first, second) = cloud.sign_ins
        assert (first.host, second.host) == ("us.cloud", "eu.cloud")
        assert first.params == second.params
        assert first.params == {
            "email": EMAIL,
            "password": md5_hex(PASSWORD),
            "encryption": 1,
            "accountCountryCode": "de",
            "agree": 0,
        }
        assert first.token == ""
        credentials = account.credentials
        assert credentials.token.reveal() == "secret-token-1"
        assert credentials.key.reveal() == KEY
        assert (credentials.user_id, credentials.email) == (USER, EMAIL)
        assert (credentials.domain, credentials.mqtt_domain) == (EU, "mqtt.eu")
        assert credentials.issued_at_utc == cloud.environment.now_utc()


async def test_a_region_is_followed_once():
    async with scripted_cloud() as cloud:
        cloud.answer(Path.SIGN_IN, moved(EU), moved("http://ap.cloud"))
        with pytest.raises(WrongRegion, match="another region") as caught:
            async with signed_in(cloud, url=US):
                pass
        assert caught.value.domain == "http://ap.cloud"
        # Without a scheme it is https, as MerossIot takes it, where nobody listens.
        with pytest.raises(ConnectFailed, match=r"eu\.cloud:443"):
            cloud.answer(Path.SIGN_IN, moved("eu.cloud"))
            async with signed_in(cloud):
                pass


@pytest.mark.parametrize(
    "domain", [None, 7, "", "http://", "ftp://eu.cloud", "http://eu.cloud:99999",
               "http://user:pw@eu.cloud", "http://1.2.3.999", "http://[::::]"]
)  # fmt: skip
async def test_a_region_that_is_no_server(domain):
    async with scripted_cloud() as cloud:
        cloud.answer(Path.SIGN_IN, moved(domain))
        with pytest.raises(WrongRegion):
            async with signed_in(cloud):
                pass


async def test_what_began_encrypted_goes_on_so():
    async with scripted_cloud() as cloud:
        store = cloud.kept(domain="http://eu.cloud")
        async with signed_in(cloud, url="https://us.cloud", store=store) as account:
            with pytest.raises(ConnectFailed, match=r"eu\.cloud:443"):
                await account.devices()


async def test_a_one_time_code_is_asked_for_once():
    asked = []

    async def mfa() -> str:
        asked.append(anyio.current_time())
        await anyio.sleep(50)
        return " 123456 "

    async with scripted_cloud(mfa_code="123456") as cloud:
        async with signed_in(cloud, mfa=mfa) as account:
            await account.devices()
        assert [one.params.get("mfaCode") for one in cloud.sign_ins] == [
            None, None, "123456",
        ]  # fmt: skip
        assert cloud.sign_ins[-1].host == "eu.cloud"
        assert asked == [0.0]


@pytest.mark.parametrize("code", ["000000", "1"])
@pytest.mark.parametrize("answer", [1032, 1033])
async def test_a_wrong_one_time_code_is_wrong_whatever_the_number(
    code: str, answer: int
):
    async def mfa() -> str:
        return code

    async with scripted_cloud() as cloud:
        cloud.answer(Path.SIGN_IN, 1033, answer)
        with pytest.raises(WrongMfaCode, match="fresh one") as caught:
            async with signed_in(cloud, mfa=mfa):
                pass
        assert caught.value.account == EMAIL
        assert len(cloud.sign_ins) == 2


async def test_without_a_one_time_code_there_is_no_way_in():
    async def gives_up() -> str:
        return "  "

    async def sleeps() -> str:
        await anyio.sleep_forever()
        return ""

    async with scripted_cloud(mfa_code="123456") as cloud:
        for mfa in (None, gives_up, sleeps):
            with pytest.raises(MfaRequired, match="one-time code"):
                async with signed_in(cloud, mfa=mfa, url=EU):
                    pass
        assert len(cloud.sign_ins) == 3
        assert anyio.current_time() == pytest.approx(300, abs=1)


async def test_what_the_callback_raises_comes_out_as_it_is():
    async def fails() -> str:
        raise ZeroDivisionError

    async with scripted_cloud(mfa_code="1") as cloud:
        with pytest.raises(ZeroDivisionError):
            async with signed_in(cloud, mfa=fails):
                pass


@pytest.mark.parametrize(
    ("code", "error"), [(code, error) for error in CODES for code in CODES[error]]
)
@pytest.mark.parametrize("path", [Path.SIGN_IN, Path.DEVICES])
async def test_every_number_has_its_class(path, code, error):
    async with scripted_cloud() as cloud:
        cloud.answer(path, *[code] * 3)
        with pytest.raises(error) as caught:
            async with signed_in(cloud) as account:
                await account.devices()
        assert type(caught.value) is error
        assert caught.value.code == code
        assert str(code) in str(caught.value)
        assert f"No {code}" in str(caught.value)
        if isinstance(caught.value, AuthRefused):
            assert caught.value.account == EMAIL


@pytest.mark.parametrize(
    ("cls", "parent"),
    [
        (WrongPassword, AuthRefused),
        (AccountDisabled, AccountBanned),
        (AccountBanned, AuthRefused),
        (MfaRequired, AuthRefused),
        (WrongMfaCode, AuthRefused),
        (TooManyTokens, AuthRefused),
        (TokenExpired, AuthRefused),
        (CloudUnavailable, TransportError),
        (TooOften, RateLimited),
        (MerossApiError, CommandRefused),
    ],
)
def test_each_class_says_what_to_do_by_its_parent(cls, parent):
    assert issubclass(cls, parent)


HTTP = {
    "no cloud": (HttpReply(status=404, body=b"<html>"), ProtocolViolation),
    "moved": (HttpReply(status=302), ProtocolViolation),
    "gateway": (HttpReply(status=502, body=b"<html>"), CloudUnavailable),
    "code of its own": (
        HttpReply(status=400, body=b'{"apiStatus": 5000}'), CloudUnavailable,
    ),
    "says success": (HttpReply(status=500, body=b'{"apiStatus": 0}'), CloudUnavailable),
    "no JSON": (HttpReply(body=b"hello"), ProtocolViolation),
    "no number": (HttpReply(body=b'{"apiStatus": "no"}'), ProtocolViolation),
    "a list": (HttpReply(body=b"[]"), ProtocolViolation),
    "no data": (HttpReply(body=b'{"apiStatus": 0}'), ProtocolViolation),
    "bare": (
        HttpReply(body=b'{"apiStatus":0,"data":{"token":"a b","key":1,"userid":"/"}}'),
        ProtocolViolation,
    ),
    "hung up": (RawReply(), LinkLost),
    "silent": (RawReply(is_left_open=True), ReplyTimeout),
    "no HTTP": (RawReply(data=b"SSH-2.0\r\n\r\n"), ProtocolViolation),
    "too much": (HttpReply(body=b"x" * 5_000_000), ProtocolViolation),
}  # fmt: skip


@pytest.mark.parametrize(("reply", "error"), HTTP.values(), ids=list(HTTP))
async def test_a_reply_that_is_none_is_an_error_in_words(reply, error):
    async with scripted_cloud() as cloud:
        cloud.answer(Path.SIGN_IN, reply)
        with pytest.raises(error) as caught:
            async with signed_in(cloud, reply_s=5.0):
                pass
        assert str(caught.value)
        assert anyio.current_time() <= 5.0


async def test_nothing_to_sign_in_with():
    async with scripted_cloud() as cloud:
        for options in ({"password": None}, {"email": None}, {"store": MemoryStore()}):
            with pytest.raises(NotSignedIn, match="give email= and password="):
                async with signed_in(cloud, **{"password": None, **options}):
                    pass
        for url in ("", "ftp://us.cloud", "us cloud"):
            with pytest.raises(ConfigError, match="url"):
                async with signed_in(cloud, url=url):
                    pass
        with pytest.raises(ConfigError, match="half a character") as caught:
            async with signed_in(cloud, password="hunter\udc802"):
                pass
        assert caught.value.__context__ is None
        with pytest.raises(UsageError, match="password is str"):
            async with signed_in(cloud, password=b"hunter2"):
                pass
        assert cloud.asked == []


async def test_who_was_asked_too_often_is_left_alone():
    async with scripted_cloud() as cloud, signed_in(cloud) as account:
        cloud.answer(
            Path.DEVICES, HttpReply(status=429, headers={"Retry-After": "30"}), 1028
        )
        with pytest.raises(TooOften) as caught:
            await account.devices()
        assert caught.value.retry_after_s == 30
        await anyio.sleep(20)
        with pytest.raises(TooOften, match="left alone") as caught:
            await account.devices()
        assert caught.value.retry_after_s == 10
        await anyio.sleep(10)
        with pytest.raises(TooOften):
            await account.devices()
        await anyio.sleep(59)
        with pytest.raises(TooOften):
            await account.devices()
        await anyio.sleep(2)
        assert await account.devices() == ()
        assert len(cloud.paths(Path.DEVICES)) == 3
