"""What a device library is made of: the blocks that our own systems stand on.

A class that subclasses `PolledDevice` (it asks a device) or `BaseDevice` (the device
speaks by itself), and says who it is, what it has, how it is read and how it is told,
is a `structiot.model.Device`: it is polled once for all who watch it, heals, and the
gateway can take it. Everything is opened in an `Environment`, so that a test puts a
network in memory and a clock of its own there.
"""

from __future__ import annotations

from structiot._device.changes import Change, PowerChanged, StateChanged
from structiot._device.device import BaseDevice
from structiot._device.polled import PolledDevice
from structiot._device.poller import Poller
from structiot._device.schedule import PollSchedule
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.http.device import DeviceHttp
from structiot._kit.http.messages import HttpReply
from structiot._kit.net.network import Network

__all__ = [
    "SYSTEM_ENVIRONMENT",
    "BaseDevice",
    "Change",
    "DeviceHttp",
    "Environment",
    "HttpReply",
    "Network",
    "PollSchedule",
    "PolledDevice",
    "Poller",
    "PowerChanged",
    "StateChanged",
    "service_group",
]
