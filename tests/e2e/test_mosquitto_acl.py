"""The same ACL and password file for Mosquitto and for our broker: who may do what."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import anyio
import pytest

from structiot.mqtt.broker import open_broker
from structiot.mqtt.wire.messages import (
    Message,
    Pingreq,
    Pingresp,
    Suback,
    Subscribe,
    SubscriptionRequest,
)
from tests.e2e.leaving_mosquitto import (
    mosquitto_in,
    publish,
    set_passwords,
    speaking,
)

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(90)]

ADMIN = "user admin\ntopic #\n"
WITHOUT_PATTERNS = f"""\
# Anonymous clients come first.
topic read public/#
topic deny public/secret/#
topic write inbox
{ADMIN}
user ann
topic readwrite home/+/light
topic deny home/attic/light
topic read home/#
topic write home/attic/light
user bob
topic deny home/#
topic home/kitchen/light
user ann
topic deny home/kitchen/log
topic write with a blank
"""
WITH_PATTERNS = f"""\
{WITHOUT_PATTERNS}
pattern readwrite own/%u/#
pattern write dev/%c/state
pattern read dev/+/state
pattern deny dev/secret/#
pattern deny home/cellar/%u
pattern read home/#
user a+b
topic own/x
user eve
topic dev/secret/#
"""
USERS = ("admin", "ann", "bob", "cid", "eve", "a+b", "x/y")
WHO = [
    (None, "nobody"),
    ("ann", "first"),
    ("ann", "+"),
    ("bob", "#"),
    ("bob", "d/1"),
    ("cid", "cid"),
    ("cid", "secret"),
    ("eve", "secret"),
    ("a+b", "plain"),
    ("x/y", "other"),
]
TOPICS = [
    "public",
    "public/a",
    "public/secret",
    "public/secret/x",
    "inbox",
    "home",
    "home/attic/light",
    "home/kitchen/light",
    "home/kitchen/log",
    "home/cellar/ann",
    "home/cellar/bob",
    "with a blank",
    "own/ann/x",
    "own/bob",
    "own/x/y/z",
    "own/a+b/x",
    "own/x",
    "dev/first/state",
    "dev/cid/state",
    "dev/d/1/state",
    "dev/secret/state",
    "dev/+/state",
    "other",
]
NAMES = [topic for topic in TOPICS if "+" not in topic]
FILTERS = ["#", "public/#", "home/secret", "$SYS/broker/clients/total", "nothing/+"]


async def what_may(port: int, user: str | None, client_id: str) -> dict[str, Any]:
    """Try out what one client may publish, subscribe and receive."""
    async with (
        speaking(port, user, client_id) as client,
        speaking(port, "admin", "watches") as admin,
    ):
        codes = await publish(client, *NAMES)
        refused = [name for name, code in zip(NAMES, codes, strict=True) if code >= 128]
        requests = tuple(SubscriptionRequest(topic_filter=one) for one in FILTERS)
        await client.send(Subscribe(packet_id=1, subscriptions=requests))
        suback = await client.expect(Suback)
        assert max(await publish(admin, *NAMES)) < 0x80
        await client.send(Pingreq())
        received = []
        while not isinstance(packet := await client.next(), Pingresp):
            assert isinstance(packet, Message)
            if not packet.topic.startswith("$"):
                received.append(packet.topic)
        return {
            "refused": refused,
            "granted": suback.reasons,
            "received": sorted(set(received)),
        }


@pytest.mark.parametrize("acl", [WITHOUT_PATTERNS, WITH_PATTERNS], ids=["", "patterns"])
async def test_an_acl_file_means_what_it_means_to_mosquitto(tmp_path: Path, acl: str):
    (tmp_path / "acl").write_text(acl)
    passwords = set_passwords(tmp_path, *USERS)
    mosquitto = mosquitto_in(tmp_path)
    await anyio.to_thread.run_sync(mosquitto.start)
    try:
        theirs = {who: await what_may(mosquitto.port, *who) for who in WHO}
    finally:
        await anyio.to_thread.run_sync(mosquitto.stop)
    async with open_broker(
        "mqtt://127.0.0.1:0",
        passwords=passwords,
        permissions=tmp_path / "acl",
        allows_anonymous=True,
        sys_interval_s=None,
    ) as server:
        port = int(server.uri.rpartition(":")[2])
        ours = {who: await what_may(port, *who) for who in WHO}
    for who in WHO:
        assert ours[who] == theirs[who], who
    # It is no file that allows, or denies, all of it.
    for done in ("refused", "received"):
        assert 0 < len(theirs["ann", "first"][done]) < len(NAMES)
