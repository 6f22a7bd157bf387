"""Hubs: which subdevices there are, and whose an item is (reference 4.12 and 12)."""

from __future__ import annotations

import pytest

from structiot.meross.features.hub import Hub, is_hub
from structiot.meross.features.hub_roster import MAX_SUBDEVICES
from structiot.meross.features.subdevice import SubAbout
from structiot.meross.wire.device_list import read_subdevices
from tests._support.meross_features import AT, about, entity

VALVE, SENSOR = "01000A0B", "1200AABBCCDD"
ONLINE = "Appliance.Hub.Online"
BATTERY = "Appliance.Hub.Battery"
VALVES_ALL = "Appliance.Hub.Mts100.All"
SENSORS_ALL = "Appliance.Hub.Sensor.All"
TEMPERATURE = "Appliance.Hub.Mts100.Temperature"
VALVE_ITEM = {
    "id": VALVE, "status": 1, "scheduleBMode": 6, "onoff": 1,
    "lastActiveTime": 1699999900, "mts100v3": {"mode": 1},
}  # fmt: skip
SENSOR_ITEM = {
    "id": SENSOR, "status": 1, "onoff": 0, "lastActiveTime": 1699999950,
    "ms100": {"latestTime": 1699999950, "latestTemperature": 214,
              "latestHumidity": 480, "voltage": 2810},
}  # fmt: skip


def digest(*items):
    return {"hub": {"hubId": -12345678, "mode": 0, "subdevice": list(items)}}


def a_hub(*abilities):
    return Hub(about("msh300", *abilities))


@pytest.fixture
def hub():
    return Hub(about("msh300", ONLINE, BATTERY, VALVES_ALL, SENSORS_ALL))


def kinds(hub):
    return {sub_id: sub.about.kind for sub_id, sub in hub.subdevices.items()}


@pytest.mark.parametrize(
    ("found", "abilities", "right"),
    [
        ({"hub": {}}, {}, True),
        ({}, {"Appliance.Hub.SubdeviceList": {}}, True),
        ({}, {"Appliance.Hub.Whatever": {}}, True),
        ({"hub": 1}, {"Appliance.Control.ToggleX": {}}, False),
    ],
)
def test_what_a_hub_is(found, abilities, right):
    assert is_hub(found, abilities) is right


def test_a_digest_lists_subdevices_with_kinds_by_their_objects(hub):
    update = hub.take_digest(digest(VALVE_ITEM, SENSOR_ITEM), AT)
    assert update.is_changed
    assert update.online == {VALVE: True, SENSOR: True}
    assert kinds(hub) == {VALVE: "mts100v3", SENSOR: "ms100"}
    assert update.subdevices[SENSOR].states == {
        "temperature": 21.4, "humidity": 48, "voltage": 2.81}  # fmt: skip
    again = hub.take_digest(digest(VALVE_ITEM, SENSOR_ITEM), AT)
    assert (again.is_changed, again.online) == (False, {})


@pytest.mark.parametrize(
    ("members", "kind"),
    [
        ({"mts150": {"mode": 1}}, "mts150"),
        ({"mts100": {"mode": 1}}, "mts100"),
        ({"tempHumi": {"temp": 2140}}, "ms130"),
        ({"doorWindow": {"status": 0}}, "ms200"),
        ({"smokeAlarm": {"status": 170}}, "gs559"),
        ({"waterLeak": {"latestWaterLeak": 0}}, "ms405"),
        ({"mst": {"dura": 600, "wflow": 2}}, "mst100"),
        ({"waDet": [{"channel": 0, "wflow": 2}]}, "mst200"),
        ({"ms999z": {"x": 1}}, "ms999z"),
        ({"status": 2}, "unknown"),
    ],
)
def test_kinds_by_the_digest(hub, members, kind):
    hub.take_digest(digest({"id": "A1", "status": 1, **members}), AT)
    assert kinds(hub) == {"A1": kind}
    assert entity(hub.subdevices["A1"], "battery")


