"""SENERGY's HTTP side: tokens, got and renewed; hubs and devices, found and changed.

    login --> access token --(30 s before its end)--> renewed, or a login again
                   |
                   +--> each call; one that gets 401 is made once more with another token

A refusal is `PlatformRefused` with the HTTP status, and leaves the connection alone. A
server that is away, or speaks no HTTP, or answers by its gateway (502 to 504) is a lost
link, and so is one that sends us elsewhere. Facts: reference 14 and 15.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

import anyio

from structiot._kit.environment import Environment
from structiot._kit.http.base_client import BaseHttpClient
from structiot._kit.http.cloud import open_cloud
from structiot._kit.http.messages import HttpReply
from structiot._kit.json_text import number_of, parse_object
from structiot._kit.redact import HIDDEN, Secret
from structiot._kit.text import (
    printable,
    without_credentials,
    without_named_secrets,
)
from structiot.connector.config import ConnectorConfig
from structiot.connector.errors import PlatformRefused
from structiot.connector.wire.parts import check_cost
from structiot.connector.wire.senergy import (
    ORIGIN,
    JsonObject,
    Tokens,
    decode_device,
    decode_hub,
    decode_tokens,
    is_unused_hub,
    new_hub,
    service_roots,
    subject_of,
)
from structiot.errors import AuthRefused, LinkLost, ProtocolViolation, RateLimited

__all__ = ["SenergyApi", "open_senergy_api"]

_TOKEN_S: Final = 15.0
# The platform answers a change when it is done everywhere.
_CHANGE_S: Final = 45.0
_EARLY_S: Final = 30.0
_REST_S: Final = 30.0
# Whoever says that we are to stay away for longer is asked all the same.
_LONGEST_REST_S: Final = 3600.0
# A thousand ids in one address are more than some servers take.
_IDS_A_CALL: Final = 50
# No state is that of a hub that has never been connected.
_NEVER_CONNECTED: Final = {"connection-state": "", "limit": "1000"}
_MOST_LISTED: Final = 1_000
_OURS_ALONE: Final = {"update-only-same-origin-attributes": ORIGIN}
_DONE: Final = range(200, 300)
_DENIED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_AWAY: Final = frozenset({502, 503, 504})
_ELSEWHERE: Final = range(300, 400)
_REFUSALS: Final = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "access_denied"}
)

_log: Final = logging.getLogger("structiot.connector")


class SenergyApi:
    """Calls of the HTTP side; safe to use from several tasks; see `open_senergy_api`.

    Each raises `PlatformRefused`, what `token` raises, and the errors of HTTP.

    Attributes:
        owner: Whose token it is, once there is one; what topics call the owner.
    """

    def __init__(
        self, config: ConnectorConfig, tokens: BaseHttpClient, api: BaseHttpClient
    ) -> None:
        self.owner: str = ""
        self._config = config
        self._token_http = tokens
        self._http = api
        _, manager, self._repository = service_roots(config.api_url)
        self._hubs, self._devices = f"{manager}/hubs", f"{manager}/local-devices"
        self._tokens: Tokens | None = None
        self._got_at = 0.0
        self._renewing = anyio.Lock()

    # -- tokens ----------------------------------------------------------------------

    async def token(self, *, unlike: Secret | None = None) -> Secret:
        """Give an access token that is good for a while.

        Args:
            unlike: One that has turned out not to be good.

        Raises:
            AuthRefused: User, password or client id are wrong; with a `code` if it was the
                token end point itself that has said so.
            RateLimited: Asked too often.
            LinkLost: The server is away, as any `TransportError`.
            ProtocolViolation: What it answers is no token.
        """
        async with self._renewing:
            tokens, age_s = self._tokens, anyio.current_time() - self._got_at
            if tokens is not None and tokens.access != unlike:
                early_s = min(_EARLY_S, tokens.expires_in_s / 2)
                if age_s < tokens.expires_in_s - early_s:
                    return tokens.access
            fresh = await self._renewed(tokens, age_s) or await self._grant(
                grant_type="password",
                username=self._config.user,
                password=self._config.password.reveal(),
            )
            self._tokens, self._got_at = fresh, anyio.current_time()
            self.owner = subject_of(fresh.access)
            return fresh.access

    async def _renewed(self, tokens: Tokens | None, age_s: float) -> Tokens | None:
        """Renew tokens; None if that is not possible any more."""
        if tokens is None or tokens.refresh is None:
            return None
        if 0 < tokens.refresh_expires_in_s <= age_s:
            return None
        try:
            return await self._grant(
                grant_type="refresh_token", refresh_token=tokens.refresh.reveal()
            )
        except AuthRefused as exc:
            _log.debug("tokens are not renewed: %s", exc)
            return None

    async def _grant(self, **form: str) -> Tokens:
        form["client_id"], user = self._config.client_id, self._config.user
        path = urlsplit(self._config.token_url).path or "/"
        reply = await self._token_http.request("POST", path, form=form)
        if reply.status == HTTPStatus.OK:
            return decode_tokens(reply.body)
        _check_away(f"POST {path}", reply)
        try:
            is_told = parse_object(reply.body, "").get("error") in _REFUSALS
        except ProtocolViolation:
            is_told = False
        told = _words(reply, self._config.password)
        if is_told or reply.status in _DENIED:
            message = (
                f"the platform refuses user, password or client_id at token_url: {told}"
            )
            # Without words it may be somebody in between.
            code = reply.status if is_told else None
            raise AuthRefused(message, account=user, code=code)
        message = f"token_url, POST {path}: HTTP status {reply.status}: {told}"
        raise ProtocolViolation(message, code=reply.status)

    # -- calls -----------------------------------------------------------------------

    async def _call(
        self, method: str, path: str, json: object = None, **query: str
    ) -> HttpReply:
        """Make a call that succeeds."""
        if method != "GET":
            # Otherwise what was made is not found for a while.
            query["wait"] = "true"
        token = await self.token()
        reply = await self._send(method, path, json, query, token)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            # It was revoked, or clocks differ.
            token = await self.token(unlike=token)
            reply = await self._send(method, path, json, query, token)
        if reply.status in _DONE:
            return reply
        _check_away(f"{method} {path}", reply)
        words = _words(reply, token)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            await self._check_token(token, words)
        about = f"api_url, {method} {path}"
        raise PlatformRefused(reply.status, words, about=about)

    async def _check_token(self, token: Secret, words: str) -> None:
        """Raise if a token that was just given is good for nothing at all."""
        query = {"limit": "1"}
        reply = await self._send("GET", self._devices, None, query, token)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            message = f"the platform refuses the token that it has just given: {words}"
            raise AuthRefused(message, account=self._config.user)

    async def _send(
        self, method: str, path: str, json: object, query: dict[str, str], token: Secret
    ) -> HttpReply:
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        return await self._http.request(
            method, path, query=query, json=json, headers=headers
        )

    async def _list(self, path: str, **query: str) -> list[object]:
        listed = _json(await self._call("GET", path, **query))
        if not isinstance(listed, list):
            raise ProtocolViolation(f"GET {path}: no list")
        return listed[:_MOST_LISTED]

    # -- hubs ------------------------------------------------------------------------

    async def find_hub(self, hub_id: str) -> JsonObject | None:
        """Give a hub; None if there is none of this id."""
        try:
            reply = await self._call("GET", _below(self._hubs, hub_id))
            return decode_hub(_json(reply))
        except PlatformRefused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
        # A server without the API says the same of everything: that is no news of the hub.
        await self._list(self._devices, limit="1")
        return None

    async def make_hub(self, name: str) -> JsonObject:
        """Make a hub, or find the one whose making was not answered.

        The device manager itself can list no hubs, but the device repository can, where
        the address tells where that is. There a hub of this name with our mark that has
        never been connected, and has no device, is one that was made and not heard of.
        """
        listed: list[object] = []
        if self._repository is not None:
            path = f"{self._repository}/hubs"
            try:
                listed = await self._list(path, search=name, **_NEVER_CONNECTED)
            except PlatformRefused as exc:
                _log.info("the platform does not list hubs: %s", exc)
        for one in listed:
            # Not every hub of the user's need be ours, or like ours.
            with suppress(ProtocolViolation):
                hub = decode_hub(one)
                if is_unused_hub(hub, name, self.owner):
                    return hub
        reply = await self._call("POST", self._hubs, new_hub(name))
        return decode_hub(_json(reply))

    async def change_hub(self, hub: JsonObject) -> None:
        """Have a hub be like this."""
        await self._call("PUT", _below(self._hubs, hub["id"]), hub)

    # -- devices ---------------------------------------------------------------------

    async def find_devices(self, ids: Iterable[str]) -> dict[str, JsonObject]:
        """Give those devices that there are, by local id."""
        found: list[object] = []
        # A comma ends an id, so that one with a comma is asked for alone.
        rest = [one for one in ids if "," not in one]
        for at in range(0, len(rest), _IDS_A_CALL):
            group = ",".join(rest[at : at + _IDS_A_CALL])
            found += await self._list(self._devices, ids=group)
        for one in (one for one in ids if "," in one):
            try:
                reply = await self._call("GET", _below(self._devices, one))
                found.append(_json(reply))
            except PlatformRefused as exc:
                if exc.status != HTTPStatus.NOT_FOUND:
                    raise
        return {device["local_id"]: device for device in map(decode_device, found)}

    async def put_device(self, device: JsonObject, known: JsonObject | None) -> None:
        """Make or change a device; nothing is sent where it is like that already."""
        if known is None:
            await self._call("POST", self._devices, device)
        elif known != device:
            path = _below(self._devices, device["local_id"])
            await self._call("PUT", path, device, **_OURS_ALONE)

    async def delete_device(self, local_id: str) -> None:
        """Remove a device."""
        await self._call("DELETE", _below(self._devices, local_id))


def _below(path: str, name: str) -> str:
    return f"{path}/{quote(name, safe='')}"


def _json(reply: HttpReply) -> object:
    check_cost(reply.body)
    return reply.json()


def _check_away(what: str, reply: HttpReply) -> None:
    """Raise what a status means that is no answer of the platform's."""
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        after_s = number_of(reply.headers.get("retry-after"))
        rest_s = _REST_S if after_s is None else min(after_s, _LONGEST_REST_S)
        raise RateLimited(f"{what}: asked too often", retry_after_s=rest_s)
    if reply.status in _ELSEWHERE:
        there = reply.headers.get("location", "").partition("?")[0]
        named = printable(without_credentials(there), most=100) or "nowhere"
        message = (
            f"{what}: the address is another one: HTTP status {reply.status}, {named}"
        )
        raise ProtocolViolation(message, code=reply.status)
    if reply.status in _AWAY:
        reason = f"HTTP status {reply.status}"
        raise LinkLost(f"{what}: the platform is away: {reason}", reason=reason)


def _words(reply: HttpReply, secret: Secret) -> str:
    """Give what a refusal says, which may repeat what was sent."""
    text = reply.body[:1_000].decode("utf-8", "replace").strip()
    text = text.replace(secret.reveal(), HIDDEN)
    return printable(without_named_secrets(text)) or "it does not say why"


@asynccontextmanager
async def open_senergy_api(
    config: ConnectorConfig, environment: Environment, tls: ssl.SSLContext | None
) -> AsyncGenerator[SenergyApi]:
    """Open clients for the HTTP side; nothing is asked yet.

    Raises:
        ConfigError: An address that is none.
    """
    place = urlsplit(config.token_url)
    opened = partial(open_cloud, network=environment.network, ssl_context=tls)
    async with (
        opened(f"{place.scheme}://{place.netloc}", reply_s=_TOKEN_S) as tokens,
        opened(service_roots(config.api_url)[0], reply_s=_CHANGE_S) as api,
    ):
        yield SenergyApi(config, tokens, api)
