"""The broker, as the configuration of a gateway has it: `--config`. No command."""

from __future__ import annotations

from typing import Any, Final

import anyio.to_thread
import asyncclick as click

from structiot.cli._common.options import is_given, refuse_given

__all__ = ["add_configured"]

_BROKER: Final = ("host", "port", "url", "unix")
_FILES: Final = {
    "cafile": "ca_file",
    "certfile": "cert_file",
    "keyfile": "key_file",
}


async def add_configured(ctx: click.Context, values: dict[str, Any]) -> None:
    """Take from the configuration that is named what no option says.

    Args:
        ctx: The command's context.
        values: Those of the options of a connection; changed.

    Raises:
        click.UsageError: Another broker is named as well.
        ConfigError: The configuration cannot be read, or is wrong.
    """
    path = values.pop("config_file")
    values["base_topic"] = None
    if path is None:
        return
    if is_given(ctx, "config_file"):
        why = "names the broker, as --config does: give one"
        refuse_given(ctx, _BROKER, why)
    elif any(is_given(ctx, name) for name in _BROKER):
        return
    # Half a second of imports, which others do without.
    given = await anyio.to_thread.run_sync(_read, path)
    values["base_topic"] = given.pop("base_topic")
    values |= dict.fromkeys(_BROKER)
    for name, value in given.items():
        # Who one is at this broker is not what the environment says for another.
        is_told = value is not None or name in {"username", "password"}
        if is_told and not is_given(ctx, name):
            values[name] = value


def _read(path: str) -> dict[str, Any]:
    from structiot.gateway import load_config  # noqa: PLC0415
    from structiot.gateway.broker import uri_for_us  # noqa: PLC0415

    config = load_config(path)
    mqtt = config.mqtt
    secrets = {"password": mqtt.password, "keyfile_password": mqtt.key_file_password}
    return {
        "base_topic": mqtt.base_topic,
        "url": mqtt.uri or uri_for_us(config.broker.listen[0]),
        "username": mqtt.username,
        **{
            name: None if one is None else one.reveal() for name, one in secrets.items()
        },
        **{name: getattr(mqtt, key) for name, key in _FILES.items()},
    }
