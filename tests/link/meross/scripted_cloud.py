"""Meross's cloud as far as its client's tests need it: tokens, and answers by script."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any

import anyio

from structiot import Environment
from structiot._kit.flow.tasks import service_group
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import HttpServer, RawReply
from structiot.meross.credentials import Credentials, MemoryStore
from structiot.meross.link.cloud import MerossCloud, open_cloud
from structiot.meross.wire.cloud import Path, decode_request
from structiot.meross.wire.digests import md5_hex
from structiot.testing import MemoryNetwork
from structiot.testing.clock import virtual_clock

US, EU = "http://us.cloud", "http://eu.cloud"
EMAIL = "someone@example.org"
PASSWORD = "correct horse battery"
KEY = "fedcba9876543210fedcba9876543210"
USER = "123456"


@dataclass(frozen=True)
class Asked:
    """One request.

    Attributes:
        host: Which server it was sent to.
        path: What was asked.
        params: Its parameters.
        token: Who asked.
        at_s: When.
        nonce: What makes it unlike all others.
        sign: Its signature.
    """

    host: str
    path: str
    params: dict[str, Any]
    token: str
    at_s: float
    nonce: str
    sign: str


@dataclass
class ScriptedCloud:
    """The account's region is the host `home`; others send there.

    Attributes:
        network: Where it is.
        home: The region.
        user: The user's id.
        asked: All that was asked, in turn.
        answers: What is answered before anything else, by path, each once.
        tokens: The tokens that are valid.
        delay_s: How long an answer takes.
        mfa_code: The one-time code that is wanted.
        lists: Data of other paths.
    made: How many tokens were made.
    token_prefix: What each begins with.
        made: How many tokens were made.
        token_prefix: What each begins with.
    """

    network: MemoryNetwork
    home: str = "eu.cloud"
    user: str = USER
    asked: list[Asked] = field(default_factory=list)
    answers: dict[str, deque[object]] = field(default_factory=dict)
    tokens: set[str] = field(default_factory=set)
    delay_s: float = 0.0
    mfa_code: str = ""
    lists: dict[str, object] = field(default_factory=dict)
    made: int = 0
    token_prefix: str = "secret-token-"

    @property
    def environment(self) -> Environment:
        return Environment(network=self.network, clock=virtual_clock, random=Random(1))

    def paths(self, path: str) -> list[Asked]:
        return [asked for asked in self.asked if asked.path == path]

    @property
    def sign_ins(self) -> list[Asked]:
        return self.paths(Path.SIGN_IN)

    def answer(self, path: str, *answers: object) -> None:
        """Have the next requests answered so: with a code, a dict, bytes or a reply."""
        self.answers.setdefault(path, deque()).extend(answers)

    def kept(self, **changes: Any) -> MemoryStore:
        """Give a store that holds a token, a valid one if `token` is not given."""
        fields = {
            "token": "kept-token-0",
            "key": KEY,
            "user_id": self.user,
            "user_email": EMAIL,
            "domain": f"http://{self.home}",
            "mqtt_domain": "mqtt.eu",
            **changes,
        }
        if "token" not in changes:
            self.tokens.add("kept-token-0")
        return MemoryStore(Credentials.from_json(json.dumps(fields)))

    async def handle(self, host: str, request: HttpRequest) -> HttpReply | RawReply:
        body = request.json()
        assert isinstance(body, dict)
        params, is_signed = decode_request(body)
        assert is_signed
        token = request.headers["authorization"].removeprefix("Basic").strip()
        at_s = anyio.current_time()
        by = str(body["nonce"]), str(body["sign"])
        asked = Asked(host, request.path, params, token, at_s, *by)
        self.asked.append(asked)
        if self.delay_s:
            await anyio.sleep(self.delay_s)
        script = self.answers.get(request.path)
        answer = script.popleft() if script else self._usual(host, asked)
        if isinstance(answer, HttpReply | RawReply):
            return answer
        if isinstance(answer, bytes):
            return HttpReply(body=answer)
        if isinstance(answer, int):
            answer = {"apiStatus": answer, "info": f"No {answer}", "data": {}}
        return HttpReply.of_json(answer)

    def _usual(self, host: str, asked: Asked) -> object:
        if host != self.home:
            return moved(f"http://{self.home}")
        if asked.path == Path.SIGN_IN:
            return self._signed_in(asked.params)
        if asked.token not in self.tokens:
            return {"apiStatus": 1022, "info": "No login", "data": None}
        if asked.path == Path.LOG_OUT:
            self.tokens.discard(asked.token)
        return {"apiStatus": 0, "data": self.lists.get(asked.path, [])}

    def _signed_in(self, params: dict[str, Any]) -> object:
        if params["email"] != EMAIL or params["password"] != md5_hex(PASSWORD):
            return 1004
        if self.mfa_code and params.get("mfaCode") != self.mfa_code:
            return 1032 if "mfaCode" in params else 1033
        self.made += 1
        token = f"{self.token_prefix}{self.made}"
        self.tokens.add(token)
        data = {"userid": self.user, "email": EMAIL, "key": KEY, "token": token}
        where = {"domain": f"http://{self.home}", "mqttDomain": "mqtt.eu"}
        return {"apiStatus": 0, "data": data | where}


def moved(domain: object) -> dict[str, object]:
    """Give the answer of a region that is not the account's."""
    return {"apiStatus": 1030, "data": {"domain": domain, "mqttDomain": "mqtt.eu"}}


@asynccontextmanager
async def scripted_cloud(*hosts: str, **options: Any) -> AsyncIterator[ScriptedCloud]:
    """Serve a cloud of some regions, by default two."""
    cloud = ScriptedCloud(MemoryNetwork(), **options)
    async with AsyncExitStack() as stack:
        tasks = await stack.enter_async_context(service_group())
        for host in hosts or ("us.cloud", "eu.cloud"):

            async def handle(request: HttpRequest, host: str = host) -> Any:
                return await cloud.handle(host, request)

            listening = cloud.network.listen_tcp(host, 80)
            listener = await stack.enter_async_context(listening)
            tasks.start_soon(listener.serve, HttpServer(handle).serve)
        yield cloud
        tasks.cancel_scope.cancel()


@asynccontextmanager
async def signed_in(
    cloud: ScriptedCloud, **options: Any
) -> AsyncGenerator[MerossCloud]:
    """Open the account at a cloud."""
    settings = {"email": EMAIL, "password": PASSWORD, "url": US, **options}
    async with open_cloud(**{"environment": cloud.environment, **settings}) as opened:
        yield opened
