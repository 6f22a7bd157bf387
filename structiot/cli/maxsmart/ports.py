"""PORT on the command line: a number, or the name that the tables show."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import asyncclick as click

from structiot.cli._common.options import Decorator
from structiot.cli.maxsmart.complete import complete_port
from structiot.errors import UsageError
from structiot.maxsmart import MaxSmartStrip
from structiot.maxsmart.info import check_port

__all__ = ["one_port", "port_numbers", "ports_argument", "ports_meant"]

_NUMBER = re.compile("-?[0-9]+")
_NUMBERS = re.compile("[0-9]+(,[0-9]+)+")
_range = click.IntRange(0, 64)


class _Port(click.ParamType[str | int]):
    """A number, or a text that may be the name of a port."""

    name = "port"

    def convert(
        self,
        value: str | int,
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> str | int:
        """Take numbers as such; which names there are the device knows."""
        text = str(value).strip()
        if _NUMBERS.fullmatch(text):
            self.fail(f"give ports apart: {text.replace(',', ' ')}", param, ctx)
        if _NUMBER.fullmatch(text):
            return _range.convert(int(text), param, ctx)
        return text


one_port: Decorator = click.argument("port", type=_Port(), shell_complete=complete_port)
ports_argument: Decorator = click.argument(
    "ports",
    metavar="[PORT]...",
    nargs=-1,
    type=_Port(),
    shell_complete=complete_port,
)


def port_numbers(strip: MaxSmartStrip, ports: Sequence[str | int]) -> list[int]:
    """Give the numbers of ports, each once; 0 stays 0.

    Raises:
        UsageError: One does not exist, or its name is that of several; so nothing is
            done to the others either.
    """
    numbers = [_named(strip, port) if isinstance(port, str) else port for port in ports]
    for number in numbers:
        check_port(strip.info, number, may_be_all=True)
    return list(dict.fromkeys(numbers))


def ports_meant(strip: MaxSmartStrip, ports: Sequence[str | int]) -> list[int]:
    """Give the ports of PORT...: all of them for none and for 0, each once.

    Raises:
        UsageError: As `port_numbers`.
    """
    numbers = port_numbers(strip, ports)
    if not numbers or 0 in numbers:
        return list(range(1, strip.info.port_count + 1))
    return numbers


def _named(strip: MaxSmartStrip, name: str) -> int:
    """Find a port by its name, as it is written or else nearly so."""
    names = strip.info.port_names
    ways: tuple[Callable[[str], str], ...] = (str.strip, _nearly)
    for way in ways:
        found = [at for at, one in enumerate(names, 1) if way(one) == way(name)]
        if len(found) == 1:
            return found[0]
        if found:
            numbers = " and ".join(map(str, found))
            raise UsageError(
                f"{strip.info.label} has {len(found)} ports called {name!r}: give the "
                f"number, {numbers}"
            )
    known = ", ".join(
        f"{at} ({one})" if one else str(at) for at, one in enumerate(names, 1)
    )
    raise UsageError(f"{strip.info.label} has no port called {name!r}; it has {known}")


def _nearly(name: str) -> str:
    return "".join(name.split()).casefold()
