"""SENERGY's HTTP side: tokens, got and renewed; hubs and devices, found and changed.

    login --> access token --(30 s before its end)--> renewed, or a login again
                   |
                   +--> each call; one that gets 401 is made once more with another token

A refusal is `PlatformRefused` with the HTTP status, and leaves the connection alone. A
server that is away, or speaks no HTTP, or answers by its gateway (502 to 504) is a lost
link. Facts: reference 14 and 15.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncGenerator, Iterable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Final
from urllib.parse import quote, urlsplit

import anyio

from structiot._kit.environment import Environment
from structiot._kit.http.client import HttpClient, open_http
from structiot._kit.http.messages import HttpReply
from structiot._kit.json_text import number_of, parse_object, text_of
from structiot._kit.redact import Secret
from structiot._kit.text import printable, without_named_secrets
from structiot.connector.config import ConnectorConfig
from structiot.connector.errors import PlatformRefused
from structiot.connector.wire.senergy import (
    ORIGIN,
    Hub,
    SenergyDevice,
    Tokens,
    decode_device,
    decode_hub,
    decode_tokens,
    encode_device,
    encode_hub,
    encode_new_hub,
    service_roots,
    subject_of,
)
from structiot.errors import (
    AuthRefused,
    LinkLost,
    ProtocolViolation,
    RateLimited,
)

__all__ = ["SenergyApi", "open_senergy_api"]

_TOKEN_S: Final = 15.0
# The platform answers a change when it is done everywhere.
_CHANGE_S: Final = 45.0
_EARLY_S: Final = 30.0
_REST_S: Final = 30.0
# A thousand ids in one address are more than some servers take.
_IDS_A_CALL: Final = 50
_MANY_HUBS: Final = "1000"
_DENIED: Final = (HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN)
_AWAY: Final = frozenset({502, 503, 504})
_GRANTS_REFUSED: Final = frozenset(
    {"invalid_grant", "invalid_client", "unauthorized_client", "access_denied"}
)

_log: Final = logging.getLogger("structiot.connector")


class SenergyApi:
    """Calls of the HTTP side; safe to use from several tasks; see `open_senergy_api`.

    Attributes:
        owner: Whose token it is, once there is one; what topics call the owner.
    """

    def __init__(
        self, config: ConnectorConfig, tokens: HttpClient, api: HttpClient
    ) -> None:
        self.owner: str = ""
        self._config = config
        self._token_http = tokens
        self._token_path = urlsplit(config.token_url).path or "/"
        self._http = api
        _, self._manager, self._repository = service_roots(config.api_url)
        self._devices = f"{self._manager}/local-devices"
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
            fresh = await self._renewed(tokens, age_s) or await self._login()
            self._tokens, self._got_at = fresh, anyio.current_time()
            self.owner = subject_of(fresh.access, "the platform's token")
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

    async def _login(self) -> Tokens:
        return await self._grant(
            grant_type="password",
            username=self._config.user,
            password=self._config.password.reveal(),
        )

    async def _grant(self, **form: str) -> Tokens:
        form["client_id"] = self._config.client_id
        reply = await self._token_http.request("POST", self._token_path, form=form)
        what = f"POST {self._token_path}"
        if reply.status == HTTPStatus.OK:
            return decode_tokens(reply.body, what)
        _check_away(what, reply)
        error, told = _oauth_error(reply)
        if error in _GRANTS_REFUSED or reply.status in _DENIED:
            message = f"the platform refuses user, password or client_id: {told}"
            # Without words it may be somebody in between.
            code, user = reply.status if error else None, self._config.user
            raise AuthRefused(message, account=user, code=code)
        message = f"{what}: HTTP status {reply.status}: {told}"
        raise ProtocolViolation(message, code=reply.status)

    # -- calls -----------------------------------------------------------------------

    async def _call(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        json: object = None,
    ) -> HttpReply:
        """Make a call that succeeds.

        Raises:
            PlatformRefused: The platform says no.
            StructiotError: As `token`, and those of HTTP.
        """
        token = await self.token()
        reply = await self._send(method, path, query, json, token)
        if reply.status == HTTPStatus.UNAUTHORIZED:
            # It was revoked, or clocks differ.
            token = await self.token(unlike=token)
            reply = await self._send(method, path, query, json, token)
        if reply.status == HTTPStatus.OK:
            return reply
        _check_away(f"{method} {path}", reply)
        raise PlatformRefused(reply.status, _words(reply))

    async def _send(
        self,
        method: str,
        path: str,
        query: Mapping[str, str] | None,
        json: object,
        token: Secret,
    ) -> HttpReply:
        headers = {"Authorization": f"Bearer {token.reveal()}"}
        return await self._http.request(
            method, path, query=query, json=json, headers=headers
        )

    async def _change(
        self, method: str, path: str, json: object = None, **query: str
    ) -> HttpReply:
        # Without waiting, what was made is not found for a while.
        return await self._call(
            method, path, query={"wait": "true", **query}, json=json
        )

    # -- hubs ------------------------------------------------------------------------

    async def find_hub(self, hub_id: str) -> Hub | None:
        """Give a hub; None if there is none of this id."""
        try:
            reply = await self._call("GET", self._hub_path(hub_id))
        except PlatformRefused as exc:
            if exc.status != HTTPStatus.NOT_FOUND:
                raise
        else:
            return decode_hub(reply.json(), "a hub")
        # A server without the API says the same of everything: that is no news of the hub.
        await self._call("GET", self._devices, query={"limit": "1"})
        return None

    async def make_hub(self, name: str) -> Hub:
        """Make a hub, or find the one whose making was not answered.

        The device manager itself can list no hubs, but the device repository can, where
        the address tells where that is. There a hub of this name with our mark that has
        never been connected, and has no device, is one that was made and not heard of.
        """
        if (lost := await self._lost_hub(name)) is not None:
            return lost
        path = f"{self._manager}/hubs"
        reply = await self._change("POST", path, encode_new_hub(name))
        return decode_hub(reply.json(), "a new hub")

    async def _lost_hub(self, name: str) -> Hub | None:
        if self._repository is None:
            return None
        path = f"{self._repository}/hubs"
        # No state is that of a hub that has never been connected.
        query = {"search": name, "limit": _MANY_HUBS, "connection-state": ""}
        try:
            listed = _listed(await self._call("GET", path, query=query))
        except PlatformRefused as exc:
            _log.info("the platform does not list hubs: %s", exc)
            return None
        hubs = (decode_hub(one, "a hub") for one in listed)
        unused = (
            hub
            for hub in hubs
            if (hub.name, hub.owner) == (name, self.owner)
            and hub.is_ours
            and not hub.device_ids
        )
        return next(unused, None)

    async def change_hub(self, hub: Hub) -> None:
        """Have a hub be like this."""
        await self._change("PUT", self._hub_path(hub.id), encode_hub(hub))

    def _hub_path(self, hub_id: str) -> str:
        return f"{self._manager}/hubs/{quote(hub_id, safe='')}"

    # -- devices ---------------------------------------------------------------------

    async def find_devices(self, ids: Iterable[str]) -> dict[str, SenergyDevice]:
        """Give those devices that there are, by local id."""
        # A comma ends an id, so that one with a comma is asked for alone.
        alone = [one for one in ids if "," in one]
        rest = [one for one in ids if "," not in one]
        found: list[object] = []
        for at in range(0, len(rest), _IDS_A_CALL):
            query = {"ids": ",".join(rest[at : at + _IDS_A_CALL])}
            reply = await self._call("GET", self._devices, query=query)
            found += _listed(reply)
        for one in alone:
            try:
                found.append((await self._call("GET", self._device(one))).json())
            except PlatformRefused as exc:
                if exc.status != HTTPStatus.NOT_FOUND:
                    raise
        devices = [decode_device(one, "a device") for one in found]
        return {device.local_id: device for device in devices}

    async def put_device(
        self, device: SenergyDevice, known: SenergyDevice | None
    ) -> None:
        """Make or change a device; nothing is sent where it is like that already."""
        if known is None:
            await self._change("POST", self._devices, encode_device(device))
        elif known != device:
            path, json = self._device(device.local_id), encode_device(device)
            # What others have written there stays.
            query = {"update-only-same-origin-attributes": ORIGIN}
            await self._change("PUT", path, json, **query)

    async def delete_device(self, local_id: str) -> None:
        """Remove a device."""
        await self._change("DELETE", self._device(local_id))

    def _device(self, local_id: str) -> str:
        return f"{self._devices}/{quote(local_id, safe='')}"


def _check_away(what: str, reply: HttpReply) -> None:
    """Raise what a status means that is no answer of the platform's."""
    if reply.status == HTTPStatus.TOO_MANY_REQUESTS:
        after_s = number_of(reply.headers.get("retry-after"))
        message = f"{what}: asked too often"
        raise RateLimited(
            message, retry_after_s=_REST_S if after_s is None else after_s
        )
    if reply.status in _AWAY:
        reason = f"HTTP status {reply.status}"
        raise LinkLost(f"{what}: the platform is away: {reason}", reason=reason)


