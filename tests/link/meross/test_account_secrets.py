"""No secret of an account is shown: 30 are planted.

They go through a sign-in, refusals, wrong answers of every kind, and all that is done with
devices; then they are looked for in all log lines at DEBUG, in errors with their
attributes and tracebacks, and in the representation of every public object.
"""

from __future__ import annotations

import inspect
import logging
import re
from collections.abc import AsyncGenerator
from contextlib import (
    AbstractAsyncContextManager,
    AsyncExitStack,
    asynccontextmanager,
)
from datetime import time
from random import Random
from typing import Any

import anyio
import anyio.lowlevel
import pytest

import structiot.meross
from structiot import Environment
from structiot.errors import StructiotError
from structiot.meross import (
    AccountDisabled,
    DeviceBound,
    DeviceOffline,
    DeviceOnline,
    DeviceRemoved,
    FileStore,
    KeyringStore,
    MemoryStore,
    Meross,
    MerossDevice,
    RateLimitChecker,
    Repeat,
    Timer,
    Trigger,
)
from structiot.meross.opening import open_meross
from structiot.meross.wire.digests import md5_hex
from structiot.meross.wire.mqtt import app_password, device_password
from structiot.sim.meross import (
    MerossCloudSim,
    MerossSim,
    sim_meross_cloud,
    sim_meross_device,
)
from structiot.sim.meross.faults import LIES
from structiot.sim.shared.faults import Fault, FaultKind
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock
from tests.link.meross.shown import Shown, shown

pytestmark = pytest.mark.virtual_time

EMAIL, PASSWORD = "planted.person@household.example", "planted horse battery"
MFA = "918273"
OTHER_KEY, OTHER_USER = "fedcba9876543210fedcba9876543210", "4711081500"
APP_TOPIC = re.compile(r"/app/\d+-([0-9a-f]{32})/subscribe")
TIMER = Timer(id="0123456789abcdef", at=time(6, 30), repeat=Repeat.ONCE)
TRIGGER = Trigger(id="fedcba9876543210", after_s=60)


async def come_and_go(meross: Meross, cloud: MerossCloudSim, found: Shown) -> None:
    async with meross.events() as events:
        cloud.register(uuid=32 * "d", name="planted")
        await meross.refresh()
        cloud.rename(32 * "d", "planted anew")
        await meross.refresh()
        cloud.unbind(32 * "d")
        await meross.refresh()
        for _ in range(6):
            found.show(await anext(events))
    plug = meross.device("mss310")
    found.show(DeviceBound(plug), DeviceOnline(plug), DeviceOffline(plug, "away"))
    found.show(DeviceRemoved(plug))


@asynccontextmanager
async def household() -> AsyncGenerator[tuple[MerossCloudSim, list[MerossSim], Any]]:
    """An account with a one-time code, a plug, a meter and a hub."""
    environment = Environment(
        network=MemoryNetwork(), clock=virtual_clock, random=Random(5)
    )
    async with AsyncExitStack() as stack:
        cloud = await stack.enter_async_context(
            sim_meross_cloud(
                EMAIL,
                PASSWORD,
                host="cloud",
                mfa_code=MFA,
                redirect_from="other.cloud",
                environment=environment,
            )
        )
        sims = [
            await stack.enter_async_context(
                sim_meross_device(
                    f"192.168.1.{number}",
                    model=model,
                    name=model,
                    cloud=cloud,
                    environment=environment,
                )
            )
            for number, model in enumerate(("mss310", "em06", "msh300hk"), start=60)
        ]
        await anyio.sleep(5)
        yield cloud, sims, environment


def of_account(cloud: MerossCloudSim, sims: list[MerossSim]) -> dict[str, str]:
    """All that is secret about an account, as far as it has come up."""
    key, user = cloud.key, cloud.user_id
    senders = {one.asked.sender for sim in sims for one in sim.requests}
    topics = filter(None, map(APP_TOPIC.fullmatch, senders))
    app_ids = {topic[1] for topic in topics}
    assert app_ids
    found = {
        "e-mail": EMAIL,
        "password": PASSWORD,
        "md5 of the password": md5_hex(PASSWORD),
        "one-time code": MFA,
        "user id": user,
        "key": key,
        "half of the key": key[:16],
        "password of an app": app_password(user, key),
    }
    for number, app_id in enumerate(app_ids):
        found[f"app id {number}"] = app_id
    for sim in sims:
        name, seed = sim.model.name, f"{key[1:9]}{sim.mac}{key[10:28]}"
        found[f"password of {name}"] = device_password(user, sim.mac, key)
        found[f"encryption of {name}"] = md5_hex(sim.uuid[3:22] + seed)
        for number, one in enumerate(sim.requests):
            found[f"signature {number} of {name}"] = one.asked.sign
    return found


