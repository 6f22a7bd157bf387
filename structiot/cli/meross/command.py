"""`structiot meross command`: what structiot does not know yet."""

from __future__ import annotations

import json

import asyncclick as click

from structiot.cli._common.output import show_json
from structiot.cli._common.standard_input import read_all
from structiot.cli.meross.complete import complete_namespace
from structiot.cli.meross.device import DeviceCommand, device_command, whole_device
from structiot.cli.meross.finding import AnyDevice

__all__ = ["command"]


@click.command(cls=DeviceCommand, short_help="Ask a device something by its namespace.")
@device_command()
@click.argument("namespace", shell_complete=complete_namespace)
@click.argument(
    "method",
    metavar="[METHOD]",
    type=click.Choice(("GET", "SET", "DELETE", "PUSH"), case_sensitive=False),
    default="GET",
)
@click.argument("payload", metavar="[JSON]", default="{}")
async def command(
    device: AnyDevice, namespace: str, method: str, payload: str, *, wants_json: bool
) -> None:
    """Send DEVICE a request, and print the payload of its answer.

    NAMESPACE is such as `Appliance.System.Runtime`; METHOD is GET, SET, DELETE or PUSH; JSON is
    the payload, or - for that on standard input.
    """
    if payload == "-":
        payload = (await read_all()).decode(errors="replace")
    try:
        asked = json.loads(payload)
    except (ValueError, RecursionError) as exc:
        raise click.UsageError(f"the payload is no JSON: {exc}") from exc
    if not isinstance(asked, dict):
        raise click.UsageError('the payload is a JSON object, such as {"togglex": {}}')
    answer = await whole_device(device).request(namespace, method, asked)
    show_json(answer, indent=None if wants_json else 2)
