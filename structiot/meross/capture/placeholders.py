"""Names that stand for what a capture must not tell: one for each value, always the same."""

from __future__ import annotations

import ipaddress
import re
from typing import Final

from structiot.meross.wire.encryption import mac_of_uuid

__all__ = ["HIDDEN", "Placeholders", "mac_digits"]

HIDDEN: Final = "***"
# Beyond so many of a kind all others share one.
_MOST: Final = 200
_MOST_TEXTS: Final = 64
# What is shorter would be found in anything.
_SHORTEST_WORD: Final = 4
_SHORTEST_TEXT: Final = 6
_WORD: Final = re.compile(r"[0-9A-Za-z]{4,}")
_NO_HEX: Final = re.compile(r"[:.-]")
_MAC: Final = re.compile(r"[0-9a-f]{12}")


class Placeholders:
    """What each value is called; those that were met once are known everywhere.

    A uuid stays one of 32 characters at whose end is a MAC, a MAC stays a MAC, an
    address an address and a user's number a number, so that whoever reads the capture
    takes them for what they are.
    """

    def __init__(self) -> None:
        self._names: dict[tuple[str, str], str] = {}
        self._numbers: dict[str, int] = {}
        # Hardware addresses as they were written.
        self._written: dict[str, str] = {}
        # Single words wherever they stand, lower case; other texts as they are.
        self._words: dict[str, str] = {}
        self._texts: dict[str, str] = {}

    def uuid(self, value: str) -> str:
        """Give the name of a device, and let its MAC be known."""
        number, is_new = self._number("uuid", value)
        name = f"{'0' * 20}0200000000{number:02x}"
        if is_new:
            self._keep(value, name)
            digits = value[-12:].lower()
            if _MAC.fullmatch(digits):
                self._names["mac", digits] = digits_of_name = name[-12:]
                self._keep(digits, digits_of_name)
        return name

    def mac(self, value: str) -> str:
        """Give the name of a hardware address, written as the address is."""
        written = self._written.get(value)
        if written is not None:
            return written
        digits = mac_digits(value)
        if digits is None:
            return HIDDEN if value else value
        name = self._names.get(("mac", digits))
        if name is None:
            number, is_new = self._number("mac", digits)
            name = f"0200000100{number:02x}"
            if is_new:
                self._names["mac", digits] = name
                self._keep(digits, name)
        mark = _NO_HEX.search(value)
        written = mac_of_uuid(name).replace(":", mark[0]) if mark else name
        if len(self._written) < _MOST:
            self._written[value] = written
        return written

    def address(self, value: str) -> str:
        """Give the name of an IP address; a text that is none stays."""
        if ("#address", value) not in self._names:
            try:
                ipaddress.ip_address(value)
            except ValueError:
                return value
        number, _ = self._number("address", value)
        return f"2001:db8::{number:x}" if ":" in value else f"192.0.2.{number}"

    def user(self, value: str) -> str:
        """Give the name of a user's number."""
        number, is_new = self._number("user", value)
        if is_new:
            self._keep(value, str(1_000_000 + number))
        return str(1_000_000 + number)

    def network(self, value: str) -> str:
        """Give the name of a wireless network."""
        number, is_new = self._number("network", value)
        if is_new:
            self._keep(value, f"wifi-{number}")
        return f"wifi-{number}"

    def mail(self, value: str) -> str:
        """Give the name of an e-mail address."""
        return f"user-{self._number('mail', value.lower())[0]}@example.invalid"

    def alias(self, value: str, name: str) -> None:
        """Let another spelling of a value be known by its name."""
        self._keep(value, name)

    def secret(self, value: str) -> str:
        """Hide a secret from now on wherever it stands."""
        self._keep(value, HIDDEN)
        return HIDDEN

    def in_text(self, text: str) -> str:
        """Give a text with the names of all values that are known."""
        if len(text) < _SHORTEST_WORD:
            return text
        for value, name in self._texts.items():
            if value in text:
                text = text.replace(value, name)
        return _WORD.sub(self._named, text)

    def _named(self, found: re.Match[str]) -> str:
        return self._words.get(found[0].lower(), found[0])

    def _number(self, kind: str, value: str) -> tuple[int, bool]:
        """Give the number of a value of a kind, and whether that is new."""
        known = self._names.get((f"#{kind}", value))
        if known is not None:
            return int(known), False
        number = self._numbers.get(kind, 0) + 1
        if number > _MOST:
            return number, False
        self._numbers[kind] = number
        self._names[f"#{kind}", value] = str(number)
        return number, True

    def _keep(self, value: str, name: str) -> None:
        if _WORD.fullmatch(value):
            if len(value) >= _SHORTEST_WORD and len(self._words) < 5 * _MOST:
                self._words.setdefault(value.lower(), name)
        elif len(value) >= _SHORTEST_TEXT and len(self._texts) < _MOST_TEXTS:
            self._texts.setdefault(value, name)


def mac_digits(value: str) -> str | None:
    """Give the twelve digits of a hardware address, however it is written."""
    digits = _NO_HEX.sub("", value).lower()
    return digits if _MAC.fullmatch(digits) else None
