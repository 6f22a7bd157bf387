"""What of a message may be written down: everything but who and where somebody is.

A value is replaced for the name that it has (`sign`, `ssid`, `innerIp`), for what it looks
like (an e-mail or hardware address), or because it was met before; the last finds a
password in a text, too. What is short and looks like nothing is found by its name alone.
"""

from __future__ import annotations

import base64
import binascii
import math
import re
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from typing import Any, Final

from structiot._kit.redact import is_secret_name
from structiot.meross.capture.placeholders import HIDDEN, Placeholders, mac_digits

__all__ = ["SENSITIVE_STILL", "Redactor"]

SENSITIVE_STILL: Final = (
    "Keys, tokens, passwords, signatures, wireless networks, addresses, your number and"
    " e-mail address, coordinates and the device's identity are replaced before anything"
    " is written. What stays: when the device was switched and what it measured, so when"
    " somebody was at home; its time zone and timers; names that you gave to timers and"
    " subdevices, the ids of these; and what you type yourself."
)
"""What whoever makes a capture has to know before."""

_DEEPEST: Final = 24
_LONGEST_NAME: Final = 64
_SHORTEST_SECRET: Final = 8
_SECRETS: Final = re.compile(
    r"(pwd|psk|passcode|pincode|setupid|sn|serial(number)?|qrcode|manualcode|bindid"
    r"|pubkey|suncalc|accesskey|account|username"
    r"|.*(password|passwd|token|secret|signature|privatekey))"
)
_PLACES: Final = frozenset(
    {"latitude", "longitude", "lat", "lon", "lng", "altitude", "location"}
)
_MACS: Final = re.compile(r"(mac.{0,7}|bssid|.*mac)")
_MAIL: Final = re.compile(r"[\w.+%-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){1,8}")
_MAC_IN: Final = re.compile(
    r"(?<![0-9A-Za-z])[0-9A-Fa-f]{2}(?:([:-])[0-9A-Fa-f]{2})(?:\1[0-9A-Fa-f]{2}){4}"
    r"(?![0-9A-Za-z])"
)
_ADDRESS_IN: Final = re.compile(
    r"(?<![\w.])\d{1,3}(?:\.\d{1,3}){3}(?!\w|\.\d)"
    r"|(?<![\w:.])(?=[0-9A-Fa-f:]*::|(?:[0-9A-Fa-f]{1,4}:){7})"
    r"[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,7}(?![\w:])"
)
_APPLIANCE: Final = re.compile(r"(?<=/appliance/)[^/]{1,64}(?=/)")
_APP: Final = re.compile(r"(?<=/app/)[^/-]{1,64}")
# Words as Meross makes them; whatever else stands there is looked at.
_NAMESPACE: Final = re.compile(
    r"Appliance(\.[A-Z][A-Za-z]{0,24}(\d{1,4}[A-Za-z]{0,3})?){1,6}"
)
_MARKS: Final = str.maketrans("", "", "_-. ")


