"""The class of a configuration, put together from the systems that are installed."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from pydantic import create_model

from structiot.errors import ConfigError, InternalError
from structiot.gateway.config.fields import Finding, SystemSection
from structiot.gateway.config.sections import GatewayConfig
from structiot.gateway.installed import installed_drivers, load_driver
from structiot.gateway.isolation import called

__all__ = ["config_model"]


def config_model(
    data: Mapping[str, object], *, is_whole: bool = False
) -> tuple[type[GatewayConfig], list[Finding]]:
    """Give the class that fits the data, and why some of its sections cannot be read.

    Args:
        data: The settings as they were written.
        is_whole: Whether systems without a section are imported, too: what is wrong
            elsewhere may have been meant for them.
    """
    sections: dict[str, type[SystemSection]] = {}
    findings: list[Finding] = []
    for name in installed_drivers():
        sections[name] = SystemSection
        if not is_whole and name not in data:
            continue
        try:
            sections[name] = _section_of(name)
        except ConfigError as exc:
            # Without its class nothing more can be said of such a section.
            sections[name] = _Unreadable
            if name in data:
                findings.append(
                    Finding(path=(name,), message=str(exc), is_about_key=True)
                )
    return _made(tuple(sections.items())), findings


def _section_of(name: str) -> type[SystemSection]:
    driver = load_driver(name)
    try:
        section = called(lambda: _usable(name, driver.section))
    except InternalError as exc:
        message = f"the section of the driver for {name!r} cannot be used: {exc}"
        raise ConfigError(message) from exc
    if section is None:
        message = f"the section of the driver for {name!r} is no SystemSection"
        raise ConfigError(message)
    return section


def _usable(name: str, section: object) -> type[SystemSection] | None:
    if not (isinstance(section, type) and issubclass(section, SystemSection)):
        return None
    # A field that pydantic cannot have is found here, before others are concerned.
    _made(((name, section),))
    return section


class _Unreadable(SystemSection, extra="allow"):
    """A section of a system whose driver cannot be loaded."""


@cache
def _made(sections: tuple[tuple[str, type[SystemSection]], ...]) -> type[GatewayConfig]:
    fields = {name: (section | None, None) for name, section in sections}
    made: type[GatewayConfig] = create_model(  # type: ignore[call-overload]  # made of data
        "GatewayConfig", __base__=GatewayConfig, __module__=__name__, **fields
    )
    return made
