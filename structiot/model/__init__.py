"""What the gateway and the dashboard see of every system.

A `Device` has an identity (`DeviceInfo`), a fixed set of entities and a stream of
updates. An `Entity` describes one thing that can be read or commanded; its fields
follow Home Assistant's vocabulary, because that is what most readers know. What an
entity reads or is told is one of the value types below: plain `bool`, `float`, `str`
for the simple kinds, a small frozen class or an enumeration for the others. What only
happens (an `Event`) has no state; each time is an `Occurrence`.

Every system maps onto this with nothing left over:

* MaxSmart: an outlet is a `Switch` and a power `Sensor`.
* Meross: channels are switches, lights, covers and climates; sprays are `Select`,
  limits are `Number`, alarms and leaks are `BinarySensor`, firmware is `Update`.
* Manager: a dialled-in device's JSON data become sensors, its messages events, its
  commands switches, buttons and texts.
* Connector: a platform service is an entity, an event is a `StateChange`.
"""

from __future__ import annotations

from structiot.model.climate import Climate, ClimateState
from structiot.model.cover import Cover, CoverAction, CoverMotion, CoverState
from structiot.model.device import Device, DeviceInfo
from structiot.model.device_event import (
    Availability,
    DeviceEvent,
    EntitiesChanged,
    Occurrence,
    StateChange,
)
from structiot.model.entity import (
    BinarySensor,
    Button,
    Entity,
    Event,
    Number,
    Select,
    Sensor,
    Switch,
    Text,
)
from structiot.model.fan import Fan, FanDirection, FanState
from structiot.model.light import Light, LightState
from structiot.model.lock import Lock, LockAction, LockState
from structiot.model.reading import Reading
from structiot.model.siren import Siren, SirenState
from structiot.model.state import Command, State
from structiot.model.update import Update, UpdateState

__all__ = [
    "Availability",
    "BinarySensor",
    "Button",
    "Climate",
    "ClimateState",
    "Command",
    "Cover",
    "CoverAction",
    "CoverMotion",
    "CoverState",
    "Device",
    "DeviceEvent",
    "DeviceInfo",
    "EntitiesChanged",
    "Entity",
    "Event",
    "Fan",
    "FanDirection",
    "FanState",
    "Light",
    "LightState",
    "Lock",
    "LockAction",
    "LockState",
    "Number",
    "Occurrence",
    "Reading",
    "Select",
    "Sensor",
    "Siren",
    "SirenState",
    "State",
    "StateChange",
    "Switch",
    "Text",
    "Update",
    "UpdateState",
]
