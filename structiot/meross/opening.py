"""Opening an account, `open_meross`, or one device without a cloud, `open_meross_lan`."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import anyio
import anyio.to_thread

from structiot._kit.arguments import check_argument, check_port_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.net.host_names import check_host
from structiot._kit.redact import Secret
from structiot.errors import UsageError
from structiot.meross.account import Meross
from structiot.meross.account_state import open_account_state
from structiot.meross.budget import Budget
from structiot.meross.credential_stores import FileStore
from structiot.meross.credentials import Credentials, CredentialStore, MemoryStore
from structiot.meross.default_files import default_file
from structiot.meross.device import MerossDevice
from structiot.meross.features.feature import About
from structiot.meross.holder import open_holder
from structiot.meross.learning import Learning
from structiot.meross.link.brokers import open_brokers
from structiot.meross.link.cloud import DEFAULT_URL, open_cloud
from structiot.meross.link.lan import LanLink
from structiot.meross.link.route import Policy, Route
from structiot.meross.link.router import Router
from structiot.meross.link.sign_in import MfaCallback
from structiot.meross.polls import LAN_POLL_S, check_poll_s
from structiot.meross.rate_limiter import RateLimitChecker
from structiot.meross.stats import Stats
from structiot.meross.wire.envelope import Method
from structiot.meross.wire.mqtt import app_id_of
from structiot.meross.wire.system import ALL, max_batch_of, read_all

__all__ = ["open_meross", "open_meross_lan"]

_POLICIES: Final = ("lan_first", "lan_only", "cloud_only")
_BY_DEFAULT: Final = "default"
_KINDS: Final[Mapping[str, tuple[Any, ...]]] = {
    "email": (str, None),
    "mfa": (Callable, None),
    "store": (CredentialStore, str, Path, None),
    "state_file": (str, Path, None),
    "retry_refused": (bool,),
    "rate_limiter": (RateLimitChecker, str, None),
    "url": (str,),
    "country": (str,),
    "broker": (tuple, None),
    "ssl_context": (ssl.SSLContext, None),
    "lan_ports": (Mapping, None),
    "environment": (Environment,),
}


@asynccontextmanager
async def open_meross(
    *,
    email: str | None = None,
    password: str | Secret | None = None,
    mfa: MfaCallback | None = None,
    store: CredentialStore | str | Path | None = _BY_DEFAULT,
    state_file: str | Path | None = None,
    retry_refused: bool = False,
    rate_limiter: RateLimitChecker | Literal["default"] | None = _BY_DEFAULT,
    policy: Policy = "lan_first",
    url: str = DEFAULT_URL,
    country: str = "us",
    broker: tuple[str, int] | None = None,
    ssl_context: ssl.SSLContext | None = None,
    lan_ports: Mapping[str, int] | None = None,
    poll_s: float = LAN_POLL_S,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[Meross]:
    """Open a Meross account: sign in if no token is kept, and list its devices.

    It does not wait for the devices: their states come as they tell them, and are asked
    for as far as the budget allows. Leaving the block does not log out: each sign-in
    makes a token, and an account that has too many is locked for hours.

    Where the cloud does not answer within five seconds and a token is kept, the devices
    are those that it listed before, unless all goes through the cloud; it is asked
    again meanwhile, see `Meross.list_error`.

    Args:
        email: The account; by default that of the kept token.
        password: Its password; not needed while a kept token is good.
        mfa: Gives a one-time code if the account wants one.
        store: Where the token is kept: a store, or a file of mode 0600; by default a
            file of this account, see `FileStore`; on a network in memory it is gone with
            the program. With None nothing outlasts the block, and each opening signs in.
        state_file: Where it is kept what was sent in the last hour, what devices can,
            and why a sign-in was refused: an SQLite file of mode 0600, that programs may
            share. By default beside the store if that is a file, else where that would
            be; in no file if nothing outlasts the block.
        retry_refused: Sign in although that was refused before, as a person has asked
            for it. Else a refusal is raised anew for five hours or a day, unless e-mail
            or password are others.
        rate_limiter: What limits messages through the cloud; the default is safe for the
            account, None lets all of them through, at your own risk.
        policy: `"lan_first"`, `"lan_only"` or `"cloud_only"`.
        url: Where to sign in; another region is found from any. With `http://`, as of a
            simulator, brokers are spoken to without TLS as well, unless an `ssl_context`
            is given.
        country: The account's country.
        broker: Host and port of another broker instead of all, as for a simulator.
        ssl_context: Whom to trust; the system's authorities by default.
        lan_ports: TCP ports of devices in the local network that are not at 80, by host.
        poll_s: Time between two polls of a device in the local network, 1 to 180 s.
        environment: Network, host network, clock and chance; the system's by default.

    Yields:
        The account.

    Raises:
        UsageError: An argument of another type, or out of range.
        ConfigError: No way to sign in, a store that cannot be used, or a state file that
            is none of ours; both are left as they are.
        AuthRefused: Wrong password, one-time code, too many tokens, banned; see
            `structiot.meross.errors`.
        ConnectFailed: The cloud cannot be reached, and nothing is known without it.
        StructiotError: Else what the cloud said.
    """
    _check(email=email, mfa=mfa, store=store, state_file=state_file, broker=broker)
    _check(url=url, country=country, retry_refused=retry_refused, lan_ports=lan_ports)
    _check(ssl_context=ssl_context, rate_limiter=rate_limiter, environment=environment)
    check_poll_s(poll_s)
    if policy not in _POLICIES:
        raise UsageError(f"policy is one of {', '.join(_POLICIES)}, not {policy!r}")
    limiter = RateLimitChecker() if isinstance(rate_limiter, str) else rate_limiter
    by_default = partial(default_file, email, url=url, network=environment.network)
    kept_in, path = await anyio.to_thread.run_sync(
        _files_of, store, state_file, by_default
    )
    stats = Stats()
    async with (
        open_account_state(path, environment=environment) as state,
        open_cloud(
            email=email,
            password=password,
            mfa=mfa,
            store=kept_in,
            state=state,
            retry_refused=retry_refused,
            url=url,
            country=country,
            ssl_context=ssl_context,
            environment=environment,
        ) as cloud,
        open_holder() as holder,
    ):
        budget = Budget(state, limiter, stats, environment)
        await budget.begin()
        learning = Learning(state, cloud.credentials.key, lan_ports or {}, environment)
        account = Meross(
            cloud,
            budget=budget,
            stats=stats,
            holder=holder,
            learning=learning,
            poll_s=poll_s,
            environment=environment,
        )
        async with _connected(
            account,
            cloud.credentials,
            policy=policy,
            override=broker,
            ssl_context=ssl_context,
            is_tls=ssl_context is not None or not url.startswith("http://"),
            environment=environment,
        ):
            yield account


def _check(**given: object) -> None:
    for name, value in given.items():
        check_argument(name, value, *_KINDS[name])
    broker = given.get("broker")
    if isinstance(broker, tuple) and [type(one) for one in broker] != [str, int]:
        raise UsageError(f"broker is a host and a port, not {broker!r}")
    if isinstance(broker, tuple):
        check_port_argument("broker's port", broker[1])
    lan_ports = given.get("lan_ports")
    for host, port in lan_ports.items() if isinstance(lan_ports, Mapping) else ():
        check_port_argument(f"lan_ports of {host}", port)


def _files_of(
    store: CredentialStore | str | Path | None,
    state_file: str | Path | None,
    by_default: Callable[[], Path],
) -> tuple[CredentialStore | None, Path | None]:
    """Give what keeps the token, and the file for all else; looks at the disk."""
    if isinstance(store, str | Path):
        store = FileStore(by_default() if store == _BY_DEFAULT else store)
    if state_file is not None:
        return store, Path(state_file)
    if store is None or isinstance(store, MemoryStore):
        return store, None
    file = store.path if isinstance(store, FileStore) else by_default()
    return store, file.with_suffix(".state")


@asynccontextmanager
async def _connected(
    account: Meross,
    credentials: Credentials,
    *,
    policy: Policy,
    override: tuple[str, int] | None,
    ssl_context: ssl.SSLContext | None,
    is_tls: bool,
    environment: Environment,
) -> AsyncGenerator[None]:
    """Give an account its brokers, list its devices, and keep the list true."""
    async with open_brokers(
        credentials.user_id,
        credentials.key.reveal(),
        app_id_of(f"{environment.random.getrandbits(128):032x}"),
        on_push=account.pushed,
        on_connected=account.connected,
        on_lost=account.lost,
        override=override,
        ssl_context=ssl_context,
        is_tls=is_tls,
        environment=environment,
    ) as brokers:
        router = Router(
            account.stats,
            brokers=brokers,
            budget=account.budget,
            policy=policy,
            on_lan_failed=account.lan_failed,
            environment=environment,
        )
        try:
            async with service_group() as tg:
                await account.begin(brokers, router, tg)
                yield
        finally:
            account.close()


@asynccontextmanager
async def open_meross_lan(
    host: str,
    port: int = 80,
    *,
    key: str | Secret,
    name: str | None = None,
    poll_s: float = LAN_POLL_S,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossDevice]:
    """Open a device in the local network, without any cloud.

    It is asked what it can and for its states; while somebody iterates over its
    `readings()`, `changes()` or `events()` it is polled each `poll_s`.

    Args:
        host: Its address or name.
        port: Its TCP port.
        key: The account's key, or the one it was set up with; empty for a device that
            was not set up yet. `structiot meross login` shows it.
        name: What to call it.
        poll_s: Time between two polls, 1 to 180 s.
        environment: Network, host network, clock and chance; the system's by default.

    Yields:
        The device.

    Raises:
        UsageError: An argument of another type, or out of range.
        ConnectFailed: Nobody answers.
        WrongKey: The key is not this device's.
        ProtocolViolation: Something answers that is no Meross device.
        StructiotError: Else what became of the question.
    """
    check_host("host", host, port_goes_to="port")
    check_port_argument("port", port)
    check_argument("key", key, str, Secret)
    check_argument("name", name, str, None)
    check_poll_s(poll_s)
    check_argument("environment", environment, Environment)
    revealed = key.reveal() if isinstance(key, Secret) else key
    lan = LanLink(host, port, key=revealed, environment=environment)
    abilities = await lan.identify()
    reply = await lan.request(Method.GET, ALL)
    system = read_all(reply.payload)
    uuid = lan.uuid or system.uuid or host
    about = About(
        device=uuid,
        model=system.model or "unknown",
        system=system,
        abilities=abilities,
    )
    route = Route(
        uuid,
        lan=lan,
        max_batch=max_batch_of(abilities, system),
        environment=environment,
    )
    router = Router(Stats(), policy="lan_only", environment=environment)
    device = MerossDevice(
        about, route, router, name=name, poll_s=poll_s, environment=environment
    )
    device.take(ALL, reply.payload)
    async with device:
        yield device
