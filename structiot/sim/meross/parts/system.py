"""`Appliance.System.*` and `Appliance.Config.*`: who a device is, and how it is set up."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final

from structiot._kit.json_text import integer_of, text_of
from structiot.meross.wire.payloads import items_of, key_of, object_of
from structiot.meross.wire.system import ABILITY, ALL
from structiot.sim.meross.records import merge
from structiot.sim.meross.stage import Item, Malformed, Part
from structiot.sim.meross.time_rules import given_rules

if TYPE_CHECKING:
    from structiot.sim.meross.device import MerossDeviceSim

__all__ = ["System"]

_BUILT: Final = "2023/03/09-15:05:12"
_SECRET: Final = "not of this device"  # noqa: S105 - HomeKit's, and made up


class System(Part):
    """What every device has."""

    namespaces: tuple[str, ...] = tuple(
        f"Appliance.{name}"
        for name in [
            "System.All",
            "System.Ability",
            "System.Hardware",
            "System.Firmware",
            "System.Debug",
            "System.Online",
            "System.Time",
            "System.Runtime",
            "System.Position",
            "System.DNDMode",
            "System.Clock",
            "System.Report",
            "Config.Key",
            "Config.WifiList",
            "Config.Wifi",
            "Config.WifiX",
            "Config.Trace",
            "Config.Info",
            "Config.OverTemp",
            "Config.StandbyKiller",
            "Encrypt.Suite",
            "Mcu.Firmware",
            "Control.Bind",
            "Control.Unbind",
            "Control.Upgrade",
        ]
    )

    def __init__(self, device: MerossDeviceSim) -> None:
        self._device = device
        self._pending: Mapping[str, Any] = {}
        self._kept: dict[str, Item] = {
            "DNDMode": {"mode": 0},
            "position": {"longitude": 9_190_000, "latitude": 45_464_000},
            "overTemp": {"enable": 1, "type": 1},
            "config": {"channel": 0, "power": 0, "time": 0, "enable": 2, "alert": 2},
        }
        self.signal = 88
        self._began_s = device.clock.now_s()

    def get(self, namespace: str, payload: Mapping[str, Any]) -> Item:  # noqa: ARG002
        """Answer with what the device knows of itself."""
        key = key_of(namespace)
        if namespace == ALL:
            return self._all()
        if namespace == ABILITY:
            return {"payloadVersion": 1, "ability": self._device.abilities}
        found = self._answers(namespace.removeprefix("Appliance."), key)
        if found is None and ".System." in namespace:
            found = self.about().get(key)
        if found is None:
            raise Malformed(namespace)
        return {key: found}

    def _answers(self, name: str, key: str) -> object:
        trace = {"ssid": "", "bssid": "", "rssi": "", "code": 0, "info": "no error"}
        homekit = {"model": self._device.model.type, "token": _SECRET}
        answers: dict[str, object] = {
            "System.Runtime": {"signal": self.signal},
            "System.Debug": self._debug(),
            "Config.StandbyKiller": [dict(self._kept["config"])],
            "Config.WifiList": [self._wifi()],
            "Config.Trace": trace,
            "Config.Info": {"homekit": homekit},
            "Encrypt.Suite": {"ka": "ecdhe256", "se": "mrskey", "ds": ""},
            "Mcu.Firmware": {"productId": "1", "version": "1.0.0", "type": "main"},
        }
        if name in {"System.DNDMode", "System.Position", "Config.OverTemp"}:
            return dict(self._kept[key])
        return answers.get(name)

    def set(self, namespace: str, payload: Mapping[str, Any]) -> Item:
        """Set it up, or change what it keeps."""
        device, key = self._device, key_of(namespace)
        given = object_of(payload, key)
        match namespace.removeprefix("Appliance."):
            case "System.DNDMode" | "System.Position" | "Config.OverTemp" if given:
                merge(self._kept[key], given)
            case "Config.StandbyKiller":
                for row in items_of(payload, key):
                    merge(self._kept[key], row)
            case "System.Time" if given:
                name = given.get("timezone")
                device.timezone = text_of(name) or ""
                device.time_rules = given_rules(given.get("timeRule"))
            case "Config.Key" if given:
                self._pending = given
            case "Config.Wifi" | "Config.WifiX" if given:
                # It starts again with what it was given.
                device.agenda.after(1.0, self._set_up)
            case "Control.Upgrade" if given:
                device.push(namespace, {"upgradeInfo": {"status": 1}})
            case "Control.Bind":
                pass
            case _:
                raise Malformed(namespace)
        return {}

    def query(self, namespace: str) -> Item | None:
        """Answer the few that are asked for by PUSH."""
        if namespace in {"Appliance.Config.StandbyKiller", "Appliance.Config.Info"}:
            return self.get(namespace, {})
        return None

    def _set_up(self) -> None:
        given, self._pending = self._pending, {}
        if not given:
            return
        gateway = object_of(given, "gateway")
        self._device.server = text_of(gateway.get("host")) or self._device.server
        self._device.port = integer_of(gateway.get("port")) or self._device.port
        key, user_id = text_of(given.get("key")), text_of(given.get("userId"))
        self._device.pair(key or "", user_id or "")

    # ------------------------------------------------------------ what it says

    def about(self) -> Item:
        """Give the objects below `all.system`."""
        device, model = self._device, self._device.model
        user_id = integer_of(device.user_id)
        return {
            "hardware": {
                "type": model.type,
                "subType": model.sub_type,
                "version": model.hardware,
                "chipType": model.chip,
                "uuid": device.uuid,
                "macAddress": device.mac,
            },
            "firmware": {
                "version": model.firmware,
                "compileTime": _BUILT,
                "encrypt": 1,
                "wifiMac": "02:00:00:11:22:33",
                "innerIp": device.lan_host,
                "server": device.server if device.is_paired else "",
                "port": device.port,
                "userId": (user_id or 0) if device.is_paired else 0,
            },
            "time": self._time(),
            "online": {"status": 1 if device.is_online else 0},
        }

    def _all(self) -> Item:
        name = "control" if self._device.model.is_legacy else "digest"
        return {"all": {"system": self.about(), name: self._device.digest()}}

    def _time(self) -> Item:
        device = self._device
        return {
            "timestamp": device.stamp(),
            "timezone": device.timezone,
            "timeRule": [list(rule) for rule in device.time_rules],
        }

    def _debug(self) -> Item:
        device = self._device
        up_s = int(device.clock.now_s() - self._began_s)
        return {
            "system": {
                "version": device.model.firmware,
                "sysUpTime": f"{up_s // 3600}h{up_s // 60 % 60}m{up_s % 60}s",
                "localTimeOffset": int(device.utc_offset_s()),
                "localTime": device.local_time().strftime("%a %b %d %H:%M:%S %Y"),
                "suncalc": "6:6;18:13",
            },
            "network": {
                "linkStatus": "connected",
                "signal": self.signal,
                "ssid": "########",
                "gatewayMac": "02:00:00:11:22:33",
                "innerIp": device.lan_host,
                "wifiDisconnectCount": 0,
            },
            "cloud": {
                "activeServer": device.server,
                "mainServer": device.server,
                "mainPort": device.port,
                "userId": integer_of(device.user_id) or 0,
                "sysDisconnectCount": 0,
                "pingTrace": [],
            },
        }

    def _wifi(self) -> Item:
        return {
            "ssid": base64.b64encode(b"Home").decode(),
            "bssid": "02:00:00:11:22:33",
            "signal": self.signal,
            "channel": 6,
            "encryption": 6,
            "cipher": 3,
        }
