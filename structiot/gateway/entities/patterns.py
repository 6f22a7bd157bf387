"""Which patterns of texts may be matched in the event loop. Pure."""

from __future__ import annotations

import re

from structiot.errors import UsageError

__all__ = ["check_pattern"]

# Escapes and classes as a whole, and a group's end with what repeats it.
_PART = re.compile(
    r"\\.|\[\^?\]?(?:\\.|[^\]\\])*\]|\)(?:[*+?]|\{[0-9,]+\})?|\(|\{[0-9,]+\}|.",
    re.DOTALL,
)
_MOST_REPEATS = 8


def check_pattern(key: str, pattern: str) -> None:
    """Refuse a pattern that 30 characters of anybody could keep busy for minutes.

    Raises:
        UsageError: It is no regular expression, or a group that is repeated has repeats
            or choices in it.
    """
    try:
        re.compile(pattern)
    except (re.error, RecursionError, OverflowError) as exc:
        message = f"the pattern of {key} is no regular expression: {exc}"
        raise UsageError(message) from None
    varies = [False]  # of each group that is open
    for part in _PART.findall(pattern):
        if part.startswith("("):
            varies.append(False)
        elif part.startswith(")"):
            inner = varies.pop() if len(varies) > 1 else False
            if inner and _repeats_often(part[1:]):
                message = f"the pattern of {key} repeats a group that varies already"
                raise UsageError(f"{message}, which may take for ever: {pattern}")
            varies[-1] |= inner or part != ")"
        elif part[0] in "|*+?{":
            varies[-1] = True


def _repeats_often(quantifier: str) -> bool:
    if quantifier.startswith("{"):
        most = quantifier.strip("{}").rpartition(",")[2]
        return not most or int(most) > _MOST_REPEATS
    return quantifier in {"*", "+"}
