"""Secrets that stand elsewhere than in the configuration.

    password = "in the file itself"
    password = { file = "beside_it" }
    password = { env = "HOUSE_PASSWORD" }
    password = { keyring = "structiot/house" }
    password = { credential = "house" }

Every setting that is a `Hidden` takes all of these. They are read each time that the
configuration is; messages name the place, never what stands there.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from structiot._kit.redact import Secret
from structiot._kit.text import did_you_mean, fault_text
from structiot.gateway.config.fields import (
    SECRET_SOURCES,
    Finding,
    IsSecret,
    marked,
)
from structiot.gateway.config.files import with_value
from structiot.gateway.config.reading import credentials_folder, fault_of, secret_in

__all__ = ["with_secrets"]

# What is none may be the secret itself, in the wrong place.
_ENV_NAME = re.compile(r"[A-Z_][A-Z0-9_]*")
_HOW = 'write { env = "NAME" }, or ' + ", ".join(
    f'{{ {name} = "..." }}' for name in SECRET_SOURCES if name != "env"
)


def with_secrets(
    model: type[BaseModel], data: Mapping[str, Any], folder: FilePath
) -> tuple[Mapping[str, Any], list[Finding]]:
    """Read the secrets that stand elsewhere.

    Args:
        model: The settings; its marks say which of them are secrets.
        data: The settings as they were written.
        folder: What names of files are relative to.

    Returns:
        The settings with the secrets in them, and why some could not be had.
    """
    findings: list[Finding] = []
    found = data
    for one in marked(model, data, IsSecret):
        if not isinstance(one.value, Mapping):
            continue
        try:
            secret = _secret_at(one.value, folder)
        except ValueError as exc:
            # So that nothing else is said of it.
            secret = Secret("?")
            key = next(part for part in reversed(one.path) if isinstance(part, str))
            findings.append(Finding(path=one.path, message=f"{key}: {exc}"))
        found = with_value(found, one.path, secret)
    return found, findings


def _secret_at(table: Mapping[str, object], folder: FilePath) -> Secret:
    """Read a secret from where a table says that it is.

    Raises:
        ValueError: It cannot be had.
    """
    for name in table:
        if name not in SECRET_SOURCES:
            raise ValueError(
                f"no secret can be had by {name!r}"
                f"{did_you_mean(name, SECRET_SOURCES)}; {_HOW}"
            )
    if len(table) != 1:
        many = "one of them" if table else "where it is"
        raise ValueError(f"a secret stands in one place: say {many}; {_HOW}")
    ((source, where),) = table.items()
    if not isinstance(where, str) or not where:
        raise ValueError(f"{source} must be a text in quotes that is not empty")
    read: dict[str, Callable[[], Secret]] = {
        "env": partial(_in_environment, where),
        "file": partial(_in_file, where, folder),
        "keyring": partial(_in_keyring, where),
        "credential": partial(_in_credentials, where),
    }
    return read[source]()


def _in_environment(name: str) -> Secret:
    value = os.environ.get(name)
    if value is None and not _ENV_NAME.fullmatch(name):
        raise ValueError(
            "env takes the name of an environment variable, such as HOUSE_PASSWORD"
        )
    if value is None:
        raise ValueError(f"there is no environment variable {name}")
    if not value:
        raise ValueError(f"the environment variable {name} is empty")
    return Secret(value)


def _in_file(name: str, folder: FilePath) -> Secret:
    try:
        return secret_in(folder / name)
    except ValueError as exc:
        raise ValueError(f"the file {fault_of(folder, name, str(exc))}") from exc


def _in_credentials(name: str) -> Secret:
    folder = credentials_folder()
    if folder is None:
        raise ValueError(
            "there are no credentials: $CREDENTIALS_DIRECTORY is not set, as systemd "
            "sets it where the unit has a LoadCredential="
        )
    if name in {".", ".."} or "/" in name:
        raise ValueError("credential takes a name, not a path; for that there is file")
    try:
        return secret_in(folder / name)
    except ValueError as exc:
        raise ValueError(f"the credential {fault_of(folder, name, str(exc))}") from exc


def _in_keyring(where: str) -> Secret:
    service, _, user = where.rpartition("/")
    if not service or not user:
        raise ValueError("keyring takes service/user, such as structiot/house")
    try:
        # An extra, and slow to load.
        import keyring  # noqa: PLC0415
    except ImportError:
        raise ValueError(
            "there is no keyring without the extra 'keyring': "
            "pip install 'structiot[keyring]'"
        ) from None
    try:
        password = keyring.get_password(service, user)
    # Its backends are of others, and may fail in any way.
    except Exception as exc:  # noqa: BLE001
        why = fault_text(exc)
        raise ValueError(f"the keyring cannot be used: {why}") from None
    if not password:
        raise ValueError(
            "the keyring has no such password; 'keyring set SERVICE USER' puts it there"
        )
    return Secret(password)
