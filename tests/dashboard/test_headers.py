"""What every answer of the page carries, whatever it is an answer to."""

from __future__ import annotations

import gzip
import re

import pytest

from tests.dashboard.browser import HOST, Browser
from tests.dashboard.house import device, house

pytestmark = pytest.mark.virtual_time

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self'; manifest-src 'self'; base-uri 'none'; form-action 'self'; "
    "frame-ancestors 'none'"
)
EVERY = {
    "content-security-policy": POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "x-frame-options": "DENY",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


def check(headers: dict[str, str], *, kept: str = "no-store") -> None:
    assert {name: headers.get(name) for name in EVERY} == EVERY
    assert headers["cache-control"] == kept
    assert "server" not in headers
    assert not [name for name in headers if name.startswith("access-control")]


async def said(browser: Browser, data: bytes) -> tuple[int, dict[str, str]]:
    """Say bytes; give status and header fields of what comes back."""
    async with await browser.network.connect_tcp(HOST, browser.port) as stream:
        await stream.send(data)
        head = b""
        while b"\r\n\r\n" not in head:
            head += await stream.receive()
    lines = head.partition(b"\r\n\r\n")[0].decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), {k.lower(): v for k, v in fields.items()}


ANSWERS = [
    ("GET", "/", 200),
    ("HEAD", "/", 200),
    ("GET", "/device/desk", 200),
    ("GET", "/gateway", 200),
    ("GET", "/login", 303),
    ("GET", "/nothing", 404),
    ("GET", "/device/nobody", 404),
    ("GET", "/device/%ff", 404),
    ("GET", "/assets/../views.py", 404),
    ("GET", "/assets/%2e%2e/views.py", 404),
    ("GET", "/assets/page.css", 404),
    ("POST", "/", 405),
    ("OPTIONS", "/", 405),
    ("GET", "/api/set/desk/relay", 405),
    ("GET", "/api/session", 204),
    ("GET", "/api/nothing", 404),
    ("GET", "/api/history/desk/power", 404),
    ("POST", "/api/set/desk/relay", 403),
    ("GET", "/healthz", 200),
    ("GET", "/readyz", 200),
    ("POST", "/healthz", 405),
    ("GET", "/metrics", 200),
    ("HEAD", "/events", 200),
]


async def test_each_answer_has_all_header_fields(environment):
    async with house(environment, device("desk")) as home:
        for method, target, status in ANSWERS:
            answer = await home.browser.ask(method, target)
            assert (method, target, answer.status) == (method, target, status)
            check(answer.headers)


async def test_a_foreign_host_and_a_foreign_page_get_them_too(environment):
    async with house(environment) as home:
        strange = await home.browser.get("/", Host="evil.example")
        foreign = await home.browser.post("/api/set/a/b", Origin="null")
    assert (strange.status, foreign.status) == (421, 403)
    check(strange.headers)
    check(foreign.headers)


LOCAL = b" HTTP/1.1\r\nHost: localhost\r\n"
NO_REQUESTS = [
    (b"NONSENSE\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\n\r\n", 400),
    (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
    (b"GET /" + LOCAL + b"X: " + b"x" * 20_000, 431),
    (b"GET /" + b"x" * 20_000, 431),
    (b"GET / HTTP/1.0\r\n\r\n", 421),
    (b"POST /api/set/a/b" + LOCAL + b"Content-Length: 99999999\r\n\r\n", 413),
    (b"CONNECT a:1" + LOCAL + b"\r\n", 501),
]


async def test_what_is_no_request_is_refused_with_them(environment):
    async with house(environment) as home:
        for data, status in NO_REQUESTS:
            found, headers = await said(home.browser, data)
            assert (data, found) == (data, status)
            check(headers)


async def test_a_stream_has_them(environment):
    async with house(environment) as home:
        request = f"GET /events HTTP/1.1\r\nHost: {home.browser.place}\r\n\r\n"
        status, headers = await said(home.browser, request.encode())
    assert (status, headers["content-type"]) == (200, "text/event-stream")
    check(headers)


async def test_files_are_named_by_what_is_in_them_and_kept_for_ever(environment):
    async with house(environment) as home:
        page = (await home.browser.get("/")).text
        found = set(re.findall(r'(?:src|href)="(/assets/[^"]+)"', page))
        assert {one.rpartition(".")[2] for one in found} >= {"css", "js", "svg"}
        for url in found:
            assert re.fullmatch(r"/assets/[\w.-]+\.[0-9a-f]{12}\.\w+", url)
            plain = await home.browser.get(url)
            packed = await home.browser.get(url, Accept_Encoding="gzip, br")
            refused = await home.browser.get(url, Accept_Encoding="gzip;q=0, br")
            check(plain.headers, kept="public, max-age=31536000, immutable")
            assert plain.body == refused.body
            if len(plain.body) > 500:
                assert packed.headers["content-encoding"] == "gzip"
                assert gzip.decompress(packed.body) == plain.body
        icon = await home.browser.get("/favicon.ico")
    assert icon.status == 200
    assert icon.headers["content-type"].startswith("image/")


async def test_pages_are_compressed_for_who_takes_it(environment):
    async with house(environment, device("desk")) as home:
        plain = await home.browser.get("/")
        packed = await home.browser.get("/", Accept_Encoding="gzip, deflate, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.headers["vary"] == "Accept-Encoding"
    assert len(packed.body) < len(plain.body) / 2
    assert "<title>structiot</title>" in packed.text


async def test_nothing_is_in_the_line(environment):
    """No script and no style stands in a page: the policy would not run it."""
    async with house(environment, device("desk")) as home:
        for target in ("/", "/device/desk", "/gateway", "/nothing"):
            page = (await home.browser.get(target)).text
            assert not re.search(r"<script(?![^>]*\bsrc=)", page)
            assert not re.search(r"<style|\sstyle=|\son\w+=", page)
