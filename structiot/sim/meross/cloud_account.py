"""What the cloud knows of one account: who it is, tokens, devices, budget and ban.

Facts: reference 1.5 to 1.10 and 2.9. How the real cloud counts messages, and what
exactly a banned account is answered, is published nowhere: here messages count in a
sliding hour, and who is banned gets 1003 by HTTP and "not authorized" by MQTT.
"""

from __future__ import annotations

import hashlib
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from hmac import compare_digest
from random import Random
from typing import Final, Literal, TypeAlias, get_args

from structiot._kit.arguments import check_argument
from structiot.errors import UsageError
from structiot.meross.wire.cloud import ApiCode
from structiot.meross.wire.digests import md5_hex
from structiot.meross.wire.mqtt import app_password, device_password
from structiot.sim.shared.clock import SimClock

__all__ = ["CloudAccount", "Hearing", "MerossCloudDevice", "Rules", "identity_of"]

_HOUR_S: Final = 3600.0
# Of each device so many times are kept at most, however large the budget.
_MAX_TIMES: Final = 10_000
# Forgotten tokens are unknown ones; the oldest are forgotten first.
_MAX_TOKENS_KEPT: Final = 1_000


@dataclass(slots=True, kw_only=True)
class MerossCloudDevice:
    """One device of the account, as the cloud knows it.

    Attributes:
        uuid: Its uuid.
        name: What its user calls it.
        device_type: Such as `"mss310"`.
        sub_type: Such as `"eu"`.
        channels: As in `devList`: one object for each, the first for the whole.
        firmware: Version of its firmware.
        hardware: Version of its hardware.
        mac: Its MAC address, with colons; from the uuid by default.
        subdevices: As in `getSubDevices`, for hubs.
        broker: Which of the cloud's brokers it belongs to, 0 or 1.
        bound_at_s: When it was bound, in seconds since 1970.
        status: 1 online, 2 offline, 3 upgrading, 0 not yet online.
    """

    uuid: str
    name: str
    device_type: str = "mss310"
    sub_type: str = "eu"
    channels: Sequence[Mapping[str, object]] = ({},)
    firmware: str = "6.3.22"
    hardware: str = "6.0.0"
    mac: str = ""
    subdevices: Sequence[Mapping[str, object]] = ()
    broker: int = 0
    bound_at_s: int = 0
    status: int = 2

    def __post_init__(self) -> None:
        if not self.mac:
            tail = self.uuid[-12:].lower()
            self.mac = ":".join(tail[at : at + 2] for at in range(0, len(tail), 2))


Hearing: TypeAlias = Literal["own", "requests", "answers"]
"""Only what is meant for the app itself and what devices tell; also what other apps ask
the devices; also what these are answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What an account may do.

    Attributes:
        mfa_code: The code that a sign-in needs besides the password; None for none.
        max_tokens: Tokens that are valid at once; a sign-in beyond gets 1301.
        token_lifetime_s: After how long a token gets 1200; None for never.
        messages_per_hour: Messages of apps to one device in any hour; one more and the
            account is banned. None for any number.
        max_sign_ins: Valid tokens at a sign-in with which the account is banned; 1 bans
            at the second sign-in without a logout. None for never.
        requests_per_minute: API calls in any minute; more get 1028. None for any number.
        apps_hear: What apps may hear of one another.
    """

    mfa_code: str | None = None
    max_tokens: int = 10
    token_lifetime_s: float | None = None
    messages_per_hour: int | None = None
    max_sign_ins: int | None = None
    requests_per_minute: int | None = None
    apps_hear: Hearing = "requests"

    def __post_init__(self) -> None:
        check_argument("mfa_code", self.mfa_code, str, None)
        check_argument("max_tokens", self.max_tokens, int)
        check_argument("token_lifetime_s", self.token_lifetime_s, float, None)
        for name in ("messages_per_hour", "max_sign_ins", "requests_per_minute"):
            check_argument(name, getattr(self, name), int, None)
        if self.apps_hear not in get_args(Hearing):
            raise UsageError(f"apps hear {get_args(Hearing)}, not {self.apps_hear!r}")
        for name in self.__dataclass_fields__:
            value = getattr(self, name)
            if not (isinstance(value, str) or value is None or value > 0):
                raise UsageError(f"{name} is above 0, not {value}")


@dataclass(slots=True)
class _Token:
    issued_at_s: float
    is_expired: bool = False


