"""Where the broker is and who asks: one habit of all commands that speak to one.

| option | variable |
|---|---|
| `--uri` | `STRUCTIOT_MQTT_URI` |
| `-u`, `--username` | `STRUCTIOT_MQTT_USERNAME` |
| `-P`, `--pw` | `STRUCTIOT_MQTT_PASSWORD` |
| `--cafile`, or `--broker-cafile` beside others | `STRUCTIOT_MQTT_CAFILE` |

What a variable says holds for many calls. So it is passed over where the command line names
another broker, or an address brings a name and a password along.
"""

from __future__ import annotations

import getpass
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import asyncclick as click

from structiot.cli._common.asking import at_a_terminal
from structiot.cli._common.options import Decorator, is_given
from structiot.mqtt.wire.uri import parse_uri

__all__ = [
    "URI_VARIABLE",
    "cafile_option",
    "login_of",
    "password_option",
    "trusted_by",
    "username_option",
]

URI_VARIABLE: Final = "STRUCTIOT_MQTT_URI"
"""What a broker's address is read from where none is given."""

_PASSWORD: Final = "STRUCTIOT_MQTT_PASSWORD"  # noqa: S105 - the name of a variable

username_option: Decorator = click.option(
    "-u",
    "--username",
    envvar="STRUCTIOT_MQTT_USERNAME",
    show_envvar=True,
    help="User name for the broker.",
)
password_option: Decorator = click.option(
    "-P",
    "--pw",
    "password",
    envvar=_PASSWORD,
    show_envvar=True,
    help="Password for it; better in the variable, or - to be asked for it.",
)


def cafile_option(name: str) -> Decorator:
    """Make the option that says whom to trust with the broker's TLS."""
    return click.option(
        name,
        type=click.Path(),
        envvar="STRUCTIOT_MQTT_CAFILE",
        show_envvar=True,
        help="Accepted authorities of the broker (TLS).",
    )


def login_of(
    ctx: click.Context | None, given: Mapping[str, Any], uri: str | None
) -> tuple[str | None, str | None]:
    """Give the user name and the password, which is asked for if that is wished.

    Args:
        ctx: The command's context; None for a shell that completes a word.
        given: Values of its options, `username` and `password` among them.
        uri: The broker's address, if it is given as one.

    Raises:
        click.UsageError: There is no terminal to ask at.
    """
    username, password = given["username"], given["password"]
    if ctx is not None and _has_login(uri):
        username = username if is_given(ctx, "username") else None
        password = password if is_given(ctx, "password") else None
    if password == "-":  # noqa: S105 - no password, but the wish to be asked
        with at_a_terminal(f"put it into ${_PASSWORD}"):
            password = getpass.getpass()
    return username, password


def trusted_by(
    ctx: click.Context | None, name: str, given: Mapping[str, Any], uri: str
) -> str | None:
    """Give the file of authorities; one that a variable names is for TLS alone.

    Args:
        ctx: As of `login_of`.
        name: The option's name.
        given: Values of the command's options.
        uri: The broker's address.

    Raises:
        ConfigError: It is none of a broker.
    """
    file: str | None = given[name]
    if file is None or ctx is None or is_given(ctx, name) or parse_uri(uri).is_tls:
        return file
    return None


def _has_login(uri: str | None) -> bool:
    try:
        return uri is not None and urlsplit(uri).username is not None
    except ValueError:
        # Whoever opens it says what is wrong with it.
        return False
