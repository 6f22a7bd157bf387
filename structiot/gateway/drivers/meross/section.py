"""`[meross]` in the configuration of a gateway."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, ClassVar, TypeAlias

from pydantic import AfterValidator, Field

from structiot.gateway.config.fields import (
    DeviceName,
    Finding,
    Hidden,
    Host,
    NamedFile,
    Port,
    Section,
    SystemSection,
    beside_config,
    seconds,
    secret_in,
)
from structiot.gateway.drivers.places import places_listed_twice
from structiot.meross import Policy, RateLimitChecker
from structiot.meross.link.cloud import DEFAULT_URL
from structiot.meross.polls import CLOUD_LIVE_S, LAN_POLL_S

__all__ = ["MerossDeviceSection", "MerossLimitsSection", "MerossSection"]


def _check_url(url: str) -> str:
    if not url.startswith(("https://", "http://")):
        raise ValueError("the address of the cloud begins with https:// or http://")
    return url


_Count: TypeAlias = Annotated[int, Field(ge=1, le=4096)]
_PollSeconds: TypeAlias = Annotated[float, seconds(1, CLOUD_LIVE_S)]
_Window: TypeAlias = Annotated[float, seconds(0.001, 86400)]
_SecretFile: TypeAlias = Annotated[str | None, NamedFile(secret_in, into="key")]


def _check_country(country: str) -> str:
    if not (len(country) == 2 and country.isascii() and country.isalpha()):
        raise ValueError("a country is two letters, such as 'de'")
    return country


class MerossLimitsSection(Section):
    """`[meross.rate_limiter]`: how fast devices are spoken to through the cloud.

    What is not given is as `structiot.meross.RateLimitChecker` has it, which is safe for
    the account.

    Attributes:
        global_burst_rate: Most tokens for all devices together.
        global_time_window: Seconds of an interval.
        global_tokens_per_interval: New tokens in each.
        device_burst_rate: Most tokens of one device.
        device_time_window: Seconds of its interval.
        device_tokens_per_interval: New tokens in each.
        device_max_command_queue: How many messages to one device may wait.
        device_messages_per_minute: Most messages to one device in any minute.
        device_messages_per_hour: The same for any hour.
    """

    global_burst_rate: _Count | None = None
    global_time_window: _Window | None = None
    global_tokens_per_interval: _Count | None = None
    device_burst_rate: _Count | None = None
    device_time_window: _Window | None = None
    device_tokens_per_interval: _Count | None = None
    device_max_command_queue: Annotated[int, Field(ge=0, le=4096)] | None = None
    device_messages_per_minute: _Count | None = None
    device_messages_per_hour: _Count | None = None


class MerossDeviceSection(Section):
    """`[[meross.devices]]`: one device in the local network, without the cloud.

    Attributes:
        host: Address or name of the device.
        name: What topics and people call it.
        port: Its TCP port.
        key: What it was set up with; by default as in `[meross]`.
        key_file: File whose first line is the key, instead of the key itself.
        poll_s: Time between two polls; by default as in `[meross]`.
    """

    host: Host
    name: DeviceName | None = None
    port: Port = 80
    key: Hidden | None = None
    key_file: _SecretFile = None
    poll_s: _PollSeconds | None = None


class MerossSection(SystemSection):
    """`[meross]`: an account, devices in the local network without one, or both.

    Attributes:
        email: The account; by default that of the kept token.
        password: Its password; not needed while the kept token is good.
        password_file: File whose first line is the password, instead of `password`;
            relative to the configuration file, like the next.
        store: File that keeps the token; by default where `structiot meross login`
            keeps it.
        policy: `"lan_first"`, `"lan_only"` or `"cloud_only"`.
        url: Where to sign in.
        country: The account's country.
        rate_limiter: How fast devices are spoken to through the cloud.
        lan_ports: TCP ports of devices in the local network that are not at 80, by host.
        poll_s: Time between two polls of a device in the local network.
        key: The account's key, for the devices that are listed.
        key_file: File whose first line is the key, instead of the key itself.
        devices: Devices in the local network that need no account.
    """

    also_called: ClassVar[Mapping[str, str]] = dict.fromkeys(
        ("user", "username", "mail", "account"), "email"
    )

    email: Annotated[str, Field(min_length=1, max_length=300)] | None = None
    password: Hidden | None = None
    password_file: Annotated[str | None, NamedFile(secret_in, into="password")] = None
    store: Annotated[str | None, NamedFile(beside_config)] = None
    policy: Policy = "lan_first"
    url: Annotated[str, AfterValidator(_check_url)] = DEFAULT_URL
    country: Annotated[str, AfterValidator(_check_country)] = "us"
    rate_limiter: MerossLimitsSection | None = None
    lan_ports: Mapping[str, Port] | None = None
    poll_s: _PollSeconds = LAN_POLL_S
    key: Hidden | None = None
    key_file: _SecretFile = None
    devices: Annotated[tuple[MerossDeviceSection, ...], Field(strict=False)] = ()

    @property
    def has_account(self) -> bool:
        """Whether there is an account: one is named, or no device is listed."""
        return bool(self.email or self.store) or not self.devices

    def limiter(self) -> RateLimitChecker:
        """Make what limits the messages."""
        given = self.rate_limiter or MerossLimitsSection()
        return RateLimitChecker(**given.model_dump(exclude_none=True))

    @classmethod
    def cross_checks(cls, table: Mapping[str, object]) -> Iterator[Finding]:
        """See that a password has an account, each device a key, and no place two."""
        yield from places_listed_twice(table, port="port", usual_port=80)
        for key in ("password", "password_file"):
            if key in table and "email" not in table:
                yield Finding(
                    path=(key,), message=f"{key} is of no account: give email"
                )
        devices = table.get("devices")
        for index, device in enumerate(
            devices if isinstance(devices, list | tuple) else ()
        ):
            has_key = any("key" in one or "key_file" in one for one in (table, device))
            if isinstance(device, Mapping) and "host" in device and not has_key:
                message = "key is missing: give it here, or for all in [meross]"
                yield Finding(path=("devices", index, "host"), message=message)
