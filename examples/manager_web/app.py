"""A page that lists the devices that are connected, live, and sends to them.

Run:
    python examples/manager_web/app.py --simulate
"""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import anyio
import hypercorn.asyncio
import hypercorn.trio
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from structiot import UsageError, open_manager
from structiot.manager import (
    ClientConnected,
    ClientDisconnected,
    Manager,
    ManagerEvent,
    MessageReceived,
)
from structiot.sim import sim_devices

PAGE = Path(__file__).with_name("page.html")
SERVERS = {"asyncio": hypercorn.asyncio.serve, "trio": hypercorn.trio.serve}


def told(event: ManagerEvent) -> Mapping[str, object] | None:
    """Give what the page is told of an event; None for what it does not show."""
    match event:
        case ClientConnected(client=client):
            return {"event": "connected", **client.return_data()}
        case ClientDisconnected(client=client, reason=reason):
            return {"event": "disconnected", "uuid": client.uuid, "reason": reason}
        case MessageReceived(client=client, data=data):
            text = data.decode(errors="replace")
            return {"event": "message", "uuid": client.uuid, "text": text}
    return None


class Events:
    """What happens, as server-sent events; first come the devices that are there."""

    def __init__(self, manager: Manager) -> None:
        """Take the manager of which it is told."""
        self._manager = manager

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's
        """Tell one browser, until it goes away."""
        kind = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": kind})
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._tell, send)
            while (await receive())["type"] != "http.disconnect":
                pass
            tasks.cancel_scope.cancel()

    async def _tell(self, send: Send) -> None:
        async with self._manager.events() as events:
            async for event in events:
                if events.dropped:
                    # The browser is too slow, and its list is wrong: it begins anew.
                    break
                if (what := told(event)) is not None:
                    line = f"data: {json.dumps(what)}\n\n".encode()
                    part = {"type": "http.response.body", "body": line}
                    await send({**part, "more_body": True})
        await send({"type": "http.response.body"})


def make_app(manager: Manager) -> Starlette:
    """Make the web application."""

    async def page(_: Request) -> Response:  # noqa: ASYNC124 - else it is a thread's
        return FileResponse(PAGE)

    async def send(request: Request) -> Response:
        # Pages of others can send forms here, but no JSON.
        if request.headers.get("content-type") != "application/json":
            return JSONResponse({"error": "JSON is wanted"}, 415)
        try:
            wanted = await request.json()
            uuid, text = wanted["uuid"], str(wanted["text"])
            report = await (
                manager.send_all(text) if uuid is None else manager.send(uuid, text)
            )
        except (ValueError, LookupError, TypeError, AttributeError, UsageError) as exc:
            return JSONResponse({"error": str(exc)}, 400)
        failed = {one: str(error) for one, error in report.failed.items()}
        return JSONResponse({"delivered": report.delivered, "failed": failed})

    return Starlette(
        routes=[
            Route("/", page),
            Route("/events", Events(manager)),
            Route("/send", send, methods=["POST"]),
        ]
    )


async def told_to_end() -> None:
    """Wait for Ctrl-C, or for SIGTERM."""
    with anyio.open_signal_receiver(signal.SIGINT, signal.SIGTERM) as signals:
        await anext(aiter(signals))


async def main(given: argparse.Namespace) -> None:
    """Serve devices and browsers until Ctrl-C."""
    config = hypercorn.Config()
    config.bind = [f"127.0.0.1:{given.web_port}"]
    config.graceful_timeout = 0.5
    async with AsyncExitStack() as stack:
        opened = open_manager(None, given.host, given.port)
        manager = await stack.enter_async_context(opened)
        if given.simulate:
            fleet = sim_devices(5, port=manager.port)
            await stack.enter_async_context(fleet)
        print(f"devices: {manager.host}:{manager.port}", flush=True)
        print(f"page: http://{config.bind[0]}/", flush=True)
        # Each of the two describes ASGI by types of its own.
        app: Any = make_app(manager)
        await SERVERS[given.backend](app, config, shutdown_trigger=told_to_end)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--host", default="127.0.0.1", help="where devices dial in")
    parser.add_argument("--port", type=int, default=8595)
    parser.add_argument("--web-port", type=int, default=8000)
    parser.add_argument("--simulate", action="store_true", help="five lamps")
    parser.add_argument("--backend", choices=SERVERS, default="asyncio")
    arguments = parser.parse_args()
    anyio.run(main, arguments, backend=arguments.backend)
