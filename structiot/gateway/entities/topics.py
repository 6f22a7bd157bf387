"""Which topic everything has. Pure.

<base>/gateway/availability          online | offline, also the gateway's will
<base>/gateway/drivers/<system>      whether a system is served, and why not
<base>/gateway/<report>              what the gateway is: state, info, health, devices
<base>/gateway/request/<what>        what it shall do
<base>/gateway/response/<what>       what became of that
<base>/<device>/availability         online | offline
<base>/<device>/state                what all of its entities are
<base>/<device>/set                  what several of them shall be
<base>/<device>/result               what became of that
<base>/<device>/<entity>/state       what it is
<base>/<device>/<entity>/set         what it shall be
<base>/<device>/<entity>/result      what became of a command that asks for an answer
<base>/<device>/<entity>/event       what happens to it, told once and never retained
<base>/<device>/error                why a command was not carried out
<prefix>/device/<identifier>/config  Home Assistant's device discovery
<prefix>/<platform>/<identifier>/<entity>/config    the same of one entity
<prefix>/status                      Home Assistant's own birth message

An entity's topics have one level more than its device's, and no device is called `gateway`,
so none of them is another one's.

Where a device announces itself hangs on its identity alone: its name, its level in topics,
the gateway and the gateway's own topics may change, and it is announced once all the same.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from structiot.model import DeviceInfo

__all__ = [
    "GATEWAY_LEVEL",
    "OFFLINE",
    "ONLINE",
    "REPORTS",
    "CommandTopic",
    "Topics",
    "base_topic_fault",
    "gateway_availability",
    "gateway_report",
    "identifier_of",
    "is_level",
    "is_object_id",
    "is_slug",
    "slug_of",
    "slug_of_device",
    "unique_slug",
]

ONLINE = "online"
OFFLINE = "offline"
GATEWAY_LEVEL = "gateway"
# What a gateway tells of itself, beside its availability and its drivers.
REPORTS = ("state", "info", "health", "devices")
_NO_ENTITIES = {"request", "response"}
_LONGEST_SLUG = 100
_LONGEST_NAME = 1000
_LONGEST_OBJECT_ID = 100
_NOT_PLAIN = re.compile(r"[^a-z0-9]+")
_NO_OBJECT_ID = re.compile(r"[^A-Za-z0-9_-]")
_MAX_BASE_BYTES = 256
# What is made here, and what earlier versions made of a gateway's id and a name.
_OBJECT_ID = re.compile(r"structiot_[A-Za-z0-9_-]{1,170}")
# With the number that tells it from others.
_SLUG = re.compile(r"[a-z0-9]+(?:_[a-z0-9]+)*")
_LONGEST_NUMBERED = _LONGEST_SLUG + 8
# Letters that Unicode does not take apart into a plain one and an accent.
_PLAIN_FOR = str.maketrans(
    {
        "ß": "ss",
        "æ": "ae",
        "ø": "o",
        "đ": "d",
        "ð": "d",
        "ł": "l",
        "œ": "oe",
        "þ": "th",
        "\N{LATIN SMALL LETTER DOTLESS I}": "i",
    }
)


@dataclass(frozen=True, slots=True)
class CommandTopic:
    """The device and the entity that a command is for, as written in the topic."""

    device: str
    entity: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Topics:
    """All topics of one gateway.

    Attributes:
        base: First level or levels of the gateway's own topics.
        discovery_prefix: First level or levels of Home Assistant's.
    """

    base: str
    discovery_prefix: str

    @property
    def gateway_availability(self) -> str:
        """Whether the gateway runs; also the topic of its will."""
        return gateway_availability(self.base)

    def driver(self, system: str) -> str:
        """Whether a system is served, and why not."""
        return f"{self.base}/{GATEWAY_LEVEL}/drivers/{system}"

    @property
    def all_commands(self) -> str:
        """The filter that matches every command."""
        return f"{self.base}/+/+/set"

    @property
    def all_device_commands(self) -> str:
        """The filter that matches every command for a whole device."""
        return f"{self.base}/+/set"

    @property
    def all_requests(self) -> str:
        """The filter that matches all that the gateway itself is asked."""
        return f"{self.base}/{GATEWAY_LEVEL}/request/#"

    def report(self, name: str) -> str:
        """What the gateway tells of itself by such a name."""
        return gateway_report(self.base, name)

    def response(self, what: str) -> str:
        """What became of a request."""
        return f"{self.base}/{GATEWAY_LEVEL}/response/{what}"

    def all_discovery(self, prefix: str | None = None) -> tuple[str, str]:
        """The filters that match all announced devices and entities, others' as well."""
        head = prefix or self.discovery_prefix
        return f"{head}/device/+/config", f"{head}/+/+/+/config"

    @property
    def birth(self) -> str:
        """Where Home Assistant says that it has started."""
        return f"{self.discovery_prefix}/status"

    def availability(self, device: str) -> str:
        """Whether a device can be reached."""
        return f"{self.base}/{device}/availability"

    def error(self, device: str) -> str:
        """Why a command to a device was not carried out."""
        return f"{self.base}/{device}/error"

    def device_state(self, device: str) -> str:
        """What all entities of a device are."""
        return f"{self.base}/{device}/state"

    def device_command(self, device: str) -> str:
        """What several entities of a device shall be."""
        return f"{self.base}/{device}/set"

    def result(self, device: str, entity: str) -> str:
        """What became of a command; without an entity, of one for the whole device."""
        entity_level = f"{entity}/" if entity else ""
        return f"{self.base}/{device}/{entity_level}result"

    def state(self, device: str, entity: str) -> str:
        """What an entity is."""
        return f"{self.base}/{device}/{entity}/state"

    def event(self, device: str, entity: str) -> str:
        """What happens to an entity."""
        return f"{self.base}/{device}/{entity}/event"

    def command(self, device: str, entity: str) -> str:
        """What an entity shall be."""
        return f"{self.base}/{device}/{entity}/set"

    def discovery(self, identifier: str, prefix: str | None = None) -> str:
        """Where the device with this identifier announces itself."""
        head = prefix or self.discovery_prefix
        return f"{head}/device/{_object_id(identifier)}/config"

    def root(self, device: str) -> str:
        """The levels that all topics of a device begin with."""
        return f"{self.base}/{device}"

    def command_of(self, topic: str) -> CommandTopic | None:
        """Take a command's topic apart; None if it is none of this gateway."""
        head, tail = f"{self.base}/", "/set"
        if not (topic.startswith(head) and topic.endswith(tail)):
            return None
        levels = topic[len(head) : -len(tail)].split("/")
        is_device = levels[0] != GATEWAY_LEVEL or levels[-1] not in _NO_ENTITIES
        if len(levels) != 2 or not is_device:
            return None
        return CommandTopic(levels[0], levels[1])

    def device_command_of(self, topic: str) -> str | None:
        """Give the device that a command for a whole one is for; None if it is none."""
        head, tail = f"{self.base}/", "/set"
        if not (topic.startswith(head) and topic.endswith(tail)):
            return None
        level = topic[len(head) : -len(tail)]
        return None if "/" in level else level

    def request_of(self, topic: str) -> str | None:
        """Give what the gateway is asked on a topic; None if it is none of that."""
        head = f"{self.base}/{GATEWAY_LEVEL}/request/"
        return topic.removeprefix(head) if topic.startswith(head) else None


