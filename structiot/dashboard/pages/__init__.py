"""The pages as HTML: what `structiot.dashboard.views` says, escaped and laid out.

Nothing here asks the gateway or waits: a view goes in, text comes out. `templates/` has
one file a page, `layout` says which entities share a row, `fields` with what a light or
a thermostat is set, `sparklines` draws the last hour, `texts` writes times.
"""

from __future__ import annotations

from structiot.dashboard.pages.rendering import (
    index_parts,
    render_device,
    render_gateway,
    render_index,
    render_login,
    render_missing,
)

__all__ = [
    "index_parts",
    "render_device",
    "render_gateway",
    "render_index",
    "render_login",
    "render_missing",
]
