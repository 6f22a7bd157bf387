"""Meross devices, through the cloud and in the local network.

    async with open_meross(email="...", password="...") as meross:
        await meross.device("kitchen").turn_on()

    async with open_meross_lan("192.168.1.60", key="...") as plug:
        await plug.turn_on()

Whatever a device can is found out by asking it, so that models nobody knew work as far as
their abilities are known; the rest is for `device.request` and `device.notifications`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from structiot._kit.lazy import lazy_exports

if TYPE_CHECKING or not lazy_exports(globals()):
    from structiot.meross.account import Meross
    from structiot.meross.account_events import (
        AccountEvent,
        DeviceAdded,
        DeviceBound,
        DeviceOffline,
        DeviceOnline,
        DeviceRemoved,
        DeviceRenamed,
    )
    from structiot.meross.budget import Budget, DeviceBudget
    from structiot.meross.credential_stores import FileStore, KeyringStore
    from structiot.meross.credentials import Credentials, CredentialStore, MemoryStore
    from structiot.meross.device import MerossDevice
    from structiot.meross.errors import (
        AccountBanned,
        AccountDisabled,
        CallDropped,
        CloudUnavailable,
        MerossApiError,
        MerossRefused,
        MfaRequired,
        NotSignedIn,
        TokenExpired,
        TooManyTokens,
        TooOften,
        WrongKey,
        WrongMfaCode,
        WrongPassword,
        WrongRegion,
    )
    from structiot.meross.features.energy_days import DailyEnergy, HourlyEnergy
    from structiot.meross.features.feature import About, Feature
    from structiot.meross.features.timers import Repeat, Rule, Timer, Trigger
    from structiot.meross.link.route import Policy
    from structiot.meross.link.sign_in import MfaCallback
    from structiot.meross.notifications import Notification
    from structiot.meross.opening import open_meross, open_meross_lan
    from structiot.meross.rate_limiter import RateLimitChecker
    from structiot.meross.stats import CallCounts, CallStats, Stats
    from structiot.meross.subdevice import MerossSubdevice
    from structiot.meross.wire.device_list import Channel

__all__ = [
    "About",
    "AccountBanned",
    "AccountDisabled",
    "AccountEvent",
    "Budget",
    "CallCounts",
    "CallDropped",
    "CallStats",
    "Channel",
    "CloudUnavailable",
    "CredentialStore",
    "Credentials",
    "DailyEnergy",
    "DeviceAdded",
    "DeviceBound",
    "DeviceBudget",
    "DeviceOffline",
    "DeviceOnline",
    "DeviceRemoved",
    "DeviceRenamed",
    "Feature",
    "FileStore",
    "HourlyEnergy",
    "KeyringStore",
    "MemoryStore",
    "Meross",
    "MerossApiError",
    "MerossDevice",
    "MerossRefused",
    "MerossSubdevice",
    "MfaCallback",
    "MfaRequired",
    "NotSignedIn",
    "Notification",
    "Policy",
    "RateLimitChecker",
    "Repeat",
    "Rule",
    "Stats",
    "Timer",
    "TokenExpired",
    "TooManyTokens",
    "TooOften",
    "Trigger",
    "WrongKey",
    "WrongMfaCode",
    "WrongPassword",
    "WrongRegion",
    "open_meross",
    "open_meross_lan",
]
