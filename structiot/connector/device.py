"""A device that is offered to a platform."""

from __future__ import annotations

from structiot._kit.arguments import check_argument
from structiot._kit.text import printable
from structiot.connector.wire.hashes import device_hash
from structiot.errors import UsageError

__all__ = ["Device", "check_device", "device_id_of"]

_RESERVED_TAGS = frozenset({"device_name", "device_type"})
_SEPARATORS = frozenset(":;")


class Device:
    """What a platform knows of a device; whoever derives calls `super().__init__`.

    Args:
        id: What it is known by here and on the platform.
        type: Its device type, which must have been made on the platform before.
        name: What it is called.

    Raises:
        UsageError: One of them is no text; id or type are empty.
    """

    def __init__(self, id: str, type: str, name: str) -> None:  # noqa: A002 - README's
        for what, text in (("id", id), ("type", type)):
            _check_text(what, text)
            if not text:
                raise UsageError(f"the {what} of a device is empty")
        self._id = id
        self._type = type
        self._tags: dict[str, str] = {}
        # What was hashed, and the hash: changes are few, and who asks is many.
        self._hashed: tuple[object, str] = (None, "")
        self.name = name

    @property
    def id(self) -> str:
        """What it is known by; never changes."""
        return self._id

    @property
    def type(self) -> str:
        """Its device type; never changes."""
        return self._type

    @property
    def name(self) -> str:
        """What it is called; may be set."""
        return self._name

    @name.setter
    def name(self, name: str) -> None:
        _check_text("name", name)
        self._name = name

    @property
    def tags(self) -> list[str]:
        """Its tags, id and text with a colon between them, as they were added."""
        return [f"{tag_id}:{tag}" for tag_id, tag in self._tags.items()]

    @property
    def hash(self) -> str:
        """SHA-1 of id, type, name and tags, as 40 hexadecimal digits."""
        name, tags = told = self._name, tuple(self._tags.items())
        hashed, digest = self._hashed
        if told != hashed:
            digest = device_hash(self._id, self._type, name, dict(tags))
            self._hashed = told, digest
        return digest

    def add_tag(self, tag_id: str, tag: str) -> bool:
        """Add a tag, or change one that there is; always True.

        Raises:
            UsageError: One of them is no text or has `:` or `;`, or the tag's id is
                `device_name` or `device_type`.
        """
        _check_tag("tag_id", tag_id)
        _check_tag("tag", tag)
        if tag_id in _RESERVED_TAGS:
            raise UsageError(f"the tag id {tag_id} is the platform's own")
        self._tags[tag_id] = tag
        return True

    def change_tag(self, tag_id: str, tag: str) -> bool:
        """Change a tag; False if there is none.

        Raises:
            UsageError: It is no text, or has `:` or `;`.
        """
        _check_tag("tag", tag)
        if tag_id not in self._tags:
            return False
        self._tags[tag_id] = tag
        return True

    def remove_tag(self, tag_id: str) -> bool:
        """Remove a tag; False if there is none.

        A SEPL platform keeps a tag that it has been told of once.
        """
        return self._tags.pop(tag_id, None) is not None

    def __repr__(self) -> str:
        told = f"id={self._id!r}, type={self._type!r}, name={self._name!r}"
        return f"{type(self).__name__}({printable(told)}, tags={len(self._tags)})"


def check_device(value: object) -> Device:
    """Look whether something is a device.

    Raises:
        UsageError: It is none, or of a class that has not called `super().__init__`.
    """
    check_argument("device", value, Device)
    if not isinstance(value, Device) or not hasattr(value, "_tags"):
        name = type(value).__name__
        raise UsageError(f"{name}.__init__ has not called super().__init__")
    return value


def device_id_of(device: Device | str) -> str:
    """Give the id of a device, or the id itself.

    Raises:
        UsageError: It is neither, or no device can have such an id.
    """
    check_argument("device", device, Device, str)
    if not isinstance(device, str):
        return check_device(device).id
    _check_text("id", device)
    return device


def _check_text(what: str, text: object) -> None:
    check_argument(what, text, str)
    try:
        str(text).encode()
    except UnicodeEncodeError:
        raise UsageError(f"the {what} of a device has half a character") from None


def _check_tag(what: str, text: object) -> None:
    _check_text(what, text)
    if _SEPARATORS & set(str(text)):
        raise UsageError(f"{what} has : or ;, which stand between tags")
