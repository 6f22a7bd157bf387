"""The simulated cloud's HTTP API: sign-in, tokens, and how it refuses."""

from __future__ import annotations

import json
from urllib.parse import urlencode

import anyio
import pytest

from structiot.errors import ConnectFailed, ReplyTimeout, UsageError
from structiot.meross.wire.cloud import Path, encode_request
from structiot.sim.meross import sim_meross_cloud
from structiot.sim.shared import show_fault
from tests.sim.meross.asking_cloud import (
    HOST,
    PASSWORD,
    UUID,
    asker,
    cloud_and_asker,
)

pytestmark = pytest.mark.virtual_time

AUTHENTICATED = [
    Path.LOG_OUT,
    Path.LOG,
    Path.DEVICES,
    Path.SUBDEVICES,
    Path.FIRMWARE,
    "/v1/Device/devInfo",
    "/v1/Device/devExtraInfo",
]


async def test_a_sign_in_gives_all_that_an_app_needs():
    async with cloud_and_asker() as (cloud, ask):
        reply = await ask.sign_in()
        assert reply["apiStatus"] == reply["sysStatus"] == 0
        assert reply["info"] == "Success"
        assert isinstance(reply["timeStamp"], int)
        assert reply["data"] == {
            "userid": cloud.user_id,
            "email": "user@example.com",
            "key": cloud.key,
            "token": ask.token,
            "domain": cloud.url,
            "mqttDomain": f"{HOST}:{cloud.broker.port}",
            "mfaLockExpire": 0,
        }
        assert cloud.user_id.isdigit()
        assert len(cloud.key) == 32
        assert len(ask.token) == 64
        assert cloud.url.startswith(f"http://{HOST}:")
        assert cloud.sign_ins == cloud.valid_tokens == 1


async def test_the_same_account_has_the_same_number_and_key_each_time():
    async with cloud_and_asker() as (first, _), cloud_and_asker() as (second, _):
        assert (first.user_id, first.key) == (second.user_id, second.key)
    async with cloud_and_asker(email="other@example.com") as (other, _):
        assert (other.user_id, other.key) != (first.user_id, first.key)


async def test_the_password_may_come_in_clear():
    async with cloud_and_asker() as (_, ask):
        reply = await ask.sign_in(password="", encryption=0)
        assert reply["apiStatus"] == 1004
        words = {"email": "User@Example.com", "password": PASSWORD}
        assert await ask.code(Path.SIGN_IN, words) == 0


async def test_wrong_logins_are_told_apart():
    async with cloud_and_asker() as (cloud, ask):
        assert (await ask.sign_in("battery staple"))["apiStatus"] == 1004
        assert (await ask.sign_in(email="no@example.com"))["apiStatus"] == 1008
        assert (await ask.sign_in(email=""))["apiStatus"] == 1000
        assert cloud.sign_ins == 0
        assert [call.code for call in cloud.requests] == [1004, 1008, 1000]
        assert {call.path for call in cloud.requests} == {Path.SIGN_IN}


async def test_a_form_is_read_as_json_is():
    async with cloud_and_asker() as (_, ask):
        await ask.sign_in()
        body = json.loads(encode_request({}, timestamp_ms=17, nonce="N"))
        reply = await ask.http.request(
            "POST",
            Path.DEVICES,
            headers={"Authorization": f"Basic {ask.token}"},
            body=urlencode(body).encode(),
        )
        assert json.loads(reply.body)["data"] == []


async def test_a_wrong_signature_is_told_by_a_code():
    async with cloud_and_asker() as (cloud, ask):
        reply = await ask.whole(Path.LOG, sign="0" * 32)
        assert (reply["status"], reply["apiStatus"]) == (200, 1023)
        cloud.quirks.refuses_sign_by_status = True
        reply = await ask.whole(Path.LOG, sign="0" * 32)
        assert (reply["status"], reply["apiStatus"]) == (400, 5000)
        assert await ask.code(Path.LOG, params="no base64!") == 20101