class Redactor:
    """Replaces what a capture of one device must not tell.

    Args:
        uuid: The device, which becomes the first.
        user_id: Whose it is.
        key: The account's key.
        uuids: The account's other devices.
        secrets: What else must not be in it, such as a password, wherever it stands.
    """

    def __init__(
        self,
        *,
        uuid: str,
        user_id: str,
        key: str,
        uuids: Iterable[str] = (),
        secrets: Iterable[str] = (),
    ) -> None:
        self._names = Placeholders()
        self.uuid: Final = self._names.uuid(uuid)
        self._names.user(user_id)
        for other in uuids:
            self._names.uuid(other)
        for secret in (key, *secrets):
            if secret:
                self._names.secret(secret)
        self._user_number = int(user_id) if user_id.isdecimal() else None

    def message(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """Copy a message, with header and payload."""
        found: dict[str, Any] = {}
        for name, value in members.items():
            if name in {"header", "payload"} and isinstance(value, Mapping):
                # What stands directly in the payload is called by its namespace, such
                # as `key`, and is an object.
                found[name] = {
                    self.text(one): self._value(one, item, 1, is_own_name=True)
                    for one, item in value.items()
                }
            else:
                found[self.text(name)] = self._value(name, value, 1)
        return found

    def text(self, text: str) -> str:
        """Copy a text."""
        if _NAMESPACE.fullmatch(text):
            return text
        names = self._names
        if "/app" in text:
            text = _APPLIANCE.sub(lambda found: names.uuid(found[0]), text)
            text = _APP.sub(lambda found: names.user(found[0]), text)
        if "@" in text:
            text = _MAIL.sub(lambda found: names.mail(found[0]), text)
        text = names.in_text(text)
        if ":" in text or "-" in text:
            text = _MAC_IN.sub(lambda found: names.mac(found[0]), text)
        if ":" in text or "." in text:
            text = _ADDRESS_IN.sub(lambda found: names.address(found[0]), text)
        return text

    def abilities(self, abilities: Mapping[str, Any]) -> dict[str, Any]:
        """Copy the abilities of a device."""
        return {
            self.text(name): self._value("", value, 1)
            for name, value in abilities.items()
        }

    # ------------------------------------------------------------ inside

    def _value(
        self, name: str, value: object, depth: int, *, is_own_name: bool = False
    ) -> object:
        if depth > _DEEPEST:
            return HIDDEN
        word, is_secret = (_known if len(name) <= _LONGEST_NAME else _read)(name)
        if is_secret and not (is_own_name and isinstance(value, dict)):
            return self._hidden(word, value, depth)
        if isinstance(value, dict):
            return {
                self.text(one): self._value(one, item, depth + 1)
                for one, item in value.items()
            }
        if isinstance(value, list):
            return [self._value(name, item, depth + 1) for item in value]
        return self._leaf(word, value)

    def _hidden(self, word: str, value: object, depth: int) -> object:
        """Hide all that stands below the name of a secret; that it is empty is none."""
        if depth > _DEEPEST:
            return HIDDEN
        if isinstance(value, dict):
            return {
                self.text(one): self._hidden(one, item, depth + 1)
                for one, item in value.items()
            }
        if isinstance(value, list):
            return [self._hidden(word, item, depth + 1) for item in value]
        if value in ("", None):
            return value
        # Each message has a signature of its own, which is nowhere else.
        if word != "sign" and isinstance(value, str) and len(value) >= _SHORTEST_SECRET:
            self._names.secret(value)
            plain = _plain_of(value)
            if len(plain) >= _SHORTEST_SECRET:
                self._names.secret(plain)
        return HIDDEN

    def _leaf(self, word: str, value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, bool) or value in ("", None):
            return value
        if word in _PLACES:
            return HIDDEN if isinstance(value, str) else 0
        if isinstance(value, str):
            return (self._naming(word) or self.text)(value)
        if isinstance(value, int) and word == "userid" and value:
            return int(self._names.user(str(value)))
        is_user = value == self._user_number
        return int(self._names.user(str(value))) if is_user else value

    def _naming(self, word: str) -> Callable[[str], str] | None:
        """Give who names a value that is called so."""
        names = self._names
        if word.endswith("uuid"):
            return names.uuid
        if word == "userid":
            return names.user
        if word.endswith("ssid") and word != "bssid":
            return self._network
        if word in {"email", "mail"} or word.endswith("email"):
            return names.mail
        if _MACS.fullmatch(word):
            return lambda value: names.mac(value) if mac_digits(value) else HIDDEN
        return None

    def _network(self, ssid: str) -> str:
        name = self._names.network(ssid)
        self._names.alias(_plain_of(ssid), name)
        return name


def _read(name: str) -> tuple[str, bool]:
    """Give a name without case and marks, and tell whether it is one of a secret."""
    word = name.lower().translate(_MARKS)
    return word, is_secret_name(name) or _SECRETS.fullmatch(word) is not None


_known = lru_cache(1_024)(_read)


def _plain_of(value: str) -> str:
    """Give what base64 says, as networks and passwords are sent; empty if it is none."""
    try:
        plain = base64.b64decode(value, validate=True).decode()
    except (binascii.Error, ValueError):
        return ""
    return plain if plain.isprintable() else ""
