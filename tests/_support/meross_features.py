"""What tests of features share: a device by its abilities, its state, its commands."""

from __future__ import annotations

from datetime import UTC, datetime

from structiot._device.commands import check_command
from structiot.meross.features.feature import About, Update
from structiot.meross.features.hub import Hub
from structiot.meross.wire.device_list import read_subdevices
from structiot.meross.wire.system import SystemAll

AT = datetime.fromtimestamp(1_700_000_000, UTC)


def about(model, *abilities, digest=None):
    return About(
        device="dev",
        model=model,
        system=SystemAll(model=model, digest=digest or {}),
        abilities={name: {} for name in abilities},
    )


def tell(feature, key, command):
    """Command it, as a device does; give namespace and payload of each request."""
    check_command(feature.entities, key, command, device="dev")
    return [
        (r.namespace, r.payload)
        for r in feature.command(key, command, AT)
        if r.method == "SET"
    ]


def acknowledge(feature, key, command, payload=None):
    """Command it and answer its last request with a payload."""
    check_command(feature.entities, key, command, device="dev")
    request = feature.command(key, command, AT)[-1]
    return feature.acknowledged(request, payload or {}, AT)


def entity(owner, key):
    return next(e for e in owner.entities if e.key == key)


class HubOfOne:
    """A hub with one subdevice of a kind."""

    def __init__(self, kind, sub_id="01000A0B", abilities=()):
        self.id = sub_id
        self.hub = Hub(about("msh300", *abilities))
        listed = {"subDeviceId": sub_id, "subDeviceType": kind, "subDeviceName": "One"}
        self.hub.take_cloud(read_subdevices([listed]), AT)

    @property
    def sub(self):
        return self.hub.subdevices[self.id]

    def take(self, name, key, *items):
        """Take a payload of a namespace; items that name nobody are of the one."""
        named = [
            i if "id" in i or "subId" in i else {"id": self.id, **i} for i in items
        ]
        return self.of_one(self.hub.take(f"Appliance.{name}", {key: named}, AT))

    def digest(self, **members):
        item = {"id": self.id, "status": 1, **members}
        return self.of_one(self.hub.take_digest({"hub": {"subdevice": [item]}}, AT))

    def requests(self, key, command):
        check_command(self.sub.entities, key, command, device="dev")
        return list(self.sub.command(key, command, AT))

    def tell(self, key, command):
        """Command it; give the item of each request, without its id."""
        found = []
        for request in self.requests(key, command):
            ((_, (item,)),) = request.payload.items()
            assert item.get("id", item.get("subId")) == self.id
            members = {k: v for k, v in item.items() if k not in {"id", "subId"}}
            found.append((request.namespace.removeprefix("Appliance."), members))
        return found

    def acknowledge(self, key, command, payload=None):
        requests = self.requests(key, command)
        updates = [self.hub.acknowledged(r, payload or {}, AT) for r in requests]
        return self.of_one(updates[-1])

    def of_one(self, update):
        return update.subdevices.get(self.id, Update())
