"""The README's HTTP helper, call by call."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

import anyio
import pytest

from structiot._kit.environment import Environment
from structiot._kit.http.messages import HttpReply, HttpRequest
from structiot._kit.http.server import RawReply
from structiot._kit.net.memory import MemoryNetwork
from structiot._kit.redact import Secret
from structiot.connector import http
from structiot.errors import (
    ConfigError,
    ConnectFailed,
    LinkLost,
    ProtocolViolation,
    ReplyTimeout,
    UsageError,
)
from tests.kit.web_server import URL, serving

pytestmark = pytest.mark.virtual_time

Answer = HttpReply | RawReply | None


class Site:
    """Answers each request by the next of its answers, and then by the last."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        self.asked: list[HttpRequest] = []
        self.answers: list[Answer] = [HttpReply(body="hällo".encode())]

    async def handle(self, request: HttpRequest) -> Answer:
        self.asked.append(request)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
async def site() -> AsyncIterator[Site]:
    network = MemoryNetwork()
    made = Site(Environment(network=network))
    async with serving(network, made.handle):
        yield made


async def test_get_adds_its_query_and_gives_status_header_and_body(site: Site):
    site.answers = [HttpReply(headers={"X-Kind": "lamp"}, body="hällo".encode())]
    response = await http.get(
        f"{URL}/path?a=b",
        query={"id": 1, "lang": "en"},
        headers={"X-Mine": "1"},
        environment=site.environment,
    )
    assert (response.status, response.body) == (200, "hällo")
    assert response.header["x-kind"] == "lamp"
    (asked,) = site.asked
    assert (asked.method, asked.target) == ("GET", "/path?a=b&id=1&lang=en")
    assert asked.headers["x-mine"] == "1"


@pytest.mark.parametrize(
    ("call", "method", "body"),
    [
        (lambda **kw: http.post(f"{URL}/a", "{'ü': 1}", **kw), "POST", "{'ü': 1}"),
        (lambda **kw: http.put(f"{URL}/a", body="", **kw), "PUT", ""),
        (lambda **kw: http.delete(f"{URL}/a", **kw), "DELETE", ""),
        (lambda **kw: http.head(f"{URL}/a", query={}, **kw), "HEAD", ""),
    ],
    ids=["post", "put", "delete", "head"],
)
async def test_each_method_goes_on_the_wire(
    site: Site, call: Callable[..., Any], method: str, body: str
):
    response = await call(environment=site.environment)
    assert response.status == 200
    (asked,) = site.asked
    assert (asked.method, asked.target) == (method, "/a")
    assert asked.body.decode() == body
    assert response.body == ("" if method == "HEAD" else "hällo")


@pytest.mark.parametrize("password", ["pw:2", Secret("pw:2")])
async def test_user_and_password_are_sent_at_once_and_the_headers_left_alone(
    site: Site, password: str | Secret
):
    headers = {"X-Mine": "1"}
    auth = ("me", password)
    await http.get(URL, headers=headers, auth=auth, environment=site.environment)
    token = base64.b64encode(b"me:pw:2").decode()
    assert site.asked[0].headers["authorization"] == f"Basic {token}"
    assert headers == {"X-Mine": "1"}


async def test_what_may_not_stand_in_a_url_is_encoded(site: Site):
    await http.get(f"{URL}/a b/ü?x=%20 y#part", environment=site.environment)
    await http.get(URL, environment=site.environment)
    assert [one.target for one in site.asked] == ["/a%20b/%C3%BC?x=%20%20y", "/"]


async def test_a_body_that_is_no_text_is_shown_as_far_as_can_be(site: Site):
    site.answers = [HttpReply(body=b"a\xff")]
    response = await http.get(URL, environment=site.environment)
    assert response.body == "a\ufffd"


async def test_a_refusal_is_a_response(site: Site):
    site.answers = [HttpReply(status=404, body=b"no such thing")]
    response = await http.get(URL, retries=3, environment=site.environment)
    assert (response.status, response.body) == (404, "no such thing")
    # It would be the same the next time.
    assert len(site.asked) == 1


