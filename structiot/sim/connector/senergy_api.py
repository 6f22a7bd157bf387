"""The HTTP side of a simulated SENERGY platform: tokens, hubs, devices.

Facts: reference sections 14 and 15. What is refused is said in plain text, as Go does;
the token end point answers as Keycloak's.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Final
from urllib.parse import unquote

from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot.errors import ProtocolViolation
from structiot.sim.connector.senergy_state import (
    SenergySimDevice,
    SenergySimHub,
    SenergyState,
    SenergyUser,
)

__all__ = ["TOKEN_PATH", "SenergyApi", "words_of"]

TOKEN_PATH: Final = "/auth/realms/master/protocol/openid-connect/token"  # noqa: S105 - a path
_MANAGER: Final = "/device-manager"
_USUAL_LIMIT: Final = 100


class _Refused(Exception):
    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status
        self.text = text


_Body = Mapping[str, object]


def words_of(request: HttpRequest) -> Collection[str]:
    """Describe a call, for `Fault.on`: `http`, the method, `token`, `hubs` or `devices`."""
    if request.path == TOKEN_PATH:
        return {"http", request.method, request.path, "token"}
    levels = request.path.split("/")
    what = "hubs" if "hubs" in levels else "devices"
    return {"http", request.method, request.path, what, *levels}


class SenergyApi:
    """Answers calls.

    Args:
        state: What the platform knows.
        note: Told of each call: method, path, and the status that it got.

    Attributes:
        refusal_status: What a call gets that a fault refuses.
    """

    def __init__(
        self, state: SenergyState, note: Callable[[str, str, int], None]
    ) -> None:
        self.refusal_status: int = HTTPStatus.INTERNAL_SERVER_ERROR
        self._state = state
        self._told = note

    async def answer(  # noqa: ASYNC124 - other services wait for something
        self, request: HttpRequest
    ) -> HttpReply:
        """Answer a call."""
        try:
            reply = self._answer(request)
        except _Refused as exc:
            reply = _text_reply(exc.status, exc.text)
        except ProtocolViolation as exc:
            reply = _text_reply(HTTPStatus.BAD_REQUEST, str(exc))
        self._note(request, reply)
        return reply

    async def refuse(  # noqa: ASYNC124 - as above
        self, request: HttpRequest
    ) -> HttpReply:
        """Refuse a call and do nothing."""
        reply = _text_reply(self.refusal_status, "as it was told to")
        self._note(request, reply)
        return reply

    def _note(self, request: HttpRequest, reply: HttpReply) -> None:
        path = request.path.removeprefix(_MANAGER)
        self._told(request.method, path, reply.status)

    def _answer(  # noqa: PLR0911 - one for each kind of path
        self, request: HttpRequest
    ) -> HttpReply:
        if request.path == TOKEN_PATH and request.method == "POST":
            return self._token(request.form())
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        user = self._state.user_of(token) if scheme.lower() == "bearer" else None
        if user is None:
            raise _Refused(HTTPStatus.UNAUTHORIZED, "no token that is good")
        method = request.method
        match [unquote(level) for level in request.path.split("/")[1:]]:
            case ["device-manager", "hubs"]:
                return self._hubs(method, user, request)
            case ["device-manager", "hubs", hub_id]:
                return self._hub(method, user, hub_id, request)
            case ["device-manager", "hubs", hub_id, "name"] if method == "PUT":
                hub = self._hub_of(user, hub_id)
                hub.name = str(request.json())
                return self._hub_reply(hub)
            case ["device-manager", "local-devices"]:
                return self._devices(method, user, request)
            case ["device-manager", "local-devices", local_id]:
                return self._device(method, user, local_id, request)
            case ["device-repository", "hubs"] if method == "GET":
                return self._hub_list(user, request.query)
        raise _Refused(HTTPStatus.NOT_FOUND, "404 page not found")

    # ------------------------------------------------------------ tokens

    def _token(self, form: Mapping[str, str]) -> HttpReply:
        state, client_id = self._state, form.get("client_id", "")
        wanted = state.rules.client_id
        if not client_id or (wanted is not None and client_id != wanted):
            return _oauth_error("invalid_client", "Invalid client", 401)
        user: SenergyUser | None = None
        if form.get("grant_type") == "password":
            user = state.users.get(form.get("username", ""))
            if user is None or user.password != form.get("password"):
                return _oauth_error("invalid_grant", "Invalid user credentials", 401)
            state.logins += 1
        elif form.get("grant_type") == "refresh_token":
            user = state.user_of(form.get("refresh_token", ""), is_refresh=True)
            if user is None or state.users.get(user.name) != user:
                return _oauth_error("invalid_grant", "Token is not active", 400)
            state.renewals += 1
        else:
            return _oauth_error("unsupported_grant_type", "Unsupported grant_type", 400)
        return HttpReply.of_json(state.tokens_for(user))

    # ------------------------------------------------------------ hubs

    def _hubs(self, method: str, user: SenergyUser, request: HttpRequest) -> HttpReply:
        if method != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        body = _body_of(request)
        if body.get("id"):
            raise _Refused(HTTPStatus.BAD_REQUEST, "body may not contain a preset id")
        hub = SenergySimHub(
            id=self._state.new_id("hub"),
            name=_text_of(body, "name"),
            owner_id=user.id,
            attributes=_attributes_of(body),
            visible_at_s=self._visible_at_s(request),
        )
        self._fill(hub, user, body)
        self._state.hubs[hub.id] = hub
        return self._hub_reply(hub)

    def _hub(
        self, method: str, user: SenergyUser, hub_id: str, request: HttpRequest
    ) -> HttpReply:
        hub = self._hub_of(user, hub_id)
        if method == "PUT":
            body = _body_of(request)
            if body.get("id") != hub_id:
                raise _Refused(HTTPStatus.BAD_REQUEST, "hub id in body unequal to path")
            name = _text_of(body, "name")
            self._fill(hub, user, body)
            hub.name, hub.attributes = name, _attributes_of(body)
        elif method == "DELETE":
            del self._state.hubs[hub_id]
            return HttpReply.of_json(True)  # noqa: FBT003 - what it answers
        elif method not in {"GET", "HEAD"}:
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        return self._hub_reply(hub)

    def _fill(self, hub: SenergySimHub, user: SenergyUser, body: _Body) -> None:
        listed = body.get("device_local_ids") or []
        ids = [str(one) for one in listed] if isinstance(listed, list) else []
        if len(set(ids)) < len(ids) or not all(
            self._state.device(user.id, one) for one in ids
        ):
            raise _Refused(HTTPStatus.BAD_REQUEST, "not all local device ids found")
        hub.device_local_ids = ids
        stored = body.get("hash")
        hub.hash = stored if isinstance(stored, str) else None

    def _hub_reply(self, hub: SenergySimHub) -> HttpReply:
        return HttpReply.of_json(self._hub_json(hub))

    def _hub_json(self, hub: SenergySimHub) -> dict[str, object]:
        devices = self._state.devices
        found = [devices.get((hub.owner_id, one)) for one in hub.device_local_ids]
        ids = [one.id for one in found if one is not None]
        value = {**_json(hub), "device_ids": ids}
        del value["connection_state"]
        return value

    def _hub_of(self, user: SenergyUser, hub_id: str) -> SenergySimHub:
        hub = self._state.hub(user.id, hub_id)
        if hub is None:
            known = self._state.hubs.get(hub_id)
            is_foreign = known is not None and known.owner_id != user.id
            status = HTTPStatus.FORBIDDEN if is_foreign else HTTPStatus.NOT_FOUND
            raise _Refused(status, "access denied" if is_foreign else "not found")
        return hub

    def _hub_list(self, user: SenergyUser, query: Mapping[str, str]) -> HttpReply:
        if not self._state.rules.lists_hubs:
            raise _Refused(HTTPStatus.NOT_FOUND, "no Route matched with those values")
        search, limit = query.get("search", "").lower(), _limit_of(query)
        found = [
            hub
            for hub_id in self._state.hubs
            if (hub := self._state.hub(user.id, hub_id)) is not None
            and search in hub.name.lower()
            and query.get("owner", user.id) == user.id
            and query.get("connection-state", hub.connection_state)
            == hub.connection_state
        ]
        found.sort(key=lambda hub: hub.name)
        return HttpReply.of_json([self._hub_json(hub) for hub in found[:limit]])

    # ------------------------------------------------------------ devices

    def _devices(
        self, method: str, user: SenergyUser, request: HttpRequest
    ) -> HttpReply:
        state, query = self._state, request.query
        if method == "GET":
            wanted = query["ids"].split(",") if query.get("ids") else None
            owned = [local_id for owner, local_id in state.devices if owner == user.id]
            ids = owned[: _limit_of(query)] if wanted is None else wanted
            found = [state.device(user.id, one) for one in ids]
            return HttpReply.of_json([_json(one) for one in found if one is not None])
        if method != "POST":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        body = _body_of(request)
        local_id = _text_of(body, "local_id")
        if body.get("id"):
            raise _Refused(HTTPStatus.BAD_REQUEST, "body may not contain a preset id")
        if (user.id, local_id) in state.devices:
            raise _Refused(HTTPStatus.BAD_REQUEST, "local id is not unique")
        device = SenergySimDevice(
            id=state.new_id("device"),
            local_id=local_id,
            name="",
            device_type_id="",
            owner_id=user.id,
            visible_at_s=self._visible_at_s(request),
        )
        self._change(device, body, None)
        state.devices[user.id, local_id] = device
        return HttpReply.of_json(_json(device))

    def _device(
        self, method: str, user: SenergyUser, local_id: str, request: HttpRequest
    ) -> HttpReply:
        state = self._state
        device = state.device(user.id, local_id)
        if device is None:
            raise _Refused(HTTPStatus.NOT_FOUND, "not found")
        if method == "PUT":
            body = _body_of(request)
            if body.get("id") not in {None, "", device.id}:
                raise _Refused(HTTPStatus.BAD_REQUEST, "device contains a different id")
            if body.get("local_id") != local_id:
                raise _Refused(HTTPStatus.BAD_REQUEST, "local id must not change")
            origin = request.query.get("update-only-same-origin-attributes")
            self._change(device, body, origin)
        elif method == "DELETE":
            del state.devices[user.id, local_id]
            for hub in state.hubs.values():
                if hub.owner_id == user.id and local_id in hub.device_local_ids:
                    hub.device_local_ids.remove(local_id)
            return HttpReply.of_json(True)  # noqa: FBT003 - what it answers
        elif method != "GET":
            raise _Refused(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
        return HttpReply.of_json(_json(device))

    def _change(
        self, device: SenergySimDevice, body: _Body, origins: str | None
    ) -> None:
        name, kind = _text_of(body, "name"), _text_of(body, "device_type_id")
        types = self._state.rules.device_types
        if types is not None and kind not in types:
            raise _Refused(HTTPStatus.BAD_REQUEST, f"unknown device type {kind!r}")
        attributes = _attributes_of(body)
        if origins is not None:
            ours = set(origins.split(","))
            kept = [one for one in device.attributes if one["origin"] not in ours]
            attributes = kept + [one for one in attributes if one["origin"] in ours]
        device.name, device.device_type_id = name, kind
        device.attributes = sorted(attributes, key=lambda one: one["key"])

    def _visible_at_s(self, request: HttpRequest) -> float:
        is_waited_for = request.query.get("wait") == "true"
        return self._state.visible_at_s(is_waited_for=is_waited_for)


def _json(thing: SenergySimDevice | SenergySimHub) -> dict[str, object]:
    value = asdict(thing)
    del value["visible_at_s"]
    return value


def _body_of(request: HttpRequest) -> _Body:
    body = request.json()
    if not isinstance(body, Mapping):
        raise _Refused(HTTPStatus.BAD_REQUEST, "json: cannot unmarshal")
    return body


def _text_of(body: _Body, name: str) -> str:
    value = body.get(name)
    if not isinstance(value, str) or not value:
        raise _Refused(HTTPStatus.BAD_REQUEST, f"missing {name}")
    return value


def _attributes_of(body: _Body) -> list[dict[str, str]]:
    listed = body.get("attributes") or []
    found = []
    for one in listed if isinstance(listed, list) else [None]:
        if not isinstance(one, Mapping) or not all(
            isinstance(value, str) for value in one.values()
        ):
            raise _Refused(HTTPStatus.BAD_REQUEST, "json: cannot unmarshal attributes")
        found.append({name: one.get(name, "") for name in ("key", "value", "origin")})
    return found


def _limit_of(query: Mapping[str, str]) -> int:
    text = query.get("limit", "")
    return int(text) if text.isascii() and text.isdecimal() else _USUAL_LIMIT


def _text_reply(status: int, text: str) -> HttpReply:
    headers = {"Content-Type": "text/plain; charset=utf-8"}
    return HttpReply(status=status, headers=headers, body=f"{text}\n".encode())


def _oauth_error(error: str, description: str, status: int) -> HttpReply:
    value = {"error": error, "error_description": description}
    return HttpReply.of_json(value, status=status)
