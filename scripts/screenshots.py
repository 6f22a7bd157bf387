"""Make the documentation's pictures of the dashboard, from simulated devices of all systems.

    python scripts/screenshots.py [FOLDER]

It opens a gateway with all that `structiot demo` simulates, lets it run for a while and
looks at its pages with the Chromium that is installed. Pictures are PNG with a palette.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, Literal, TypeAlias

import anyio
from PIL import Image
from playwright.async_api import Browser, Page, async_playwright

from structiot._kit.environment import Environment
from structiot.cli.demo.house import House
from structiot.cli.demo.systems import simulated_systems
from structiot.dashboard import open_dashboard
from structiot.gateway import Gateway, load_config, open_gateway
from structiot.gateway.config import DashboardSection

Scheme: TypeAlias = Literal["light", "dark"]

FOLDER = Path(__file__).parents[1] / "docs" / "pictures"
CHROMIUM = os.environ.get("STRUCTIOT_CHROMIUM", "/usr/bin/chromium")
MOST_BYTES = 150_000
WARM_UP_S = 40.0
DESK: Mapping[str, Any] = {"viewport": {"width": 1280, "height": 860}}
PHONE: Mapping[str, Any] = {
    "viewport": {"width": 390, "height": 800},
    "device_scale_factor": 1.5,
    "is_mobile": True,
    "has_touch": True,
}


async def main() -> None:
    """Open everything, wait for values, take the pictures."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else FOLDER
    await anyio.Path(folder).mkdir(parents=True, exist_ok=True)
    house = House()
    async with AsyncExitStack() as stack:
        sections = await stack.enter_async_context(
            simulated_systems(house, Environment(random=Random(14)))
        )
        broker = {"listen": ["mqtt://127.0.0.1:0"]}
        table = {**house.sections(sections), "broker": broker}
        config = load_config(table)
        gateway = await stack.enter_async_context(open_gateway(config))
        section = DashboardSection(listen=("http://127.0.0.1:0",))
        dashboard = await stack.enter_async_context(open_dashboard(gateway, section))
        playwright = await stack.enter_async_context(async_playwright())
        browser = await playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox"]
        )
        stack.push_async_callback(browser.close)
        await anyio.sleep(WARM_UP_S)
        await _take_all(browser, dashboard.urls[0], _richest(gateway), folder)


def _richest(gateway: Gateway) -> str:
    """Name the device that has most to show."""
    sizes = {slug: len(one.entities) for slug, one in gateway.devices.items()}
    return max(sizes, key=lambda slug: sizes[slug])


async def _take_all(browser: Browser, url: str, device: str, folder: Path) -> None:
    pictures: dict[str, tuple[str, Scheme, Mapping[str, Any]]] = {
        "devices": ("", "light", DESK),
        "devices_phone": ("", "dark", PHONE),
        "device": (f"device/{device}", "dark", DESK),
        "device_phone": (f"device/{device}", "light", PHONE),
        "gateway": ("gateway", "light", DESK),
    }
    for name, (path, scheme, options) in pictures.items():
        context = await browser.new_context(color_scheme=scheme, **options)
        page = await context.new_page()
        await page.goto(f"{url}{path}")
        await page.wait_for_selector('body[data-connection="live"]')
        await anyio.sleep(1)
        data = await _small(page)
        await anyio.Path(folder / f"{name}.png").write_bytes(data)
        print(f"{name}.png: {len(data)} bytes")
        await context.close()


async def _small(page: Page) -> bytes:
    """Take a picture with as many colours as fit."""
    shot = Image.open(io.BytesIO(await page.screenshot())).convert("RGB")
    for colours in (256, 128, 64, 32):
        file = io.BytesIO()
        shot.quantize(colours, dither=Image.Dither.NONE).save(
            file, "PNG", optimize=True
        )
        if len(file.getvalue()) < MOST_BYTES:
            return file.getvalue()
    raise SystemExit(f"{page.url} is no picture of less than {MOST_BYTES} bytes")


if __name__ == "__main__":
    anyio.run(main)