def test_kinds_by_answers(hub):
    hub.take(
        VALVES_ALL, {"all": [{"id": "A1", "mode": {"state": 1}, "temperature": {}}]}, AT
    )
    hub.take(
        SENSORS_ALL, {"all": [{"id": "A2", "temperature": {}, "humidity": {}}]}, AT
    )
    assert kinds(hub) == {"A1": "mts100v3", "A2": "ms100"}
    # What the digest and the cloud say is more exact, in this order.
    hub.take_digest(
        digest({"id": "A1", "mts150": {}}, {"id": "A2", "tempHumi": {}}), AT
    )
    assert kinds(hub) == {"A1": "mts150", "A2": "ms130"}
    cloud = [{"subDeviceId": "A1", "subDeviceType": "MTS150P", "subDeviceName": "Bath"}]
    assert hub.take_cloud(read_subdevices(cloud), AT).is_changed
    hub.take_digest(
        digest({"id": "A1", "mts150": {}}, {"id": "A2", "tempHumi": {}}), AT
    )
    assert hub.subdevices["A1"].about == SubAbout(
        device="dev_A1", hub="dev", sub_id="A1", kind="mts150p", name="Bath"
    )


def test_what_the_cloud_lists_may_miss_everything(hub):
    items: list[dict[str, object]] = [
        {},
        {"subDeviceId": 7},
        {"subDeviceId": "a/b", "subDeviceType": "ms100"},
    ]
    hub.take_cloud(read_subdevices(items), AT)
    assert kinds(hub) == {"7": "unknown"}


def test_an_id_listed_twice_is_its_living_twin(hub):
    dead = {"id": VALVE, "status": 0, "lastActiveTime": 0, "mts100v3": {"mode": 0}}
    for items in ((VALVE_ITEM, dead), (dead, VALVE_ITEM)):
        update = a_hub().take_digest(digest(*items), AT)
        assert update.online == {VALVE: True}
        assert update.subdevices[VALVE].states["valve"].preset == "comfort"
    dead = {"id": VALVE, "online": {"status": 0, "lastActiveTime": 0},
            "togglex": {"onoff": 0}, "mode": {"state": 0}}  # fmt: skip
    alive = {**dead, "online": {"status": 1, "lastActiveTime": 1699999990},
             "togglex": {"onoff": 1}}  # fmt: skip
    for twins in ([alive, dead], [dead, alive]):
        update = hub.take(VALVES_ALL, {"all": twins}, AT)
        assert update.subdevices[VALVE].states["valve"].mode == "heat"


@pytest.mark.parametrize("is_nested", [False, True])
def test_who_is_online(hub, is_nested):
    hub.take_digest(digest(VALVE_ITEM, SENSOR_ITEM), AT)
    status = {"status": 2, "lastActiveTime": 1699999999}
    item = {"id": VALVE, **({"online": status} if is_nested else status)}
    assert hub.take(ONLINE, {"online": [item]}, AT).online == {VALVE: False}
    assert hub.subdevices[VALVE].is_online is False
    assert hub.subdevices[SENSOR].is_online is True


def test_a_lost_radio_link(hub):
    hub.take_digest(digest(VALVE_ITEM), AT)
    exceptions = [{"id": "ffff", "code": 5061}, {"id": VALVE, "code": 5061}]
    update = hub.take("Appliance.Hub.Exception", {"exception": exceptions}, AT)
    assert update.online == {VALVE: False}
    assert update.look_again_s == 60
    (happened,) = update.happened
    assert (happened.key, happened.event_type) == ("hub_radio", "lost")
    assert happened.event_type in entity(hub, "hub_radio").event_types
    assert happened.data == {"subdevice": VALVE, "code": 5061}
    update = hub.take(
        "Appliance.Hub.Exception", {"exception": {"id": VALVE, "code": 1}}, AT
    )
    assert [h.event_type for h in update.happened] == ["exception"]


def test_what_is_bound_unbound_and_gone(hub):
    bound = {"bind": [{"id": "A1", "deviceType": "ms100"}]}
    assert hub.take("Appliance.Hub.Bind", bound, AT).is_changed
    assert kinds(hub) == {"A1": "ms100"}
    assert hub.take("Appliance.Hub.Unbind", {"bind": [{"id": "A1"}]}, AT).is_changed
    assert not hub.subdevices
    hub.take_digest(digest(VALVE_ITEM, SENSOR_ITEM), AT)
    assert hub.take_digest(digest(SENSOR_ITEM), AT).is_changed
    assert kinds(hub) == {SENSOR: "ms100"}
    # Nonsense in the place of the list is no list without members.
    hub.take_digest({"hub": {"subdevice": [1, {}]}}, AT)
    hub.take_digest({"hub": {}}, AT)
    hub.take_digest({"hub": {"subdevice": VALVE_ITEM}}, AT)
    assert kinds(hub) == {SENSOR: "ms100", VALVE: "mts100v3"}