async def use(meross: Meross, found: Shown) -> None:
    """Do what can be done, and show whatever comes of it."""
    plug, meter, hub = (meross.device(name) for name in ("mss310", "em06", "msh300hk"))
    for device in (plug, meter, hub):
        await device.known()
    found.show(meross, meross.stats(), meross.stats, meross.budget, meross.rate_limiter)
    found.show(meross.stats().performed, meross.budget.devices, meross.devices)
    found.show(*meross.budget.devices.values())
    async with (
        meross.notifications() as notes,
        meross.events() as come,
        plug.events() as events,
        hub.events(),
    ):
        await plug.turn_on()
        for rule in (TIMER, TRIGGER):
            await plug.set_rule(rule)
            found.show(rule, rule.repeat)
        found.show(*await plug.daily_energy(), *await meter.hourly_energy(1))
        await anyio.sleep(30)
        found.show(notes, await anext(notes), await anext(events), await anext(come))
    for one in (plug, meter, hub, *hub.subdevices.values()):
        found.show(one, one.info, one.entities, one.states, one.availability)
    for device in (plug, meter, hub):
        found.show(device.about, *device.about.channels, *device.features, device.route)
        found.show(device.route.lan)


async def mfa() -> str:
    await anyio.lowlevel.checkpoint()
    return MFA


def opened(
    cloud: MerossCloudSim, environment: Environment, **options: Any
) -> AbstractAsyncContextManager[Meross]:
    settings: dict[str, Any] = {
        "email": EMAIL,
        "password": PASSWORD,
        "mfa": mfa,
        "store": MemoryStore(),
        "rate_limiter": None,
        **options,
    }
    return open_meross(url=cloud.redirecting_url, environment=environment, **settings)


async def test_an_account_and_its_devices(caplog, tmp_path):
    store = FileStore(tmp_path / "token.json")
    secrets: dict[str, str] = {}
    with shown(caplog) as found:
        async with household() as (cloud, sims, environment):
            for policy in ("lan_first", "cloud_only"):
                limiter = RateLimitChecker() if policy == "lan_first" else None
                async with opened(
                    cloud,
                    environment,
                    store=store,
                    policy=policy,
                    rate_limiter=limiter,
                ) as meross:
                    await use(meross, found)
                    credentials = await store.load()
                    assert credentials is not None
                    found.show(store, credentials, limiter, KeyringStore())
                    found.show(MemoryStore(credentials))
                    secrets[f"token of {policy}"] = credentials.token.reveal()
                    await anyio.sleep(100)
                    cloud.expire_token()
                    await meross.refresh()
                    credentials = await store.load()
                    assert credentials is not None
                    secrets[f"next token of {policy}"] = credentials.token.reveal()
                    await sims[0].reboot()
                    await come_and_go(meross, cloud, found)
                    await cloud.restart_brokers()
                    await anyio.sleep(60)
            secrets |= of_account(cloud, sims)
    assert caplog.records
    assert len(set(secrets.values())) >= 30
    assert found.found(secrets.values()) == set()
    # Every public class has been looked at that one can hold something of.
    public = {getattr(structiot.meross, name) for name in structiot.meross.__all__}
    classes = {one for one in public if inspect.isclass(one) and _may_be_held(one)}
    held = {base for kind in found.kinds for base in kind.__mro__}
    assert {one.__name__ for one in classes - held} == set()


def _may_be_held(kind: type) -> bool:
    is_protocol = getattr(kind, "_is_protocol", False)
    return not (issubclass(kind, StructiotError) or is_protocol)


