"""The web page of a gateway: every device at a glance, switched and remembered.

    async with open_gateway("structiot.toml") as gateway:
        async with open_dashboard(gateway) as dashboard:
            print(dashboard.urls)

The HTTP server hands each request to the `Site`. The `Gate` lets it in, by `access.py`
(whose page asks) and `sessions.py` (who asks); `api.py` takes commands and asks the past;
the `PageMaker` makes views of what the gateway knows, and `pages/` renders them. The `Hub`
follows the gateway once for all browsers, and each has a `Listener` for its `stream.py`.
"""

from __future__ import annotations

from structiot.dashboard.opening import Dashboard, open_dashboard

__all__ = ["Dashboard", "open_dashboard"]
