"""What the simulated cloud gets wrong, by HTTP and on its brokers.

Words of an API call: `"http"`, the method, the path and its parts (`"signIn"`). Words of
a message: `"mqtt"`, `"request"` (to a device), `"answer"` (to an app) or `"push"`, its
method, its namespace (whole and its last part), and the device's uuid. A message that is
late is overtaken by those that follow.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from structiot.meross.wire.cloud import ApiCode
from structiot.sim.shared.fault_names import (
    HOST_FAULTS,
    REQUEST_FAULTS,
    FaultNames,
    HostFault,
    read_nothing,
    read_seconds,
    request_faults,
)
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.sim.shared.http_faults import HttpFaults
from structiot.sim.shared.http_frames import HTTP_FRAMES
from structiot.sim.shared.json_lies import JSON_LIES

if TYPE_CHECKING:
    from structiot.sim.meross.cloud import MerossCloudSim

__all__ = ["NAMED_CLOUD_FAULTS", "MerossCloudFaults", "wrong_sign"]

_SIGN: Final = re.compile(rb'("sign"\s*:\s*")[0-9a-fA-F]{32}"')


def wrong_sign(content: bytes) -> bytes:
    """Give a message another signature, of the right length."""
    return _SIGN.sub(rb'\g<1>00000000000000000000000000000000"', content)


class MerossCloudFaults(HttpFaults):
    """What the cloud gets wrong.

    Attributes:
        refusal_code: The `apiStatus` of an API call that is refused: 1028 (too often) at
            first; 1042 and 1402 are others that have nothing to do with the caller.
    """

    def __init__(self) -> None:
        super().__init__()
        self.refusal_code: int = ApiCode.TOO_OFTEN

    def wrong_sign_next(self, times: int = 1, *, on: str | None = "mqtt") -> None:
        """Spoil the signature of the next messages."""
        self.add(Fault(kind=FaultKind.CHANGE, on=on, change=wrong_sign), times)


def _refuse_with(sim: MerossCloudSim, code: float) -> None:
    sim.faults.refusal_code = int(code)
    sim.faults.always(Fault(kind=FaultKind.REFUSE, on="http"))


NAMED_CLOUD_FAULTS: FaultNames = FaultNames(
    {
        **REQUEST_FAULTS,
        **{name: HOST_FAULTS[name] for name in ("silent", "reboot")},
        **request_faults(
            "a message with a wrong signature", {"wrong_sign": wrong_sign}, on="mqtt"
        ),
        **request_faults("a reply with a wrong content", JSON_LIES, on="http"),
        **request_faults(
            "an HTTP reply in an odd frame",
            HTTP_FRAMES,
            kind=FaultKind.FRAME,
            on="http",
        ),
        "api_code": HostFault(
            "every API call gets this apiStatus (1028)",
            read_seconds(ApiCode.TOO_OFTEN),
            _refuse_with,
        ),
        "expire_token": HostFault(
            "all tokens expire", read_nothing, lambda sim, _: sim.expire_token()
        ),
        "revoke_tokens": HostFault(
            "all tokens are forgotten", read_nothing, lambda sim, _: sim.revoke_tokens()
        ),
        "ban": HostFault(
            "the account is banned", read_nothing, lambda sim, _: sim.ban()
        ),
        "brokers_away": HostFault(
            "the brokers are away for so long (3600)",
            read_seconds(3600),
            lambda sim, down_s: sim.restart_brokers(down_s),
        ),
    },
    prefix="cloud:",
)
"""What each fault of the cloud is, by name."""
