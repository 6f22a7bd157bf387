"""The cloud's HTTP API: what is asked, and what is answered.

Facts: reference 1.2 to 1.9 and section 12. Errors come with HTTP 200 and a number.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Literal

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.json_text import parse_object
from structiot.errors import ProtocolViolation
from structiot.meross.wire.cloud import ApiCode, Path, decode_request
from structiot.sim.meross.cloud_account import CloudAccount, MerossCloudDevice

__all__ = ["CloudApi", "CloudPlace", "MerossApiCall", "MerossApiQuirks"]

_CHINA: Final = timedelta(hours=8)
_MINUTE_S: Final = 60.0
_GENERIC_ERROR: Final = 5000
_INVALID_PARAMETER: Final = 20101
_NO_RESOURCE: Final = 20106
_INFO: Final = {
    ApiCode.SUCCESS: "Success",
    ApiCode.NO_LOGIN: "No login",
    ApiCode.OTHER_REGION: "Please login in another region",
}
_DEVICE_INFO: Final = "/v1/Device/devInfo"
_DEVICE_EXTRA: Final = "/v1/Device/devExtraInfo"

Data = Mapping[str, object] | Sequence[object] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class MerossApiCall:
    """One call of the API.

    Attributes:
        path: Such as `/v1/Auth/signIn`.
        params: What it asked, secrets included.
        code: The `apiStatus` that it got.
        at_utc: When, by the cloud's clock.
    """

    path: str
    params: Mapping[str, object] = field(repr=False)
    code: int
    at_utc: datetime


@dataclass(slots=True, kw_only=True)
class MerossApiQuirks:
    """How replies differ from what is documented; as the real cloud's have differed.

    Attributes:
        left_out: Fields left out of all `data`, such as `mfaLockExpire`, `trueId`.
        added: Fields that nobody knows, added to all objects in `data`.
        time_stamp: `"text"` is a time in China, `"timestamp"` the field's other name.
        empty_data: What `data` is where there is none to give.
        refuses_sign_by_status: A wrong signature gets HTTP 400 and 5000, not 1023.
    """

    left_out: set[str] = field(default_factory=set)
    added: dict[str, object] = field(default_factory=dict)
    time_stamp: Literal["number", "text", "timestamp", "missing"] = "number"
    empty_data: Literal["object", "null", "missing"] = "object"
    refuses_sign_by_status: bool = False

    def envelope(self, code: int, data: Data, now: datetime) -> dict[str, object]:
        """Give a whole reply."""
        reply: dict[str, object] = {
            "apiStatus": code,
            "sysStatus": 0,
            "info": _INFO.get(ApiCode(code), "") if code in set(ApiCode) else "",
        }
        if self.time_stamp == "text":
            reply["timeStamp"] = (now + _CHINA).strftime("%Y-%m-%d %H:%M:%S")
        elif self.time_stamp != "missing":
            name = "timestamp" if self.time_stamp == "timestamp" else "timeStamp"
            reply[name] = int(now.timestamp())
        if data is not None:
            reply["data"] = self._changed(data)
        elif code == ApiCode.NO_LOGIN or self.empty_data == "null":
            reply["data"] = None
        elif self.empty_data == "object":
            reply["data"] = {}
        return reply

    def _changed(self, data: Data) -> object:
        if isinstance(data, Mapping):
            kept = {key: one for key, one in data.items() if key not in self.left_out}
            return {**kept, **self.added}
        return [
            self._changed(one) if isinstance(one, Mapping) else one
            for one in data or ()
        ]


@dataclass(slots=True, kw_only=True)
class CloudPlace:
    """Where the cloud's servers are.

    Attributes:
        region: Such as `"eu"`.
        url: Base URL of the API.
        brokers: Host and port of each broker, as `devList` tells them.
        redirects_to: Where the other region sends everybody; `url` if it is empty.
        newest_firmware: By type of device, where it is not what the device has.
    """

    region: str
    url: str = ""
    brokers: list[str] = field(default_factory=list)
    redirects_to: str = ""
    newest_firmware: dict[str, str] = field(default_factory=dict)


class CloudApi:
    """Answers API calls.

    Args:
        account: The account.
        place: Where everything is.
        requests_kept: How many calls are remembered.
        refusal_code: Gives the code of a call that is refused by a fault.

    Attributes:
        calls: The latest calls.
        quirks: How replies differ from what is documented.
    """

    def __init__(
        self,
        account: CloudAccount,
        place: CloudPlace,
        *,
        requests_kept: int,
        refusal_code: Callable[[], int],
    ) -> None:
        self.calls: deque[MerossApiCall] = deque(maxlen=requests_kept)
        self.quirks: MerossApiQuirks = MerossApiQuirks()
        self._account = account
        self._place = place
        self._refusal_code = refusal_code
        self._called_at_s: deque[float] = deque()
        self._answers: dict[str, Callable[[Mapping[str, object]], tuple[int, Data]]] = {
            Path.LOG: lambda _: (ApiCode.SUCCESS, None),
            Path.DEVICES: self._devices,
            Path.SUBDEVICES: self._subdevices,
            Path.FIRMWARE: self._firmware,
            _DEVICE_INFO: self._device_info,
            # What it says is known of nobody.
            _DEVICE_EXTRA: lambda _: (ApiCode.SUCCESS, None),
        }

    # ------------------------------------------------------------ the three servers

    async def answer(  # noqa: ASYNC124 - other servers wait for something
        self, request: HttpRequest
    ) -> HttpReply:
        """Answer a call."""
        path, params, code = self._read(request)
        data: Data = None
        if code is None:
            code, data = self._carry_out(path, params, _token_of(request))
        return self._reply(path, params, code, data)

    async def redirect(  # noqa: ASYNC124 - as above
        self, request: HttpRequest
    ) -> HttpReply:
        """Answer a call as another region does."""
        path, params, code = self._read(request)
        data: Data = None
        if code is None:
            code = ApiCode.OTHER_REGION
            domain = self._place.redirects_to or self._place.url
            data = {"domain": domain, "mqttDomain": self._place.brokers[0]}
        return self._reply(path, params, code, data)

    async def refuse(  # noqa: ASYNC124 - as above
        self, request: HttpRequest
    ) -> HttpReply:
        """Refuse a call and do nothing."""
        path, params, _ = self._read(request)
        return self._reply(path, params, self._refusal_code(), None)

    def _read(
        self, request: HttpRequest
    ) -> tuple[str, Mapping[str, object], int | None]:
        """Give path and parameters, and the code if there is a fault in them."""
        path = Path.LOG_OUT if request.path.lower() == _LOG_OUT else request.path
        is_known = path in self._answers or path in {Path.SIGN_IN, Path.LOG_OUT}
        if request.method != "POST" or not is_known:
            return path, {}, 404
        body: Mapping[str, object]
        try:
            if request.body.lstrip()[:1] == b"{":
                body = parse_object(request.body, "an API call")
            else:
                body = request.form()
            params, is_signed = decode_request(body)
        # Half a character cannot be signed.
        except (ProtocolViolation, UnicodeError):
            return path, {}, _INVALID_PARAMETER
        if self._is_too_often():
            return path, params, ApiCode.TOO_OFTEN
        return path, params, None if is_signed else ApiCode.SIGN_WRONG

    def _is_too_often(self) -> bool:
        most = self._account.rules.requests_per_minute
        if most is None:
            return False
        times, now_s = self._called_at_s, self._account.clock.now_s()
        while times and times[0] <= now_s - _MINUTE_S:
            times.popleft()
        if len(times) >= most:
            return True
        times.append(now_s)
        return False

    def _reply(
        self, path: str, params: Mapping[str, object], code: int, data: Data
    ) -> HttpReply:
        now = self._account.clock.utc()
        self.calls.append(
            MerossApiCall(path=path, params=params, code=code, at_utc=now)
        )
        if code == 404:
            return HttpReply(status=404)
        status = 200
        if code == ApiCode.SIGN_WRONG and self.quirks.refuses_sign_by_status:
            status, code = 400, _GENERIC_ERROR
        reply = self.quirks.envelope(code, data, now.astimezone(UTC))
        return HttpReply.of_json(reply, status=status)

    # ------------------------------------------------------------ what is asked

    def _carry_out(
        self, path: str, params: Mapping[str, object], token: str
    ) -> tuple[int, Data]:
        account = self._account
        if path == Path.SIGN_IN:
            return self._sign_in(params)
        code = account.code_for(token)
        if code is not None:
            return code, None
        if path == Path.LOG_OUT:
            account.log_out(token)
            return ApiCode.SUCCESS, None
        return self._answers[path](params)

    def _sign_in(self, params: Mapping[str, object]) -> tuple[int, Data]:
        code, token = self._account.sign_in(params)
        if code:
            return code, None
        account, place = self._account, self._place
        return code, {
            "userid": account.user_id,
            "email": account.email,
            "key": account.key,
            "token": token,
            "domain": place.url,
            "mqttDomain": place.brokers[0],
            "mfaLockExpire": 0,
        }

    def _devices(self, _: Mapping[str, object]) -> tuple[int, Data]:
        found = [self._device(one) for one in self._account.devices.values()]
        return ApiCode.SUCCESS, found

    def _device(self, device: MerossCloudDevice) -> dict[str, object]:
        domain = self._place.brokers[device.broker]
        return {
            "uuid": device.uuid,
            "onlineStatus": device.status,
            "devName": device.name,
            "devIconId": "device001",
            "bindTime": device.bound_at_s,
            "deviceType": device.device_type,
            "subType": device.sub_type,
            "channels": list(device.channels),
            "region": self._place.region,
            "fmwareVersion": device.firmware,
            "hdwareVersion": device.hardware,
            "userDevIcon": "",
            "iconType": 1,
            "domain": domain,
            "reservedDomain": domain,
            "hardwareCapabilities": [],
        }

    def _device_info(self, params: Mapping[str, object]) -> tuple[int, Data]:
        device = self._account.devices.get(str(params.get("uuid")))
        if device is None:
            return _NO_RESOURCE, None
        return ApiCode.SUCCESS, self._device(device)

    def _subdevices(self, params: Mapping[str, object]) -> tuple[int, Data]:
        device = self._account.devices.get(str(params.get("uuid")))
        if device is None:
            return _NO_RESOURCE, None
        return ApiCode.SUCCESS, list(device.subdevices)

    def _firmware(self, _: Mapping[str, object]) -> tuple[int, Data]:
        newest = self._place.newest_firmware
        versions = {
            (one.device_type, one.sub_type): newest.get(one.device_type, one.firmware)
            for one in self._account.devices.values()
        }
        return ApiCode.SUCCESS, [
            {
                "type": device_type,
                "subType": sub_type,
                "md5": "0" * 32,
                "url": f"{self._place.url}/firmware/{device_type}.bin",
                "version": version,
                "alias": device_type,
                "mcu": [],
                "upgradeType": "01",
                "description": "",
            }
            for (device_type, sub_type), version in versions.items()
        ]


_LOG_OUT: Final = Path.LOG_OUT.lower()


def _token_of(request: HttpRequest) -> str:
    return request.headers.get("authorization", "").removeprefix("Basic").strip()
