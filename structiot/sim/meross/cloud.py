"""A simulated Meross cloud, as `sim_meross_cloud` gives it."""

from __future__ import annotations

import ssl
from collections import deque
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import ClassVar

import anyio

from structiot._kit.environment import Environment
from structiot._kit.http.server import HttpServer
from structiot.errors import UsageError
from structiot.sim.meross.cloud_account import CloudAccount, MerossCloudDevice
from structiot.sim.meross.cloud_api import (
    CloudApi,
    CloudPlace,
    MerossApiCall,
    MerossApiQuirks,
)
from structiot.sim.meross.cloud_broker import MerossBrokerSim
from structiot.sim.meross.cloud_faults import NAMED_CLOUD_FAULTS, MerossCloudFaults
from structiot.sim.shared.fault_names import FaultNames
from structiot.sim.shared.host import SimHost, Sockets
from structiot.sim.shared.http_faults import faulty

__all__ = ["MerossCloudSim"]


class _OtherRegion(SimHost[MerossCloudFaults]):
    """The entry of another region, which sends everybody to the right one."""

    def __init__(
        self,
        host: str,
        port: int,
        http: HttpServer,
        *,
        faults: MerossCloudFaults,
        environment: Environment,
    ) -> None:
        super().__init__(host, faults, environment=environment)
        self.port = port
        self._http = http

    async def start(self, sockets: Sockets) -> None:
        self.port = await sockets.listen(self.port, self._http.serve)


