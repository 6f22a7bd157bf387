"""Files of the secrets of devices that are none, and what is said of them."""

from __future__ import annotations

from typing import Final

__all__ = ["WRONG_SECRETS"]

_UUID: Final = "1862cfe1-5dab-4d8e-a946-50d6728f830f"
_LINE: Final = 'has no UUID = "secret" in line'

WRONG_SECRETS: Final = [
    (f"{_UUID} hunter2\n", f"{_LINE} 1: expected '=' after a key in a key/value pair"),
    (f'# lamps\n{_UUID} = "hunter2\n', f"{_LINE} 2: illegal character '\\n'"),
    (f"\n{_UUID} =", f"{_LINE} 2: invalid value"),
    (f"{_UUID} = 5\n", f"{_LINE} 1"),
    (f'\n[{_UUID}]\na = "hunter2"\n', f"{_LINE} 2"),
    (f"a = {'9' * 5000}\n", 'has other lines than UUID = "secret"'),
    (f"a = {'[' * 5000}\n", 'has other lines than UUID = "secret"'),
    ('\nhunter2 = "hunter2"\n', "has no UUID in line 2"),
    (f'\n{_UUID} = ""\n', "has an empty secret in line 2"),
    (
        f'{_UUID} = "hunter2"\n{_UUID.upper()} = "hunter3"\n',
        "has a UUID for the second time in line 2",
    ),
    ("\udcff", "cannot be read: it is not text"),
]
"""Texts, in which what cannot be decoded is escaped, and what stands behind the file's name."""