def _listed(reply: HttpReply) -> list[object]:
    listed = reply.json()
    if not isinstance(listed, list):
        raise ProtocolViolation("no list where there is one", data=reply.body)
    return listed


def _oauth_error(reply: HttpReply) -> tuple[str, str]:
    try:
        value = parse_object(reply.body, "a refusal")
    except ProtocolViolation:
        return "", _words(reply)
    error = text_of(value.get("error")) or ""
    told = text_of(value.get("error_description")) or error
    return error, printable(without_named_secrets(told)) or "it does not say why"


def _words(reply: HttpReply) -> str:
    text = reply.body[:1_000].decode("utf-8", "replace").strip()
    return printable(without_named_secrets(text))


@asynccontextmanager
async def open_senergy_api(
    config: ConnectorConfig, environment: Environment
) -> AsyncGenerator[SenergyApi]:
    """Open clients for the HTTP side; nothing is asked yet.

    Raises:
        ConfigError: An address that is none.
    """
    tokens_at, network = urlsplit(config.token_url), environment.network
    tokens_base = f"{tokens_at.scheme}://{tokens_at.netloc}"
    api_base = service_roots(config.api_url)[0]
    async with (
        open_http(tokens_base, reply_s=_TOKEN_S, network=network) as tokens,
        open_http(api_base, reply_s=_CHANGE_S, network=network) as api,
    ):
        yield SenergyApi(config, tokens, api)
