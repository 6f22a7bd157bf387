"""`sim_senergy`'s HTTP side: tokens, hubs, devices, and what it gets wrong."""

from __future__ import annotations

from typing import Any

import anyio
import pytest

from structiot.errors import ReplyTimeout, UsageError
from structiot.sim import SenergyRules, show_fault, sim_senergy
from tests.sim.connector.raw_senergy import FAN, LAMP, json_of, logged_in

pytestmark = pytest.mark.virtual_time


# ------------------------------------------------------------ tokens


async def test_a_token_is_good_for_as_long_as_it_says_and_can_be_renewed(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        first = await raw.log_in()
        assert (first["expires_in"], first["refresh_expires_in"]) == (300, 1800)
        assert (await raw.call("GET", "local-devices")) == (200, [])
        await anyio.sleep(300)
        assert (await raw.call("GET", "local-devices"))[0] == 401
        refresh = {"grant_type": "refresh_token"}
        reply = await raw.ask_token(refresh_token=first["refresh_token"], **refresh)
        raw.token = json_of(reply)["access_token"]
        assert (await raw.call("GET", "local-devices"))[0] == 200
        await anyio.sleep(1800)
        late = await raw.ask_token(refresh_token=first["refresh_token"], **refresh)
        assert (late.status, json_of(late)["error"]) == (400, "invalid_grant")
        assert (senergy_sim.logins, senergy_sim.renewals) == (2, 1)


async def test_what_is_wrong_in_a_login_is_said_as_keycloak_says_it(environment):
    async with (
        sim_senergy(environment=environment) as platform,
        logged_in(platform) as raw,
    ):
        platform.rules.client_id = "known"
        for form, status, error in (
            ({"username": "testuser", "password": "wrong"}, 401, "invalid_grant"),
            ({"username": "nobody", "password": "secret"}, 401, "invalid_grant"),
            ({"client_id": "other"}, 401, "invalid_client"),
            ({"grant_type": "magic"}, 400, "unsupported_grant_type"),
        ):
            asked = {"grant_type": "password", "client_id": "known", **form}
            reply = await raw.ask_token(**asked)
            assert (reply.status, json_of(reply)["error"]) == (status, error)


async def test_tokens_can_be_revoked(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        await show_fault(senergy_sim, "revoke_tokens")
        assert await raw.call("GET", "local-devices") == (401, "no token that is good")


# ------------------------------------------------------------ devices


async def test_a_device_is_made_found_changed_and_removed(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        assert await raw.call("GET", "local-devices", "dev1") == (404, "not found")
        status, made = await raw.call("POST", "local-devices", json=LAMP, wait="true")
        assert status == 200
        assert made["id"].startswith("urn:infai:ses:device:")
        assert made["owner_id"] == senergy_sim.user.id
        assert await raw.call("GET", "local-devices", "dev1") == (200, made)
        assert await raw.call("GET", "local-devices", ids="x,dev1") == (200, [made])
        changed = {**LAMP, "name": "Other", "attributes": []}
        status, told = await raw.call("PUT", "local-devices", "dev1", json=changed)
        assert (status, told["name"], told["attributes"]) == (200, "Other", [])
        assert told["id"] == made["id"]
        assert await raw.call("DELETE", "local-devices", "dev1") == (200, True)
        assert (await raw.call("DELETE", "local-devices", "dev1"))[0] == 404


async def test_attributes_of_other_origins_stay_if_that_is_asked_for(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        await raw.make(LAMP)
        ours = {"key": "floor", "value": "1", "origin": "ours"}
        lost = {"key": "x", "value": "y", "origin": "somebody's"}
        changed = {**LAMP, "attributes": [ours, lost]}
        query = {"update-only-same-origin-attributes": "ours"}
        status, told = await raw.call(
            "PUT", "local-devices", "dev1", json=changed, **query
        )
        assert (status, told["attributes"]) == (200, [ours, *LAMP["attributes"]])


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"id": "urn:1"}, "preset id"),
        ({"local_id": ""}, "missing local_id"),
        ({"name": None}, "missing name"),
        ({"device_type_id": "kettle"}, "unknown device type"),
        ({"attributes": [{"key": "a", "value": 1}]}, "attributes"),
    ],
)
async def test_a_device_that_cannot_be_is_refused(environment, change, told):
    types = {"lamp": ["on"]}
    async with (
        sim_senergy(device_types=types, environment=environment) as platform,
        logged_in(platform) as raw,
    ):
        status, text = await raw.call("POST", "local-devices", json={**LAMP, **change})
        assert status == 400
        assert told in text
        assert platform.devices == {}