@pytest.mark.parametrize("trouble", [None, *map(str, (408, 425, 429, 500, 503))])
async def test_what_may_pass_is_tried_again_as_often_as_asked(
    site: Site, trouble: str | None
):
    answer = None if trouble is None else HttpReply(status=int(trouble))
    site.answers = [answer, answer, HttpReply(body=b"ok")]
    began_s = anyio.current_time()
    response = await http.post(
        URL, "x", retries=5, retry_delay=0.5, environment=site.environment
    )
    assert response.body == "ok"
    assert len(site.asked) == 3
    assert anyio.current_time() - began_s == pytest.approx(1.0)


async def test_the_last_reply_is_returned_without_a_wait(site: Site):
    site.answers = [HttpReply(status=503)]
    began_s = anyio.current_time()
    response = await http.get(URL, retries=1, environment=site.environment)
    assert response.status == 503
    assert len(site.asked) == 2
    assert anyio.current_time() - began_s == pytest.approx(0.5)


async def test_nothing_is_tried_again_unless_asked(site: Site):
    site.answers = [None]
    with pytest.raises(LinkLost):
        await http.get(URL, environment=site.environment)
    assert len(site.asked) == 1


async def test_silence_ends_after_the_timeout_of_each_attempt(site: Site):
    site.answers = [RawReply(is_left_open=True)]
    began_s = anyio.current_time()
    with pytest.raises(ReplyTimeout):
        await http.get(URL, timeout=2, retries=2, environment=site.environment)
    assert len(site.asked) == 3
    assert anyio.current_time() - began_s == pytest.approx(3 * 2 + 2 * 0.5)


async def test_the_timeout_is_three_seconds_unless_said_otherwise(site: Site):
    site.answers = [RawReply(is_left_open=True)]
    with pytest.raises(ReplyTimeout) as caught:
        await http.get(URL, environment=site.environment)
    assert caught.value.after_s == 3


async def test_nobody_there_is_told(site: Site):
    with pytest.raises(ConnectFailed):
        await http.get("http://nobody.example", environment=site.environment)


async def test_what_is_no_http_is_told_at_once(site: Site):
    site.answers = [RawReply(data=b"SSH-2.0\r\n\r\n")]
    with pytest.raises(ProtocolViolation):
        await http.get(URL, retries=3, environment=site.environment)
    assert len(site.asked) == 1


@pytest.mark.parametrize(
    "url", ["device.example", "ftp://device.example", "http://[", ""]
)
async def test_what_is_no_url_is_refused(url: str):
    with pytest.raises(ConfigError, match=r"URL|url"):
        await http.get(url)


@pytest.mark.parametrize(
    "options",
    [
        {"auth": "me"},
        {"auth": ("me",)},
        {"auth": ("me", 7)},
        {"headers": [("a", "b")]},
        {"headers": {"a b": "c"}},
        {"query": "a=b"},
        {"retries": 1.5},
        {"timeout": "3"},
        {"retry_delay": None},
    ],
    ids=str,
)
async def test_an_argument_that_cannot_be_is_refused(options: dict[str, Any]):
    with pytest.raises(UsageError):
        await http.get(URL, **options)


@pytest.mark.parametrize("call", [http.post, http.put])
async def test_a_body_is_a_text(call: Callable[..., Any]):
    with pytest.raises(UsageError, match="body is str, not dict"):
        await call(URL, {"a": 1})


@pytest.mark.parametrize(
    ("url", "options"),
    [
        (f"{URL}/\ud800", {}),
        (URL, {"query": {"a": "\ud800"}}),
        (URL, {"auth": ("me", "secret\ud800")}),
        (URL, {"headers": {"X-Mine": 3}}),
        (URL, {"retry_delay": -1.0}),
        (URL, {"retry_delay": float("nan"), "retries": 1}),
        (URL, {"timeout": float("nan")}),
    ],
    ids=["url", "query", "auth", "header", "negative", "nan", "timeout"],
)
async def test_what_cannot_be_sent_is_said(
    site: Site, url: str, options: dict[str, Any]
):
    with pytest.raises(UsageError) as refused:
        await http.get(url, environment=site.environment, **options)
    assert "secret" not in str(refused.value)
    assert site.asked == []


async def test_a_body_with_half_a_character_is_refused(site: Site):
    with pytest.raises(UsageError, match="half a character"):
        await http.post(URL, "\ud800", environment=site.environment)