@pytest.mark.parametrize("path", AUTHENTICATED)
async def test_everything_but_the_sign_in_needs_a_token(path):
    async with cloud_and_asker() as (_, ask):
        ask.token = "0" * 64
        reply = await ask.whole(path, {"uuid": UUID})
        assert reply["apiStatus"] == 1022
        assert reply["info"] == "No login"
        assert reply["data"] is None


async def test_unknown_paths_and_methods_are_not_found():
    async with cloud_and_asker() as (_, ask):
        for method, path in (("POST", "/v1/Auth/Login"), ("GET", Path.DEVICES)):
            assert (await ask.http.request(method, path)).status == 404


async def test_a_logout_frees_a_token():
    async with cloud_and_asker(max_tokens=1) as (cloud, ask):
        await ask.sign_in()
        assert (await ask.sign_in())["apiStatus"] == 1301
        assert await ask.code("/v1/Profile/Logout") == 0
        assert cloud.valid_tokens == 0
        assert await ask.code(Path.DEVICES) == 1022
        assert (await ask.sign_in())["apiStatus"] == 0


async def test_a_token_expires():
    async with cloud_and_asker(token_lifetime_s=3600, max_tokens=1) as (cloud, ask):
        await ask.sign_in()
        await anyio.sleep(3599)
        assert await ask.code(Path.LOG) == 0
        await anyio.sleep(1)
        assert await ask.code(Path.LOG) == 1200
        await ask.sign_in()
        assert await ask.code(Path.LOG) == 0
        cloud.expire_token()
        assert await ask.code(Path.LOG) == 1200
        cloud.revoke_tokens()
        assert await ask.code(Path.LOG) == 1022


async def test_a_second_factor_is_asked_for():
    async with cloud_and_asker(mfa_code="123456") as (_, ask):
        assert (await ask.sign_in())["apiStatus"] == 1033
        assert (await ask.sign_in(mfaCode="654321"))["apiStatus"] == 1032
        assert (await ask.sign_in("wrong", mfaCode="123456"))["apiStatus"] == 1004
        assert (await ask.sign_in(mfaCode="123456"))["apiStatus"] == 0


async def test_another_region_sends_to_the_right_one():
    async with cloud_and_asker(redirect_from="iotx-us.example") as (cloud, ask):
        network = cloud.environment.network
        async with asker(cloud.redirecting_url, network) as other:
            reply = await other.sign_in()
            assert reply["apiStatus"] == 1030
            assert reply["data"] == {
                "domain": cloud.url,
                "mqttDomain": cloud.broker.domain,
            }
            assert await other.code(Path.DEVICES) == 1030
            cloud.redirects_to = cloud.redirecting_url
            assert (await other.sign_in())["data"]["domain"] == cloud.redirecting_url
        assert (await ask.sign_in())["apiStatus"] == 0


async def test_without_another_region_there_is_no_url_of_it():
    async with cloud_and_asker() as (cloud, _):
        with pytest.raises(UsageError, match="redirect_from"):
            _ = cloud.redirecting_url


async def test_who_asks_too_often_is_told():
    async with cloud_and_asker(requests_per_minute=2) as (_, ask):
        await ask.sign_in()
        assert await ask.code(Path.LOG) == 0
        assert await ask.code(Path.LOG) == 1028
        await anyio.sleep(61)
        assert await ask.code(Path.LOG) == 0


async def test_calls_are_refused_with_any_code_and_not_carried_out():
    async with cloud_and_asker() as (cloud, ask):
        cloud.faults.refusal_code = 1402
        cloud.faults.refuse_next(on="signIn")
        assert (await ask.sign_in())["apiStatus"] == 1402
        assert cloud.sign_ins == 0
        await ask.sign_in()
        await show_fault(cloud, "api_code=1042")
        assert await ask.code(Path.DEVICES) == 1042
        cloud.faults.clear()
        assert await ask.code(Path.DEVICES) == 0


async def test_a_banned_account_gets_nowhere():
    async with cloud_and_asker() as (cloud, ask):
        await ask.sign_in()
        cloud.ban("too much")
        cloud.ban("again")
        assert (cloud.is_banned, cloud.ban_reason) == (True, "too much")
        assert await ask.code(Path.DEVICES) == 1003
        assert (await ask.sign_in())["apiStatus"] == 1003
        cloud.unban()
        assert await ask.code(Path.DEVICES) == 0


