"""The JSON objects of an entity: which members they have, and how they are read. Pure.

A refusal is a `UsageError` that says what would be right.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping

from structiot.errors import UsageError
from structiot.model import Climate, Fan, Light, Siren

__all__ = ["Members", "members_of", "on_off", "one_of", "refusal"]

_SHOWN = 40
_WORDS = {"on": True, "true": True, "1": True, "off": False, "false": False, "0": False}


def refusal(key: str, wanted: str, given: str) -> UsageError:
    """Say what would be right, and the beginning of what was given."""
    shown = given if len(given) <= _SHOWN else given[:_SHOWN] + "..."
    return UsageError(f"{key} takes {wanted}, not {shown!r}")


def on_off(word: str) -> bool | None:
    """Read a word for on or off; None for any other."""
    return _WORDS.get(word.lower())


def one_of(key: str, given: str, options: Iterable[str]) -> str:
    """Find an option, in its own spelling.

    Raises:
        UsageError: It is none of them.
    """
    by_word = {option.lower(): option for option in options}
    if given in by_word.values():
        return given
    if given.lower() not in by_word:
        raise refusal(key, f"one of {', '.join(by_word.values())}", given)
    return by_word[given.lower()]


def members_of(entity: Light | Climate | Fan | Siren) -> list[str]:
    """Name the members that can be commanded, which depend on what the entity can do.

    A fan and a siren show the same ones in their states.
    """
    has: dict[str, object]
    match entity:
        case Light():
            has = {
                "state": True,
                "brightness": entity.color_modes,
                "color_temp": "color_temp" in entity.color_modes,
                "color": "rgb" in entity.color_modes,
                "effect": entity.effects,
            }
        case Climate():
            has = {"mode": True, "target_c": True, "preset": entity.presets}
        case Fan():
            has = {
                "state": True,
                "speed_percent": entity.speed_steps > 1,
                "preset": entity.presets,
                "is_oscillating": entity.can_oscillate,
                "direction": entity.has_direction,
            }
        case Siren():
            has = {
                "state": True,
                "tone": entity.tones,
                "volume_level": entity.has_volume,
                "duration": entity.has_duration,
            }
    return [member for member, is_there in has.items() if is_there]


class Members:
    """What a command changes; a member that was not given is None.

    Args:
        entity: Whom the command is for.
        text: A JSON object with at least one member, and known ones only.

    Raises:
        UsageError: It is no such object; later, a member has no such value.
    """

    def __init__(self, entity: Light | Climate | Fan | Siren, text: str) -> None:
        self._key = entity.key
        known = members_of(entity)
        wanted = f"a JSON object of {', '.join(known)}"
        try:
            given = json.loads(text)
        except (ValueError, RecursionError):
            raise refusal(entity.key, wanted, text) from None
        if not isinstance(given, dict) or not given:
            raise refusal(entity.key, wanted, text)
        for member in given:
            if member not in known:
                raise refusal(entity.key, wanted, member)
        self._given: Mapping[str, object] = given

    def figure(self, member: str, low: float, high: float) -> float | None:
        """Read a number within a range."""
        if member not in self._given:
            return None
        return self._figure(member, self._given[member], low, high)

    def whole(self, member: str, low: float, high: float) -> int | None:
        """Read a number within a range, and round it."""
        figure = self.figure(member, low, high)
        return None if figure is None else round(figure)

    def option(self, member: str, options: Iterable[str]) -> str | None:
        """Read one of several texts."""
        if member not in self._given:
            return None
        given = str(self._given[member])
        return one_of(f"{member} of {self._key}", given, options)

    def is_on(self, member: str, wanted: str = "ON or OFF") -> bool | None:
        """Read a word for on or off."""
        if member not in self._given:
            return None
        word = str(self._given[member])
        is_on = on_off(word)
        if is_on is None:
            raise refusal(f"{member} of {self._key}", wanted, word.lower())
        return is_on

    def rgb(self, member: str) -> tuple[int, int, int] | None:
        """Read a colour."""
        if member not in self._given:
            return None
        given = self._given[member]
        if not isinstance(given, dict) or set(given) != {"r", "g", "b"}:
            wanted = 'an object such as {"r": 255, "g": 0, "b": 0}'
            raise refusal(f"{member} of {self._key}", wanted, str(given))
        red, green, blue = (round(self._figure(c, given[c], 0, 255)) for c in "rgb")
        return red, green, blue

    def _figure(self, member: str, given: object, low: float, high: float) -> float:
        is_figure = isinstance(given, int | float) and not isinstance(given, bool)
        # Not a number is in no range, and an integer too long for a float in none.
        if is_figure and isinstance(given, int | float) and low <= given <= high:
            return float(given)
        wanted = f"a number from {low:g} to {high:g}"
        raise refusal(f"{member} of {self._key}", wanted, str(given))
