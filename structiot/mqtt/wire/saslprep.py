"""Names and passwords in one form, however they were typed.

Source: RFC 4013 (SASLprep), on RFC 3454 (stringprep) and Unicode 3.2, whose tables are in
the standard library.
"""

from __future__ import annotations

import stringprep
from unicodedata import ucd_3_2_0

from structiot.errors import UsageError

__all__ = ["saslprep"]

# RFC 4013, 2.3: what is left of these is not mapped away.
_PROHIBITED = (
    stringprep.in_table_c12,
    stringprep.in_table_c21_c22,
    stringprep.in_table_c3,
    stringprep.in_table_c4,
    stringprep.in_table_c5,
    stringprep.in_table_c6,
    stringprep.in_table_c7,
    stringprep.in_table_c8,
    stringprep.in_table_c9,
)


def saslprep(text: str, what: str, *, may_be_unassigned: bool) -> str:
    """Give a text in the form in which SASL compares it.

    Args:
        text: As it was typed.
        what: What it is; the text itself, which may be a password, is in no error.
        may_be_unassigned: Whether it may have characters that Unicode 3.2 does not know,
            such as emoji: yes for what is asked ("query"), no for what is stored.

    Raises:
        UsageError: It has characters that are not allowed, mixes directions of writing, or
            nothing is left of it.
    """
    mapped = "".join(
        " " if stringprep.in_table_c12(one) else one
        for one in text
        if not stringprep.in_table_b1(one)
    )
    found = ucd_3_2_0.normalize("NFKC", mapped)
    if not found:
        raise UsageError(f"{what} is empty")
    for one in found:
        is_unknown = not may_be_unassigned and stringprep.in_table_a1(one)
        if is_unknown or any(is_in(one) for is_in in _PROHIBITED):
            why = "Unicode 3.2 does not know" if is_unknown else "are not allowed"
            raise UsageError(f"{what} has characters that {why} (SASLprep, RFC 4013)")
    _check_direction(found, what)
    return found


def _check_direction(text: str, what: str) -> None:
    """RFC 3454, section 6."""
    leftward = [stringprep.in_table_d1(one) for one in text]
    if any(leftward) and (
        any(map(stringprep.in_table_d2, text)) or not (leftward[0] and leftward[-1])
    ):
        raise UsageError(
            f"{what} mixes what is written from right to left with what is not "
            "(SASLprep, RFC 4013)"
        )