async def test_a_second_sign_in_is_a_reason_for_a_ban():
    async with cloud_and_asker(max_sign_ins=1) as (cloud, ask):
        await ask.sign_in()
        await ask.code(Path.LOG_OUT)
        assert (await ask.sign_in())["apiStatus"] == 0
        assert (await ask.sign_in())["apiStatus"] == 1003
        assert cloud.ban_reason is not None
        assert "sign-in" in cloud.ban_reason
        assert cloud.sign_ins == 2


async def test_replies_differ_as_the_real_ones_have_differed():
    async with cloud_and_asker() as (cloud, ask):
        cloud.quirks.left_out = {"mfaLockExpire"}
        cloud.quirks.added = {"brandNew": [1]}
        data = (await ask.sign_in())["data"]
        assert "mfaLockExpire" not in data
        assert data["brandNew"] == [1]
        cloud.register(uuid=UUID, name="Plug")
        assert (await ask.data(Path.DEVICES))[0]["brandNew"] == [1]
        cloud.quirks.time_stamp = "text"
        assert len((await ask.whole(Path.LOG))["timeStamp"]) == 19
        cloud.quirks.time_stamp = "timestamp"
        assert isinstance((await ask.whole(Path.LOG))["timestamp"], int)
        cloud.quirks.time_stamp = "missing"
        reply = await ask.whole(Path.LOG)
        assert not {"timestamp", "timeStamp"} & reply.keys()
        assert reply["data"] == {}
        cloud.quirks.empty_data = "null"
        assert (await ask.whole(Path.LOG))["data"] is None
        cloud.quirks.empty_data = "missing"
        assert "data" not in await ask.whole(Path.LOG)


async def test_the_api_may_be_away_while_brokers_stay():
    async with cloud_and_asker() as (cloud, ask):
        await ask.sign_in()
        await cloud.unplug()
        with pytest.raises(ConnectFailed):
            await ask.code(Path.LOG)
        assert cloud.broker.is_plugged_in
        await cloud.plug_in()
        assert await ask.code(Path.LOG) == 0


async def test_a_reply_that_gets_lost_was_carried_out():
    async with cloud_and_asker() as (cloud, ask):
        cloud.faults.lose_reply_next(on="signIn")
        with pytest.raises(ReplyTimeout):
            await ask.sign_in()
        assert cloud.valid_tokens == 1


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_tokens": 0},
        {"max_tokens": None},
        {"messages_per_hour": "200"},
        {"token_lifetime_s": -1.0},
        {"mfa_code": 123456},
        {"email": None},
        {"ssl_context": True},
    ],
    ids=str,
)
async def test_wrong_arguments_are_told(wrong):
    with pytest.raises(UsageError, match=next(iter(wrong))):
        async with sim_meross_cloud(**wrong):
            pass


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ({"password": "\ud800"}, 1004),
        ({"password": ["x"]}, 1004),
        ({"email": {"a": 1}}, 1008),
        ({"mfaCode": [1]}, 1032),
        ({"mfaCode": {}}, 1033),
    ],
    ids=str,
)
async def test_odd_parameters_are_only_wrong(words, code):
    async with cloud_and_asker(mfa_code="123456") as (_, ask):
        right = {"email": "user@example.com", "password": PASSWORD}
        assert await ask.code(Path.SIGN_IN, {**right, **words}) == code


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff\xfe",
        b"[1]",
        b"{}",
        b'{"params": 7, "sign": null}',
        b'{"params": "e30=", "nonce": "\\ud800", "timestamp": 1}',
        b"{" * 5000,
    ],
)
async def test_a_body_that_is_none_is_an_invalid_parameter(body):
    async with cloud_and_asker() as (_, ask):
        reply = await ask.http.request("POST", Path.LOG, body=body)
        assert (reply.status, json.loads(reply.body)["apiStatus"]) == (200, 20101)