def gateway_availability(base: str) -> str:
    """Name the topic by which the gateway with this base topic says that it runs."""
    return f"{base}/{GATEWAY_LEVEL}/availability"


def gateway_report(base: str, name: str) -> str:
    """Name the topic by which the gateway with this base topic tells of itself."""
    return f"{base}/{GATEWAY_LEVEL}/{name}"


def base_topic_fault(topic: str) -> str:
    """Say what is wrong with the first levels of a gateway's topics; empty if nothing."""
    wildcard = next((one for one in "+#" if one in topic), None)
    if wildcard is not None:
        return f"{topic!r} has the wildcard {wildcard!r}, which only filters may"
    if not topic or "" in topic.split("/"):
        return f"{topic!r} has an empty level; write it like 'home/structiot'"
    if topic.startswith("$"):
        return f"{topic!r} begins with '$', which belongs to the broker"
    if not topic.isprintable():
        is_control = any(ord(one) < 32 or ord(one) == 127 for one in topic)
        what = "control character" if is_control else "character that cannot be shown"
        return f"{topic!r} has a {what}"
    if len(topic.encode()) > _MAX_BASE_BYTES:
        return f"the topic is longer than {_MAX_BASE_BYTES} bytes"
    return ""


def identifier_of(system: str, id_: str) -> str:
    """Identify a device among all devices of all programs."""
    return f"structiot_{system}_{id_}"


def _object_id(identifier: str) -> str:
    """Write an identifier with what Home Assistant takes in a topic, and no two alike."""
    plain = _NO_OBJECT_ID.sub("_", identifier)[:_LONGEST_OBJECT_ID]
    if plain == identifier:
        return plain
    digest = sha256(identifier.encode(errors="surrogatepass")).hexdigest()
    return f"{plain}_{digest[:8]}"


def is_object_id(text: str) -> bool:
    """Tell whether a gateway of this program may have announced a device by that."""
    return _OBJECT_ID.fullmatch(text) is not None


def is_slug(text: str) -> bool:
    """Tell whether it may be a device's level in topics."""
    is_short = len(text) <= _LONGEST_NUMBERED
    return is_short and text != GATEWAY_LEVEL and _SLUG.fullmatch(text) is not None


def is_level(text: str) -> bool:
    """Tell whether a text from anybody may become a level of a topic of ours."""
    is_short = 0 < len(text) <= _LONGEST_SLUG
    return is_short and text.isprintable() and not set(text) & set("+#/")


def slug_of(name: str) -> str:
    """Make a topic level of a name: lower-case letters, digits and `_`.

    It is empty if nothing is left, or of many letters nothing but digits: `2` is no
    place for everything in room 2 of a house whose rooms have names in Chinese.
    """
    folded = unicodedata.normalize(
        "NFKD", name[:_LONGEST_NAME].casefold().translate(_PLAIN_FOR)
    )
    plain = "".join(c for c in folded if not unicodedata.combining(c))
    slug = _NOT_PLAIN.sub("_", plain)[:_LONGEST_SLUG].strip("_")
    is_lost = any(map(str.isalpha, name)) and not any(map(str.isalpha, slug))
    return "" if is_lost else slug


def slug_of_device(info: DeviceInfo) -> str:
    """Name a device in topics that has no configured name: by system and serial.

    The name that the device itself has is not used: people change it, and a topic
    that changes loses its history.
    """
    return slug_of(f"{info.system} {info.serial or info.id}")


def unique_slug(wanted: str, is_taken: Callable[[str], bool]) -> str:
    """Give the wanted slug, with a number if it is taken."""
    slug, number = wanted, 2
    while slug == GATEWAY_LEVEL or is_taken(slug):
        slug = f"{wanted}_{number}"
        number += 1
    return slug