class MerossCloudSim(SimHost[MerossCloudFaults]):
    """A simulated cloud, for the one who tests with it; made by `sim_meross_cloud`.

    As a host it is the HTTP API: `unplug`, `plug_in` and `reboot` concern that alone. Its
    brokers are hosts of their own, in `brokers`.

    Attributes:
        http_port: Port of the API.
        brokers: Its brokers, one or two.
        quirks: How replies of the API differ from what is documented.
        redirects_to: Where the redirecting entry sends everybody; `url` if it is empty.
        newest_firmware: Versions of firmware by type of device, where there is a newer
            one than the device has.
    """

    named_faults: ClassVar[FaultNames] = NAMED_CLOUD_FAULTS

    def __init__(
        self,
        account: CloudAccount,
        *,
        host: str,
        http_port: int,
        mqtt_ports: Sequence[int],
        region: str,
        redirect_from: str | None,
        ssl_context: ssl.SSLContext | None,
        has_https: bool,
        requests_kept: int,
        environment: Environment,
    ) -> None:
        super().__init__(
            host, MerossCloudFaults(), clock=account.clock, environment=environment
        )
        self.http_port: int = http_port
        self._place = CloudPlace(region=region)
        self._api = CloudApi(
            account,
            self._place,
            requests_kept=requests_kept,
            refusal_code=lambda: self.faults.refusal_code,
        )
        self.quirks: MerossApiQuirks = self._api.quirks
        self.newest_firmware: dict[str, str] = self._place.newest_firmware
        self._account = account
        account.on_ban = self._drop_clients
        self._https = ssl_context if has_https else None
        self._other_region: _OtherRegion | None = None
        if redirect_from is not None:
            self._other_region = _OtherRegion(
                redirect_from,
                http_port if redirect_from != host else 0,
                HttpServer(
                    faulty(self._api.redirect, self.faults, refuse=self._api.refuse),
                    ssl_context=self._https,
                ),
                faults=self.faults,
                environment=environment,
            )
        self.brokers: tuple[MerossBrokerSim, ...] = tuple(
            MerossBrokerSim(
                account,
                index,
                host=host,
                port=port,
                ssl_context=ssl_context,
                faults=self.faults,
                environment=environment,
            )
            for index, port in enumerate(mqtt_ports)
        )

    # ------------------------------------------------------------ what it is

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return self._url(self.host, self.http_port)

    @property
    def redirecting_url(self) -> str:
        """The base URL that sends everybody to another region.

        Raises:
            UsageError: There is none: give `redirect_from`.
        """
        if self._other_region is None:
            raise UsageError("no URL redirects: give redirect_from=")
        return self._url(self._other_region.host, self._other_region.port)

    @property
    def hosts(self) -> tuple[SimHost[MerossCloudFaults], ...]:
        """Everything that is on the network, the API last."""
        other = () if self._other_region is None else (self._other_region,)
        return (*self.brokers, *other, self)

    def _url(self, host: str, port: int) -> str:
        return f"{'https' if self._https else 'http'}://{host}:{port}"

    @property
    def redirects_to(self) -> str:
        """Where the redirecting entry sends everybody; `url` if it is empty."""
        return self._place.redirects_to

    @redirects_to.setter
    def redirects_to(self, url: str) -> None:
        self._place.redirects_to = url

    @property
    def broker(self) -> MerossBrokerSim:
        """The first of its brokers."""
        return self.brokers[0]

    @property
    def email(self) -> str:
        """The account's e-mail address."""
        return self._account.email

    @property
    def password(self) -> str:
        """The account's password."""
        return self._account.password

    @property
    def user_id(self) -> str:
        """The account's number, as text."""
        return self._account.user_id

    @property
    def key(self) -> str:
        """The account's key."""
        return self._account.key

    @property
    def requests(self) -> deque[MerossApiCall]:
        """The latest calls of the API."""
        return self._api.calls

    @property
    def sign_ins(self) -> int:
        """How many sign-ins have succeeded."""
        return self._account.sign_ins

    @property
    def valid_tokens(self) -> int:
        """How many tokens are valid."""
        return self._account.valid_tokens

    @property
    def messages(self) -> Mapping[str, int]:
        """How many messages apps have sent to each device; 0 for those without any."""
        return MappingProxyType(self._account.messages)

    def messages_in_hour(self, uuid: str) -> int:
        """Give how many messages apps have sent to a device in the last hour."""
        return self._account.messages_in_hour(uuid)

    # ------------------------------------------------------------ devices

    @property
    def devices(self) -> Mapping[str, MerossCloudDevice]:
        """The account's devices by uuid."""
        return MappingProxyType(self._account.devices)

    def register(
        self,
        *,
        uuid: str,
        name: str,
        device_type: str = "mss310",
        sub_type: str = "eu",
        channels: Sequence[Mapping[str, object]] = ({},),
        firmware: str = "6.3.22",
        hardware: str = "6.0.0",
        mac: str | None = None,
        subdevices: Sequence[Mapping[str, object]] = (),
        broker: int = 0,
    ) -> MerossCloudDevice:
        """Bind a device to the account; it is offline until it connects.

        Args:
            uuid: Its uuid, 32 characters.
            name: What its user calls it.
            device_type: Such as `"mss310"`.
            sub_type: Such as `"eu"`.
            channels: One object for each, as in `devList`; the first is the whole device.
            firmware: Version of its firmware.
            hardware: Version of its hardware.
            mac: Its MAC address with colons; from the uuid by default.
            subdevices: Those of a hub, as in `getSubDevices`.
            broker: Which of the brokers it belongs to.

        Raises:
            UsageError: There is no such broker, or the account has this uuid.
        """
        if not 0 <= broker < len(self.brokers):
            raise UsageError(f"there are {len(self.brokers)} brokers, none is {broker}")
        if uuid in self._account.devices or "/" in uuid:
            raise UsageError(f"the account has a device {uuid!r}, or cannot have it")
        device = MerossCloudDevice(
            uuid=uuid,
            name=name,
            device_type=device_type,
            sub_type=sub_type,
            channels=channels,
            firmware=firmware,
            hardware=hardware,
            mac=(mac or "").lower(),
            subdevices=subdevices,
            broker=broker,
            bound_at_s=int(self.clock.now_s()),
        )
        self._account.devices[uuid] = device
        return device

    def rename(self, uuid: str, name: str) -> None:
        """Name a device as its user does in the phone app.

        Raises:
            UsageError: There is no such device.
        """
        self._account.device(uuid).name = name

    def unbind(self, uuid: str) -> None:
        """Remove a device from the account; apps and the device are told.

        Raises:
            UsageError: There is no such device.
        """
        device = self._account.device(uuid)
        self.brokers[device.broker].unbind(device)
        del self._account.devices[uuid]

    def broker_of(self, uuid: str) -> MerossBrokerSim:
        """Give the broker that a device belongs to.

        Raises:
            UsageError: There is no such device.
        """
        return self.brokers[self._account.device(uuid).broker]

    # ------------------------------------------------------------ trouble

    @property
    def is_banned(self) -> bool:
        """Whether the account is banned."""
        return self._account.is_banned

    @property
    def ban_reason(self) -> str | None:
        """Why the account is banned; None if it is not."""
        return self._account.ban_reason

    def ban(self, reason: str = "by hand") -> None:
        """Ban the account: no sign-in, no API call, all apps are dropped."""
        self._account.ban(reason)

    def unban(self) -> None:
        """Forgive."""
        self._account.ban_reason = None

    def expire_token(self) -> None:
        """Let all tokens expire: from now on they get 1200."""
        self._account.expire_tokens()

    def revoke_tokens(self) -> None:
        """Forget all tokens: from now on they get 1022."""
        self._account.revoke_tokens()

    async def restart_brokers(self, down_s: float = 3.0) -> None:
        """Let all brokers be away for a while; they forget the sessions of clients."""
        for broker in self.brokers:
            await broker.unplug()
        await anyio.sleep(down_s)
        for broker in self.brokers:
            await broker.plug_in()

    def _drop_clients(self) -> None:
        for broker in self.brokers:
            broker.drop_apps()

    # ------------------------------------------------------------ network

    async def start(self, sockets: Sockets) -> None:
        """Listen for API calls."""
        answer = faulty(self._api.answer, self.faults, refuse=self._api.refuse)
        http = HttpServer(answer, ssl_context=self._https)
        self.http_port = await sockets.listen(self.http_port, http.serve)
        self._place.url = self.url
        self._place.brokers[:] = [broker.domain for broker in self.brokers]
