"""The managers that are running, as one fleet, by the broker between them."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator, Generator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any, Final

import anyio
import asyncclick as click

from structiot._kit.flow.tasks import service_group
from structiot.cli._common import broker_login
from structiot.cli._common.device_commands import DeviceCommands
from structiot.cli._common.options import Decorator, OptionGroup
from structiot.errors import StructiotError
from structiot.manager import ClientConnected, Manager, open_backplane, open_manager
from structiot.manager.wire.envelopes import node_name
from structiot.mqtt import MqttClient

__all__ = [
    "URI_VARIABLE",
    "Fleet",
    "backplane_of",
    "backplane_options",
    "fleet_command",
    "node_label",
    "of_the_broker",
    "open_fleet",
    "uri_option",
]

URI_VARIABLE: Final = "STRUCTIOT_MANAGER_URI"
"""What the broker's address is read from where it is not given."""

_path: Final = click.Path()
# Arguments that are the broker's here and the devices' there.
_OF_BOTH: Final = re.compile(r"\b(cafile|certfile|keyfile)=")


def uri_option(*, required: bool) -> Decorator:
    """Make the option that says where the broker is."""
    variables = [URI_VARIABLE, broker_login.URI_VARIABLE]

    def check(
        ctx: click.Context, param: click.Parameter, uri: str | None
    ) -> str | None:
        if required and uri is None and not ctx.resilient_parsing:
            # What the parser says by itself shows the variables as a list of Python's.
            hint = f"'--uri' (env var: {' or '.join(variables)})"
            raise click.MissingParameter(ctx=ctx, param=param, param_hint=hint)
        return uri

    return click.option(
        "--uri",
        callback=check,
        envvar=variables,
        show_envvar=True,
        help="Broker that joins the managers, such as mqtt://broker.example.",
    )


backplane_options: OptionGroup = OptionGroup(
    click.option("--name", default="fleet", help="Name of the whole."),
    broker_login.username_option,
    broker_login.password_option,
    broker_login.cafile_option("--broker-cafile"),
    click.option(
        "--broker-cert", "broker_certfile", type=_path, help="Own certificate for it."
    ),
    click.option(
        "--broker-key", "broker_keyfile", type=_path, help="Key of that certificate."
    ),
)


@contextmanager
def of_the_broker() -> Generator[None]:
    """Have errors in the block be about the broker's options, not those of the same name."""
    try:
        yield
    except StructiotError as exc:
        text, *others = exc.args or ("",)
        text = _OF_BOTH.sub(r"broker_\1=", text)
        exc.args = (text, *others)
        raise


def backplane_of(
    uri: str, given: Mapping[str, Any], node: str | None = None
) -> AbstractAsyncContextManager[MqttClient]:
    """Open the backplane that the values of `backplane_options` say.

    Args:
        uri: Where the broker is.
        given: Values of the options.
        node: The node's name; None for a command that is soon gone.
    """
    ctx = click.get_current_context(silent=True)
    username, password = broker_login.login_of(ctx, given, uri)
    settings = {
        "username": username,
        "password": password,
        "cafile": broker_login.trusted_by(ctx, "broker_cafile", given, uri),
        "certfile": given["broker_certfile"],
        "keyfile": given["broker_keyfile"],
    }
    return open_backplane(uri, node=node, name=given["name"], config=settings)


@dataclass(frozen=True, slots=True)
class Fleet:
    """All devices of the managers that are running.

    Attributes:
        manager: One of them, which has no devices of its own.
        wait_s: How long the others are listened to.
    """

    manager: Manager
    wait_s: float

    async def all_told(self) -> None:
        """Wait until the others have told what they have."""
        with anyio.move_on_after(self.wait_s):
            await self.manager.fleet_told()

    def say_nobody(self) -> None:
        """Say on standard error that no device was found, or not even a manager."""
        text = "no such device is connected"
        if not self.manager.nodes:
            text = "no manager is connected to this broker under this --name"
        click.echo(text, err=True)

    async def find(self, uuid: str) -> None:
        """Wait until one of them tells of a device, or all have told."""
        async with service_group() as tg, self.manager.events() as events:

            async def end_when_told() -> None:
                await self.all_told()
                tg.cancel_scope.cancel()

            tg.start_soon(end_when_told, name="structiot manager told")
            async for event in events:
                if isinstance(event, ClientConnected) and event.client.uuid == uuid:
                    return


@asynccontextmanager
async def open_fleet(
    *,
    uri: str,
    wait_s: float,
    **given: Any,  # noqa: ANN401 - values of options
) -> AsyncGenerator[Fleet]:
    """Be one of the managers for the length of the block."""
    async with (
        backplane_of(uri, given) as client,
        open_manager(port=None, backplane=client) as manager,
    ):
        yield Fleet(manager, wait_s)


def node_label(node: str) -> str | None:
    """Give the name of a node without what is new in each process."""
    return node_name(node) or None


fleet_command: DeviceCommands[Fleet] = DeviceCommands(
    open_fleet,
    uri_option(required=True),
    backplane_options,
    click.option(
        "--wait",
        "wait_s",
        type=click.FloatRange(min=0),
        default=2.5,
        metavar="SECONDS",
        help="How long managers are waited for, at most; they tell within two seconds.",
    ),
    argument=None,
    advice="is the broker there?",
)
