"""`sim_meross_cloud`: a Meross cloud for the length of a block."""

from __future__ import annotations

import ssl
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager

from structiot._kit.arguments import check_argument
from structiot._kit.environment import SYSTEM_ENVIRONMENT, Environment
from structiot.sim.meross.cloud import MerossCloudSim
from structiot.sim.meross.cloud_account import CloudAccount, Hearing, Rules, identity_of
from structiot.sim.shared.clock import SimClock

__all__ = ["sim_meross_cloud"]


@asynccontextmanager
async def sim_meross_cloud(
    email: str = "user@example.com",
    password: str = "correct horse",  # noqa: S107 - nobody's
    *,
    host: str = "127.0.0.1",
    http_port: int = 0,
    mqtt_port: int = 0,
    region: str = "eu",
    second_broker: bool = False,
    ssl_context: ssl.SSLContext | None = None,
    has_https: bool = True,
    mfa_code: str | None = None,
    max_tokens: int = 10,
    token_lifetime_s: float | None = None,
    messages_per_hour: int | None = None,
    max_sign_ins: int | None = None,
    requests_per_minute: int | None = None,
    apps_hear: Hearing = "requests",
    redirect_from: str | None = None,
    clock: SimClock | None = None,
    requests_kept: int = 1000,
    environment: Environment = SYSTEM_ENVIRONMENT,
) -> AsyncGenerator[MerossCloudSim]:
    """Simulate Meross's cloud with one account for the length of the block.

    It answers the HTTP API and runs one or two MQTT brokers that let in the account's
    apps and devices, relay what they say as Meross's do, and tell who is online. What it
    forbids is what the arguments say; by default it is patient.

    Args:
        email: The account's e-mail address; its number and key are made from it.
        password: The account's password.
        host: Address of the API and of the brokers.
        http_port: Port of the API; 0 takes a free one, see `MerossCloudSim.url`.
        mqtt_port: Port of the first broker; 0 takes a free one. The second has the next.
        region: Such as `"eu"`; devices say it.
        second_broker: Whether there are two brokers; see `MerossCloudSim.register`.
        ssl_context: Certificate and key; without one nothing is encrypted, which no
            device or app of Meross's takes.
        has_https: Whether the API is encrypted, too, if there is an `ssl_context`.
        mfa_code: The code that a sign-in needs besides; none by default.
        max_tokens: Tokens that are valid at once; a sign-in beyond gets 1301.
        token_lifetime_s: After how long a token expires; never by default.
        messages_per_hour: Messages of apps to one device in any hour, beyond which the
            account is banned; never by default.
        max_sign_ins: Valid tokens at a sign-in with which the account is banned, so that 1
            bans at the second sign-in without a logout; never by default.
        requests_per_minute: API calls in any minute, beyond which they get 1028.
        apps_hear: What apps of the account may hear: `"own"` is what they are answered
            and what devices tell; `"requests"` also what other apps ask devices;
            `"answers"` also what these are answered.
        redirect_from: Host of another region's entry, which sends everybody here (1030);
            see `MerossCloudSim.redirecting_url`.
        clock: The clock it lives by; wall time by default.
        requests_kept: How many of the latest calls `MerossCloudSim.requests` holds.
        environment: Where its sockets are, and which time it is; the system's by default.

    Yields:
        The cloud.

    Raises:
        ConnectFailed: The address or a port cannot be bound.
        UsageError: An argument of another class, or a limit that is none.
    """
    check_argument("email", email, str)
    check_argument("password", password, str)
    check_argument("http_port", http_port, int)
    check_argument("mqtt_port", mqtt_port, int)
    check_argument("region", region, str)
    check_argument("second_broker", second_broker, bool)
    check_argument("ssl_context", ssl_context, ssl.SSLContext, None)
    check_argument("has_https", has_https, bool)
    check_argument("redirect_from", redirect_from, str, None)
    check_argument("clock", clock, SimClock, None)
    check_argument("requests_kept", requests_kept, int)
    check_argument("environment", environment, Environment)
    rules = Rules(
        mfa_code=mfa_code,
        max_tokens=max_tokens,
        token_lifetime_s=token_lifetime_s,
        messages_per_hour=messages_per_hour,
        max_sign_ins=max_sign_ins,
        requests_per_minute=requests_per_minute,
        apps_hear=apps_hear,
    )
    user_id, key = identity_of(email)
    account = CloudAccount(
        email=email,
        password=password,
        user_id=user_id,
        key=key,
        rules=rules,
        clock=clock or SimClock(environment.now_utc()),
        random=environment.random,
    )
    ports = [mqtt_port]
    if second_broker:
        ports.append(mqtt_port + 1 if mqtt_port else 0)
    cloud = MerossCloudSim(
        account,
        host=host,
        http_port=http_port,
        mqtt_ports=ports,
        region=region,
        redirect_from=redirect_from,
        ssl_context=ssl_context,
        has_https=has_https,
        requests_kept=requests_kept,
        environment=environment,
    )
    async with AsyncExitStack() as stack:
        for one in cloud.hosts:
            await stack.enter_async_context(one)
        yield cloud