async def test_what_is_made_is_found_late_unless_it_is_waited_for(environment):
    rules = SenergyRules(visible_after_s=20)
    async with (
        sim_senergy(rules=rules, environment=environment) as platform,
        logged_in(platform) as raw,
    ):
        await raw.make(LAMP)
        await raw.call("POST", "local-devices", json=FAN, wait="true")
        assert (await raw.call("GET", "local-devices", "dev1"))[0] == 404
        assert (await raw.call("GET", "local-devices", "dev2"))[0] == 200
        await anyio.sleep(20)
        assert (await raw.call("GET", "local-devices", "dev1"))[0] == 200


# ------------------------------------------------------------ hubs


async def test_a_hub_is_made_changed_and_removed(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        await raw.make(LAMP, FAN)
        hub_id = await raw.make_hub("dev1")
        assert (await raw.call("HEAD", "hubs", hub_id))[0] == 200
        _, hub = await raw.call("GET", "hubs", hub_id)
        assert hub["device_local_ids"] == ["dev1"]
        assert hub["device_ids"] == [senergy_sim.devices["dev1"].id]
        body = {"id": hub_id, "name": "N", "hash": "h", "device_local_ids": ["dev2"]}
        assert (await raw.call("PUT", "hubs", hub_id, json=body))[0] == 200
        assert senergy_sim.hubs[hub_id].hash == "h"
        await raw.call("PUT", "hubs", hub_id, "name", json="Other")
        assert senergy_sim.hubs[hub_id].name == "Other"
        await raw.call("DELETE", "local-devices", "dev2")
        assert senergy_sim.hubs[hub_id].device_local_ids == []
        assert (await raw.call("DELETE", "hubs", hub_id))[0] == 200
        assert (await raw.call("HEAD", "hubs", hub_id))[0] == 404


@pytest.mark.parametrize("ids", [["dev1", "unknown"], ["dev1", "dev1"]])
async def test_a_hub_holds_devices_that_there_are_once(senergy_sim, ids):
    async with logged_in(senergy_sim) as raw:
        await raw.make(LAMP)
        hub_id = await raw.make_hub()
        body = {"id": hub_id, "name": "N", "device_local_ids": ids}
        status, told = await raw.call("PUT", "hubs", hub_id, json=body)
        assert (status, told) == (400, "not all local device ids found")
        wrong = await raw.call("PUT", "hubs", hub_id, json={**body, "id": "other"})
        assert wrong[0] == 400


async def test_the_hubs_and_devices_of_another_user_are_closed(environment):
    users = {"anna": "a", "berta": "b"}
    async with (
        sim_senergy(users, environment=environment) as platform,
        logged_in(platform, "anna", "a") as anna,
        logged_in(platform, "berta", "b") as berta,
    ):
        await anna.make(LAMP)
        hub_id = await anna.make_hub()
        assert (await berta.call("GET", "hubs", hub_id))[0] == 403
        assert (await berta.call("GET", "local-devices", "dev1"))[0] == 404
        assert await berta.call("GET", "device-repository", "hubs") == (200, [])


async def test_only_the_repository_lists_hubs_and_only_if_there_is_one(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        hub_id = await raw.make_hub()
        assert (await raw.call("GET", "hubs"))[0] == 405
        for search, found in (("hu", [hub_id]), ("other", [])):
            status, hubs = await raw.call(
                "GET", "device-repository", "hubs", search=search
            )
            assert (status, [hub["id"] for hub in hubs]) == (200, found)
        senergy_sim.rules.lists_hubs = False
        assert (await raw.call("GET", "device-repository", "hubs"))[0] == 404


# ------------------------------------------------------------ trouble


async def test_calls_meet_the_faults_that_are_meant_for_them(senergy_sim):
    async with logged_in(senergy_sim) as raw:
        senergy_sim.faults.refuse_next(on="hubs")
        assert (await raw.call("GET", "local-devices"))[0] == 200
        assert await raw.call("GET", "hubs", "x") == (500, "as it was told to")
        await show_fault(senergy_sim, "http_status=503")
        assert (await raw.call("GET", "local-devices"))[0] == 503
        senergy_sim.faults.clear()
        senergy_sim.faults.drop_next(on="devices")
        with pytest.raises(ReplyTimeout):
            await raw.call("GET", "local-devices")
        calls = [(one.method, one.status) for one in senergy_sim.calls]
        assert calls[-3:] == [("GET", 200), ("GET", 500), ("GET", 503)]


async def test_arguments_of_another_class_are_refused(environment):
    wrongs: list[dict[str, Any]] = [
        {"users": {}},
        {"records_kept": 0},
        {"rules": {}},
        {"mqtt_port": ""},
    ]
    for wrong in wrongs:
        with pytest.raises(UsageError):
            async with sim_senergy(environment=environment, **wrong):
                pass