@pytest.mark.parametrize("policy", ["lan_first", "cloud_only"])
async def test_a_device_that_lies(policy, caplog):
    """Answers and pushes with every fault there is, and a key that fits no more."""
    with shown(caplog) as found:
        async with (
            household() as (cloud, sims, environment),
            opened(cloud, environment, policy=policy) as meross,
        ):
            plug = meross.device("mss310")
            await plug.known()
            async with plug.events(), plug.notifications() as notes:
                for lie in LIES:
                    for on in ("http", "mqtt", "PUSH"):
                        sims[0].faults.lie_next(lie, on=on)
                    await attempt(plug, found)
                    await sims[0].press()
                    await anyio.sleep(20)
                    sims[0].faults.clear()
                for kind in FaultKind:
                    for on in ("http", "mqtt"):
                        fault = Fault(kind=kind, on=on, change=lambda data: data[:-9])
                        sims[0].faults.add(fault)
                    await attempt(plug, found)
                sims[0].pair(OTHER_KEY, OTHER_USER)
                plug.route.lan = plug.route.lan
                await attempt(plug, found)
                found.show(plug, plug.availability, notes)
            secrets = of_account(cloud, sims) | {
                "other key": OTHER_KEY,
                "other user": OTHER_USER,
            }
    assert len(found.errors) > 10
    assert found.found(secrets.values()) == set()


async def attempt(plug: MerossDevice, found: Shown) -> None:
    for namespace in ("Appliance.System.All", "Appliance.Control.Electricity"):
        try:
            found.show(len(await plug.request(namespace)))
        except StructiotError as exc:
            found.show_error(exc)


CODES = [1000, 1003, 1004, 1019, 1022, 1023, 1028, 1032, 1033, 1035, 1200, 1301, 1402]


async def test_an_account_that_is_refused(caplog):
    with shown(caplog) as found:
        async with household() as (cloud, _, environment):
            for code in CODES:
                cloud.faults.refusal_code = code
                cloud.faults.refuse_next(on="signIn")
                await refused(cloud, environment, found)
                cloud.faults.clear()
            for wrong in ({"password": "planted mare"}, {"email": f"not.{EMAIL}"}):
                await refused(cloud, environment, found, **wrong)
            await refused(cloud, environment, found, mfa=None)
            store = MemoryStore()
            async with opened(cloud, environment, store=store) as meross:
                credentials = await store.load()
                assert credentials is not None
                # Of somebody else.
                await refused(
                    cloud, environment, found, store=store, email=f"not.{EMAIL}"
                )
                for code in CODES:
                    cloud.faults.refusal_code = code
                    # What is asked in the background meanwhile would be refused instead.
                    await anyio.sleep(100)
                    cloud.faults.refuse_next(on="devList")
                    try:
                        await meross.refresh()
                    except StructiotError as exc:
                        found.show_error(exc)
                    cloud.faults.clear()
            with pytest.raises(AccountDisabled) as ended:
                async with opened(cloud, environment, store=store):
                    cloud.ban()
                    await anyio.sleep(300)
            found.show_error(ended.value)
            await refused(cloud, environment, found, store=store)
            secrets = {
                "token": credentials.token.reveal(),
                "other password": "planted mare",
                "its md5": md5_hex("planted mare"),
                "e-mail": EMAIL,
                "password": PASSWORD,
                "md5": md5_hex(PASSWORD),
                "code": MFA,
                "key": cloud.key,
                "user": cloud.user_id,
            }
    assert len(found.errors) > len(CODES)
    assert found.found(secrets.values()) == set()


async def refused(
    cloud: MerossCloudSim, environment: Environment, found: Shown, **options: Any
) -> None:
    try:
        async with opened(cloud, environment, **options) as meross:
            found.show(meross)
    except StructiotError as exc:
        found.show_error(exc)


@pytest.mark.parametrize("where", ["error", "log", "repr"])
async def test_a_secret_that_is_shown_is_found(where, caplog):
    """The search itself: it must be able to fail."""
    with shown(caplog) as found:
        logging.getLogger("structiot.meross").debug(
            "key %s", OTHER_KEY if where == "log" else ""
        )
        if where == "error":
            try:
                raise StructiotError(f"the key {OTHER_KEY} is wrong")
            except StructiotError as exc:
                found.show_error(exc)
        if where == "repr":
            found.show(OTHER_KEY)
    assert found.found([OTHER_KEY, PASSWORD]) == {OTHER_KEY}