@dataclass(slots=True, kw_only=True)
class CloudAccount:
    """One account; no sockets, and the time is the clock's.

    Attributes:
        email: Its e-mail address.
        password: Its password.
        user_id: Its number, as text.
        key: What signs its messages.
        rules: What it may do.
        clock: The cloud's clock.
        random: Makes the tokens.
        devices: Its devices by uuid.
        messages: How many messages apps have sent to each device so far.
        sign_ins: How many sign-ins have succeeded.
        ban_reason: Why it is banned; None if it is not.
        on_ban: Called when it is banned.
    """

    email: str
    password: str = field(repr=False)
    user_id: str
    key: str = field(repr=False)
    rules: Rules
    clock: SimClock
    random: Random
    devices: dict[str, MerossCloudDevice] = field(default_factory=dict)
    messages: Counter[str] = field(default_factory=Counter)
    sign_ins: int = 0
    ban_reason: str | None = None
    on_ban: Callable[[], None] = lambda: None
    _tokens: dict[str, _Token] = field(default_factory=dict, repr=False)
    _sent_at_s: dict[str, deque[float]] = field(default_factory=dict)

    # ------------------------------------------------------------ tokens

    def sign_in(self, params: Mapping[str, object]) -> tuple[int, str]:
        """Let somebody in; give the code and, with 0, the token."""
        code = self._refusal_of(params)
        if code is not None:
            return code, ""
        valid = self.valid_tokens
        if self.rules.max_sign_ins is not None and valid >= self.rules.max_sign_ins:
            self.ban(f"another sign-in while {valid} tokens were valid")
            return ApiCode.ACCOUNT_DISABLED, ""
        if valid >= self.rules.max_tokens:
            return ApiCode.TOO_MANY_TOKENS, ""
        while len(self._tokens) >= _MAX_TOKENS_KEPT:
            del self._tokens[next(iter(self._tokens))]
        token = f"{self.random.getrandbits(256):064x}"
        self._tokens[token] = _Token(self.clock.now_s())
        self.sign_ins += 1
        return ApiCode.SUCCESS, token

    def _refusal_of(self, params: Mapping[str, object]) -> ApiCode | None:
        email, password = str(params.get("email", "")), str(params.get("password", ""))
        if not email:
            return ApiCode.USER_WRONG
        if email.strip().lower() != self.email.lower():
            return ApiCode.NOT_REGISTERED
        is_digest = str(params.get("encryption", "0")) == "1"
        right = md5_hex(self.password) if is_digest else self.password
        if not compare_digest(password.encode("utf-8", "replace"), right.encode()):
            return ApiCode.LOGIN_WRONG
        if self.is_banned:
            return ApiCode.ACCOUNT_DISABLED
        wanted, given = self.rules.mfa_code, params.get("mfaCode")
        if wanted is None or str(given) == wanted:
            return None
        return ApiCode.MFA_WRONG if given else ApiCode.MFA_REQUIRED

    @property
    def valid_tokens(self) -> int:
        """How many tokens are valid."""
        return sum(not self._is_expired(token) for token in self._tokens.values())

    def _is_expired(self, token: _Token) -> bool:
        lifetime_s, age_s = (
            self.rules.token_lifetime_s,
            self.clock.now_s() - token.issued_at_s,
        )
        return token.is_expired or (lifetime_s is not None and age_s >= lifetime_s)

    def code_for(self, token: str) -> ApiCode | None:
        """Tell why somebody with this token is not served; None if they are."""
        known = self._tokens.get(token)
        if known is None:
            return ApiCode.NO_LOGIN
        if self.is_banned:
            return ApiCode.ACCOUNT_DISABLED
        return ApiCode.TOKEN_EXPIRED if self._is_expired(known) else None

    def log_out(self, token: str) -> None:
        """Free a token."""
        self._tokens.pop(token, None)

    def expire_tokens(self) -> None:
        """Let all tokens expire at once."""
        for token in self._tokens.values():
            token.is_expired = True

    def revoke_tokens(self) -> None:
        """Forget all tokens, as if they had never been."""
        self._tokens.clear()

    # ------------------------------------------------------------ bans

    @property
    def is_banned(self) -> bool:
        """Whether it is banned."""
        return self.ban_reason is not None

    def ban(self, reason: str) -> None:
        """Ban it; the first reason stays."""
        if self.ban_reason is None:
            self.ban_reason = reason
            self.on_ban()

    def count_message(self, uuid: str) -> None:
        """An app has sent a device a message; too many and the account is banned."""
        self.messages[uuid] += 1
        most = self.rules.messages_per_hour
        times = self._sent_at_s.setdefault(uuid, deque(maxlen=_MAX_TIMES))
        times.append(self.clock.now_s())
        found = self.messages_in_hour(uuid)
        if most is not None and found > most:
            self.ban(f"{found} messages in an hour to {uuid}, {most} are allowed")

    def messages_in_hour(self, uuid: str) -> int:
        """Give how many messages apps have sent to a device in the last hour."""
        times = self._sent_at_s.get(uuid, deque())
        while times and times[0] <= self.clock.now_s() - _HOUR_S:
            times.popleft()
        return len(times)

    # ------------------------------------------------------------ MQTT

    def is_app(self, username: str, password: bytes) -> bool:
        """Tell whether name and password are those of the account's apps."""
        right = app_password(self.user_id, self.key)
        return username == self.user_id and compare_digest(right.encode(), password)

    def device_of(
        self, uuid: str, username: str, password: bytes
    ) -> MerossCloudDevice | None:
        """Give the device that this name and password belong to."""
        device = self.devices.get(uuid)
        if device is None or username.lower() != device.mac:
            return None
        right = device_password(self.user_id, device.mac, self.key)
        return device if compare_digest(right.encode(), password) else None

    def device(self, uuid: str) -> MerossCloudDevice:
        """Give a device of the account.

        Raises:
            UsageError: There is no such device.
        """
        if uuid not in self.devices:
            raise UsageError(f"the account has no device {uuid!r}")
        return self.devices[uuid]


def identity_of(email: str) -> tuple[str, str]:
    """Make a user's number and key from the e-mail address, always the same."""
    digest = hashlib.sha256(email.lower().encode()).hexdigest()
    return str(100_000 + int(digest[:8], 16) % 900_000), digest[:32]
