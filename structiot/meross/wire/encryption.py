"""Encryption in the local network: AES-256-CBC with a key that both sides know already.

Facts: reference 3.3. Despite the name of the ability (`Appliance.Encrypt.ECDHE`) no keys
are exchanged with a device that has been set up. Only `Appliance.System.Ability` may be
asked in the clear.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final, final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from structiot.errors import ProtocolViolation
from structiot.meross.wire.digests import md5_hex

__all__ = ["ENCRYPTED_ABILITY", "LanCipher", "mac_of_uuid"]

ENCRYPTED_ABILITY: Final = "Appliance.Encrypt.ECDHE"
_IV: Final = b"0" * 16
_BLOCK: Final = 16


def mac_of_uuid(uuid: str) -> str:
    """Give the hardware address that stands at the end of a uuid, with colons."""
    digits = uuid[-12:].lower()
    return ":".join(digits[at : at + 2] for at in range(0, 12, 2))


@final
class LanCipher:
    """Encrypts for, and decrypts from, one device; safe to share.

    Args:
        uuid: The device's, of 32 characters.
        key: The account's key.
        mac: The device's hardware address, lower case with colons.
    """

    def __init__(self, uuid: str, key: str, mac: str) -> None:
        seed = f"{uuid[3:22]}{key[1:9]}{mac}{key[10:28]}"
        self._cipher: Final = Cipher(
            algorithms.AES(md5_hex(seed).encode()), modes.CBC(_IV)
        )

    def __repr__(self) -> str:
        return "<LanCipher>"

    def encrypt(self, plain: bytes) -> bytes:
        """Encrypt a message; 1 to 16 NULs are added, base64 comes out."""
        padded = plain + bytes(_BLOCK - len(plain) % _BLOCK)
        encryptor = self._cipher.encryptor()
        return base64.b64encode(encryptor.update(padded) + encryptor.finalize())

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt a message, and strip the NULs at its end.

        Raises:
            ProtocolViolation: No base64, or no whole blocks. With another key it is
                nonsense that comes out, not an error.
        """
        try:
            blocks = base64.b64decode(data.strip(), validate=True)
        except (binascii.Error, ValueError):
            raise ProtocolViolation("encrypted data that is no base64") from None
        if not blocks or len(blocks) % _BLOCK:
            message = f"encrypted data of {len(blocks)} bytes, no whole blocks"
            raise ProtocolViolation(message)
        decryptor = self._cipher.decryptor()
        return (decryptor.update(blocks) + decryptor.finalize()).rstrip(b"\0")
