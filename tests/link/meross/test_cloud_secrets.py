"""No secret of an account is printed: planted everywhere, searched for everywhere."""

from __future__ import annotations

import json
from typing import Any

import pytest

from structiot._kit.http.messages import HttpReply
from structiot._kit.http.server import RawReply
from structiot._kit.redact import Secret
from structiot.errors import StructiotError
from structiot.meross.credentials import MemoryStore
from structiot.meross.wire.cloud import Path
from structiot.meross.wire.digests import md5_hex
from tests.link.meross.scripted_cloud import (
    KEY,
    PASSWORD,
    ScriptedCloud,
    moved,
    scripted_cloud,
    signed_in,
)
from tests.link.meross.shown import Shown, shown

pytestmark = pytest.mark.virtual_time

PREFIX = "a5" * 31 + "b"  # as long as real ones are
TOKENS = ("kept-token-0", f"{PREFIX}1", f"{PREFIX}2")
MFA = "918273"
SECRETS = (PASSWORD, md5_hex(PASSWORD), KEY, MFA, *TOKENS)
PACKED = "eyJ"  # what base64 of our parameters begins with

ECHO = json.dumps(
    {"key": KEY, "token": TOKENS[0], "password": md5_hex(PASSWORD), "info": TOKENS[1]}
)
ANSWERS: dict[str, object] = {
    "info": {"apiStatus": 20101, "info": f"{md5_hex(PASSWORD)} {' '.join(TOKENS[1:])}"},
    "expired": {"apiStatus": 1022, "info": f"{TOKENS[1]}, {KEY}"},
    "no status": ECHO.encode(),
    "broken": ECHO[:-1].encode(),
    "a page": HttpReply(status=404, body=ECHO.encode()),
    "trouble": HttpReply(status=502, body=ECHO.encode()),
    "elsewhere": moved(f"http://{TOKENS[0]}:{KEY}@eu.cloud"),
    "half a sign-in": {"apiStatus": 0, "data": {"token": TOKENS[1], "key": KEY}},
    "silence": RawReply(is_left_open=True),
    "wrong code": 1032,
}


def cloud_secrets(cloud: ScriptedCloud) -> list[str]:
    """All that was planted, and what each request was signed with."""
    signs = [text for one in cloud.asked for text in (one.nonce, one.sign)]
    assert signs
    return [*SECRETS, PACKED, *signs]


async def uses(cloud: ScriptedCloud, found: Shown, **options: Any) -> None:
    async def mfa() -> str:
        return MFA

    try:
        async with signed_in(cloud, mfa=mfa, reply_s=5.0, **options) as account:
            found.show(account, account.credentials)
            for use in (account.devices, account.firmware_versions, account.log_out):
                try:
                    await use()
                except StructiotError as exc:
                    found.show_error(exc)
            found.show(account.stats())
    except StructiotError as exc:
        found.show_error(exc)


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=list(ANSWERS))
@pytest.mark.parametrize("path", [Path.SIGN_IN, Path.DEVICES, Path.LOG_OUT])
async def test_nothing_is_shown_whatever_the_cloud_says(path, answer, caplog):
    with shown(caplog) as found:
        async with scripted_cloud(mfa_code=MFA, token_prefix=PREFIX) as cloud:
            cloud.answer(path, *[answer] * 2)
            await uses(cloud, found, store=MemoryStore())
            cloud.answer(path, *[answer] * 2)
            await uses(cloud, found, store=cloud.kept(), password=Secret(PASSWORD))
            cloud.answer(path, *[answer] * 2)
            await uses(cloud, found, store=cloud.kept(token=TOKENS[0]), password=None)
    assert caplog.records
    assert found.found(cloud_secrets(cloud)) == set()


async def test_nothing_is_shown_where_all_goes_well(caplog):
    with shown(caplog) as found:
        async with scripted_cloud(mfa_code=MFA, token_prefix=PREFIX) as cloud:
            await uses(cloud, found)
            assert cloud.made == 1
            cloud.tokens.clear()
            await uses(cloud, found, store=cloud.kept(token="too-old-a-token"))
    assert caplog.records
    assert found.found(cloud_secrets(cloud)) == set()
