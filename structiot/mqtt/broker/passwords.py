"""Who may connect: names and hashes of passwords.

A password file has one `name:hash` a line. The hash is one of ours,
`$scrypt$N$r$p$salt$key` (RFC 7914), or one that mosquitto_passwd has made:
`$7$iterations$salt$key` (PBKDF2 with SHA-512, RFC 8018) or `$6$salt$key` (SHA-512 of the
password and the salt). Salt and key are in base64.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from structiot._kit.arguments import check_argument
from structiot._kit.regular_file import read_regular
from structiot._kit.text import path_fault, printable
from structiot.errors import ConfigError

__all__ = ["Passwords", "hash_password"]

SCRYPT_N = 16_384
SCRYPT_R = 8
SCRYPT_P = 1
KEY_BYTES = 32
MAX_MEMORY_BYTES = 64 * 1024 * 1024
# More than this keeps a thread for seconds at each login.
MAX_P = 16
MAX_ITERATIONS = 1_000_000
SHA512_BYTES = 64
# Of half a million users.
MAX_FILE_BYTES = 64 * 1024 * 1024
_NO_LINE = "not name:$scrypt$..., nor $7$... or $6$... of mosquitto_passwd"
_EXAMPLE = 'Passwords({"ann": hash_password("her word")})'
_COST = re.compile("[0-9]{1,9}")


def hash_password(password: str | bytes, *, salt: bytes | None = None) -> str:
    """Make the hash of a password file; takes about 50 ms on purpose.

    Raises:
        UsageError: The password is neither text nor bytes.
    """
    check_argument("password", password, str, bytes)
    secret = password.encode() if isinstance(password, str) else password
    grain = secrets.token_bytes(16) if salt is None else salt
    key = _scrypt(secret, grain, SCRYPT_N, SCRYPT_R, SCRYPT_P)
    texts = (base64.b64encode(part).decode() for part in (grain, key))
    return f"$scrypt${SCRYPT_N}${SCRYPT_R}${SCRYPT_P}${'$'.join(texts)}"


def _scrypt(secret: bytes, salt: bytes, n: int, r: int, p: int) -> bytes:
    return hashlib.scrypt(
        secret, salt=salt, n=n, r=r, p=p, maxmem=2 * MAX_MEMORY_BYTES, dklen=KEY_BYTES
    )


class _Hash(NamedTuple):
    """What stands in one line: the costs are N, r and p, or iterations, or none."""

    costs: tuple[int, ...]
    salt: bytes
    key: bytes

    def is_of(self, password: bytes) -> bool:
        """Compare; slow on purpose."""
        if len(self.costs) == 3:
            made = _scrypt(password, self.salt, *self.costs)
        elif self.costs:
            made = hashlib.pbkdf2_hmac("sha512", password, self.salt, *self.costs)
        else:
            made = hashlib.sha512(password + self.salt).digest()
        return hmac.compare_digest(made, self.key)


def _parsed(text: str) -> _Hash:
    """Read a hash.

    Raises:
        ValueError: It is none, or one that cannot be computed.
    """
    parts = text.split("$")
    kind, numbers = "$".join(parts[:2]), parts[2:-2]
    if (kind, len(numbers)) not in {("$scrypt", 3), ("$7", 1), ("$6", 0)}:
        raise ValueError(_NO_LINE)
    if not all(map(_COST.fullmatch, numbers)):
        raise ValueError("N, r and p, or iterations, are numbers from 1 on")
    costs = tuple(map(int, numbers))
    if kind == "$scrypt":
        _check_scrypt(*costs)
    elif costs and not 1 <= costs[0] <= MAX_ITERATIONS:
        raise ValueError(f"there are 1 to {MAX_ITERATIONS} iterations, not {costs[0]}")
    try:
        salt, key = (base64.b64decode(part, validate=True) for part in parts[-2:])
    except binascii.Error:
        raise ValueError("salt and key are not in base64") from None
    key_bytes = KEY_BYTES if kind == "$scrypt" else SHA512_BYTES
    if len(key) != key_bytes:
        raise ValueError(f"the key has {len(key)} bytes, not {key_bytes}")
    return _Hash(costs, salt, key)


def _check_scrypt(n: int, r: int, p: int) -> None:
    if n < 2 or n & (n - 1):
        raise ValueError(f"N is a power of two from 2 on, not {n}")
    if not r or not 1 <= p <= MAX_P or 128 * r * (n + p + 2) > MAX_MEMORY_BYTES:
        raise ValueError(f"N={n}, r={r}, p={p} cost too much: 64 MiB, and p up to 16")


class Passwords:
    """Names and hashes: `Passwords({"ann": hash_password("her word")})`.

    Attributes:
        generation: How often others have taken their place.

    Raises:
        ConfigError: A hash that is none, or costs too much; its name is told.
        UsageError: No mapping of names to hashes.
    """

    def __init__(self, hashes: Mapping[str, str]) -> None:
        check_argument("hashes", hashes, Mapping, write=_EXAMPLE)
        parsed: dict[str, _Hash] = {}
        for name, text in hashes.items():
            check_argument("a user's name", name, str)
            who = printable(name, most=40)
            check_argument(f"the hash of {who!r}", text, str, write=_EXAMPLE)
            if not text.startswith("$"):
                raise ConfigError(
                    f"the password of {who!r} is given as it is; write {_EXAMPLE}"
                )
            try:
                parsed[name] = _parsed(text)
            except ValueError as exc:
                raise ConfigError(f"the password of {who!r}: {exc}") from None
        # The second is what was right last time, by name; the key is of this process
        # alone. They are replaced together: a check that runs belongs to its own.
        self._known: tuple[dict[str, _Hash], dict[str, bytes]] = parsed, {}
        self.generation: int = 0
        self._key = secrets.token_bytes(32)

    @classmethod
    def read(cls, path: str | Path) -> Passwords:
        """Read a password file; it blocks, so call it in a thread.

        Raises:
            ConfigError: It cannot be read, or has a line that is none, which is told.
            UsageError: No path.
        """
        check_argument("path", path, str, Path)
        try:
            data = read_regular(Path(path), most_bytes=MAX_FILE_BYTES)
            lines = data.decode("utf-8-sig").splitlines()
        except UnicodeDecodeError:
            raise ConfigError(f"{path} is not text") from None
        except (OSError, ValueError) as exc:
            raise ConfigError(
                f"cannot read the password file {str(path)!r}: {path_fault(exc)}"
            ) from exc
        hashes: dict[str, str] = {}
        for number, line in enumerate(lines, 1):
            if not line.strip() or line.startswith("#"):
                continue
            name, colon, text = line.partition(":")
            if not colon or not name:
                raise ConfigError(f"{path}, line {number}: {_NO_LINE}")
            try:
                _parsed(text.strip())
            except ValueError as exc:
                raise ConfigError(f"{path}, line {number}: {exc}") from None
            hashes[name] = text.strip()
        return cls(hashes)

    @classmethod
    def read_again(cls, path: str | Path) -> Passwords:
        """Read the file anew from which others have come, as `read` does.

        Raises:
            ConfigError: As by `read`; or there are no users any more, which would cut
                everybody off.
            UsageError: No path.
        """
        found = cls.read(path)
        if not found:
            shown = printable(str(path))
            text = "has no users, as an editor leaves a file on a full disk"
            raise ConfigError(f"{shown} {text}")
        return found

    def __contains__(self, name: object) -> bool:
        """Whether a name is known."""
        return name in self._known[0]

    def __len__(self) -> int:
        """How many names there are."""
        return len(self._known[0])

    def changed_in(self, others: Passwords) -> set[str]:
        """Name those who are unknown to others, or have another hash there.

        There may be many: call it in a thread.
        """
        known = others._known[0]
        return {name for name, one in self._known[0].items() if known.get(name) != one}

    def replace(self, others: Passwords) -> bool:
        """Go by the names and hashes of others from now on; tell whether they differ.

        Who is connected stays.
        """
        hashes = others._known[0]
        is_other = hashes != self._known[0]
        if is_other:
            self._known = hashes, {}
            self.generation += 1
        return is_other

    def check(self, name: str, password: bytes) -> bool:
        """Compare; slow on purpose, so call it in a thread."""
        hashes, right = self._known
        # Of an unknown name the check takes as long as that of somebody else.
        is_right = hashes.get(name, self._stand_in(name)).is_of(password)
        is_right = is_right and name in hashes
        if is_right:
            right[name] = self._digest(name, password)
        return is_right

    def is_known(self, name: str, password: bytes) -> bool:
        """Tell whether `check` has found this right before; quick."""
        known = self._known[1].get(name)
        return known is not None and hmac.compare_digest(
            known, self._digest(name, password)
        )

    def _stand_in(self, name: str) -> _Hash:
        hashes = list(self._known[0].values())
        if not hashes:
            return _NOBODY
        number = int.from_bytes(self._digest(name, b"")[:8])
        return hashes[number % len(hashes)]

    def _digest(self, name: str, password: bytes) -> bytes:
        return hmac.digest(self._key, name.encode() + b"\0" + password, "sha256")


# Nobody's, where nobody is known.
_NOBODY = _Hash((SCRYPT_N, SCRYPT_R, SCRYPT_P), b"", b"")
