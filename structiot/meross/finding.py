"""Which of an account's devices somebody means."""

from __future__ import annotations

from collections.abc import Mapping

from structiot._kit.arguments import check_argument
from structiot._kit.text import did_you_mean
from structiot.errors import UsageError
from structiot.meross.device import MerossDevice

__all__ = ["device_called", "devices_like"]


def device_called(devices: Mapping[str, MerossDevice], wanted: str) -> MerossDevice:
    """Give a device by its uuid, or by its name if only one is called so.

    Raises:
        UsageError: There is none, or there are several of this name.
    """
    check_argument("name_or_uuid", wanted, str)
    if wanted in devices:
        return devices[wanted]
    found = devices_like(devices, name=wanted)
    if len(found) == 1:
        return found[0]
    if found:
        uuids = ", ".join(sorted(one.info.id for one in found))
        raise UsageError(f"{len(found)} devices are called {wanted!r}: {uuids}")
    names = sorted(one.info.name for one in devices.values())
    raise UsageError(f"no device is called {wanted!r}{did_you_mean(wanted, names)}")


def devices_like(
    devices: Mapping[str, MerossDevice],
    *,
    model: str | None = None,
    ability: str | None = None,
    is_online: bool | None = None,
    name: str | None = None,
) -> list[MerossDevice]:
    """Give the devices that are all of this; None is anything."""
    for what, text in (("type", model), ("ability", ability), ("name", name)):
        check_argument(what, text, str, None)
    return [
        device
        for device in devices.values()
        if (model is None or device.about.model == model.lower())
        and (ability is None or ability in device.about.abilities)
        and (is_online is None or device.is_available is is_online)
        and (name is None or device.info.name.casefold() == name.casefold())
    ]