def test_what_the_cloud_still_lists_is_only_away(hub):
    hub.take_cloud(
        read_subdevices([{"subDeviceId": SENSOR, "subDeviceType": "ms100"}]), AT
    )
    hub.take_digest(digest(SENSOR_ITEM), AT)
    assert hub.take_digest(digest(), AT).online == {SENSOR: False}
    hub.take_cloud(read_subdevices([]), AT)
    hub.take_digest(digest(), AT)
    assert not hub.subdevices


def test_the_list_and_versions(hub):
    item = {"id": "A1", "status": 1, "hardware": "1.0", "firmware": "2.3"}
    payload = {"subdeviceList": {"subdevice": [item], "needReply": 1}}
    update = hub.take("Appliance.Hub.SubdeviceList", payload, AT)
    assert update.online == {"A1": True}
    sub = hub.subdevices["A1"].about
    assert (sub.hardware, sub.firmware) == ("1.0", "2.3")
    said = {"version": [{"id": "A1", "hardware": "1.0", "firmware": "2.4"}]}
    assert hub.take("Appliance.Hub.SubDevice.Version", said, AT).is_changed
    assert hub.subdevices["A1"].about.firmware == "2.4"


def test_several_in_one_push_with_an_unknown_one_in_the_midst(hub):
    other = {**VALVE_ITEM, "id": "0200"}
    hub.take_digest(digest(VALVE_ITEM, other), AT)
    items = [
        {"id": VALVE, "room": 195}, {"id": "unheard", "room": 1}, "nonsense",
        {"id": "0200", "room": 201}, {"id": VALVE, "heating": 1},
    ]  # fmt: skip
    update = hub.take(TEMPERATURE, {"temperature": items}, AT)
    assert set(update.subdevices) == {VALVE, "0200"}
    assert update.subdevices[VALVE].states["valve"].current_c == 19.5
    assert update.subdevices[VALVE].states["valve"].action == "heating"
    assert update.subdevices["0200"].states["valve"].current_c == 20.1
    assert "unheard" not in hub.subdevices


@pytest.mark.parametrize(
    ("value", "charge"), [(87, 87), (4294967295, None), (-1, None), ("x", None)]
)
def test_battery(hub, value, charge):
    hub.take_digest(digest(VALVE_ITEM), AT)
    update = hub.take(BATTERY, {"battery": {"id": VALVE, "value": value}}, AT)
    assert update.subdevices[VALVE].states == {"battery": charge}


def polls(hub):
    return [(p.request.namespace, p.request.payload, p.pace) for p in hub.polls]


def test_few_are_asked_at_once(hub):
    hub.take_digest(digest(VALVE_ITEM, SENSOR_ITEM), AT)
    assert polls(hub) == [
        (VALVES_ALL, {"all": []}, "live"),
        (BATTERY, {"battery": []}, "slow"),
        (SENSORS_ALL, {"all": []}, "live"),
    ]
    # Nothing is asked that the hub has no ability for, and nothing for nobody.
    assert polls(Hub(about("msh300", SENSORS_ALL))) == []


def test_many_are_asked_in_chunks_of_eight(hub):
    hub.take_digest(digest(*({**VALVE_ITEM, "id": f"{n:04}"} for n in range(17))), AT)
    asked = [payload["all"] for name, payload, _ in polls(hub) if name == VALVES_ALL]
    assert [len(ids) for ids in asked] == [8, 8, 1]
    assert [i["id"] for ids in asked for i in ids] == [f"{n:04}" for n in range(17)]


def test_a_hub_has_only_so_many(hub):
    hub.take_digest(digest(*({"id": f"{n:04}", "status": 1} for n in range(1000))), AT)
    assert len(hub.subdevices) == MAX_SUBDEVICES
