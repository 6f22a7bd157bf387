"""`[connector]` in the configuration of a gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Final, Literal

from structiot._kit.redact import Secret
from structiot.connector import ConnectorConfig
from structiot.errors import ConfigError
from structiot.gateway.config.fields import (
    Finding,
    Hidden,
    Host,
    NamedFile,
    Port,
    SystemSection,
    beside_config,
    readable,
    seconds,
    secret_in,
)

__all__ = ["ConnectorSection"]

_OF_PLATFORM: Final = (
    "platform", "host", "port", "user", "password", "encryption", "cafile", "gid",
    "api_url", "token_url", "client_id", "hub_name",
)  # fmt: skip


class ConnectorSection(SystemSection):
    """`[connector]`: the platform; links to it say which devices are offered there.

    Attributes:
        conf: A `connector.conf` with the keys from `platform` to `hub_name`, instead of
            these; relative to the configuration file. One that is missing is made, to be
            filled in.
        platform: `"sepl"`, or `"senergy"`, which took its place.
        host: Where the platform is.
        port: Its TCP port; needed with `sepl`.
        user: Whose devices they are.
        password: The user's password.
        password_file: File whose first line is the password, instead of `password`;
            relative to the configuration file.
        encryption: Whether TLS is spoken.
        cafile: File of the authorities that are trusted in place of the system's;
            relative to the configuration file.
        gid: Which gateway, or hub, this is there; by default one that the platform makes
            at the first start.
        api_url: Where devices and hubs are managed; `senergy` alone, like the next.
        token_url: Where tokens are given.
        client_id: As what tokens are asked for.
        hub_name: What a new hub is called.
        every_s: Shortest time between two events of one service.
    """

    also_called: ClassVar[Mapping[str, str]] = {
        **dict.fromkeys(("file", "config", "conf_file"), "conf"),
        "username": "user",
        "ca_file": "cafile",
    }
    starts_with: ClassVar[Mapping[str, object]] = {"conf": "connector.conf"}

    conf: Annotated[str | None, NamedFile(beside_config)] = None
    platform: Literal["sepl", "senergy"] = "sepl"
    host: Host | None = None
    port: Port | None = None
    user: str | None = None
    password: Hidden | None = None
    password_file: Annotated[str | None, NamedFile(secret_in, into="password")] = None
    encryption: bool | None = None
    cafile: Annotated[str | None, NamedFile(readable)] = None
    gid: str | None = None
    api_url: str | None = None
    token_url: str | None = None
    client_id: str | None = None
    hub_name: str | None = None
    every_s: Annotated[float, seconds(0.1, 3600)] = 1.0

    @property
    def place(self) -> str:
        """Whose gateway at which platform it is, where the keys say it."""
        return f"{self.platform} {self.user}@{self.host}:{self.port or ''}"

    def config(self, gid: str) -> ConnectorConfig:
        """Give what the connector is opened with; reads the file.

        Args:
            gid: What the platform has made before, where the keys do not say it.

        Raises:
            ConfigError: The file cannot be used, or something is missing in it.
        """
        if self.conf is not None:
            return ConnectorConfig.of(self.conf)
        given = self.model_dump(include=set(_OF_PLATFORM), exclude_none=True)
        return ConnectorConfig(**{"gid": gid, **given})

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterator[Finding]:
        """See that it is said where the platform is, and once."""
        given: dict[str, Any] = {
            key: table[key] for key in _OF_PLATFORM if key in table
        }
        if "conf" in table:
            for key in given:
                message = f"{key} belongs into the file that conf names"
                yield Finding(path=(key,), message=message, is_about_key=True)
            return
        if "password_file" in table:
            given["password"] = Secret("it")
        if given.get("platform", "sepl") not in {"sepl", "senergy"}:
            # That, too, is said already.
            return
        kinds: dict[str, Any] = {"port": int, "encryption": bool}
        kinds["password"] = (str, Secret)
        if not all(isinstance(v, kinds.get(k, str)) for k, v in given.items()):
            # That is said already.
            return
        try:
            ConnectorConfig.of(given)
        except ConfigError as exc:
            yield Finding(path=(), message=f"[connector] {exc}", is_about_key=True)
